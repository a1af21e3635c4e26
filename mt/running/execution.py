"""Execution of a run: its plan, its record, its observers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mt.errors import MutualTaughtError, StoreError, UnexpectedError, describe_os_error, first_line
from mt.methods.compile import CompiledRun
from mt.running.record import Record, RunState
from mt.running.tracker_callbacks import tracked
from mt.runtime.interruption import Interrupted, interruptible, uninterrupted
from mt.runtime.redact import redact
from mt.workflow.execute import execute
from mt.workflow.position import Position
from mt.workflow.stage import Stage
from mt.workflow.work import NullObserver, Observer

log = logging.getLogger("mt")


class Observers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = observers

    def __getattr__(self, name: str) -> Any:
        def notify(*arguments: Any) -> None:
            for observer in self.observers:
                getattr(observer, name)(*arguments)

        return notify


class Recorder(NullObserver):
    """Keeps the run's record up to date."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """A computed stage enters the record at once."""
        if facts is not None:
            self.record.computed(stage)


class Logger(NullObserver):
    """Writes what happens into the log."""

    def __init__(self, positions: Mapping[str, Position]) -> None:
        self.positions = positions

    def inspecting(self, stage: Stage) -> None:
        """Log what takes seconds before the first stage."""
        log.info("checking %s", stage.address)

    def started(self, stage: Stage) -> None:
        """Log the beginning."""
        log.info("computing %s (%s)", stage.address, self.positions.get(stage.key, ""))

    def waiting(self, stage: Stage, owner: str) -> None:
        """Log the owner of a stage that we wait for."""
        log.info("waiting for %s, computed by %s", stage.address, owner)

    def note(self, stage: Stage | None, text: str) -> None:
        """Log a note."""
        log.warning("%s%s", f"{stage.address}: " if stage else "", text)

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """Log the end."""
        how = f"computed in {facts['seconds']} s, {facts['counts']}" if facts else "reused"
        log.info("%s %s", stage.address, how)


def run(compiled: CompiledRun, folder: Path, observers: Sequence[Observer], sweep: str | None = None) -> Record:
    """Execute a run and keep its record, which states how the run ended in any case.

    Raises what stopped the run: a `MutualTaughtError` (`UnexpectedError` for a defect), or `Interrupted`.
    """
    store = compiled.store
    record = Record(folder, compiled, store, sweep)
    watching = Observers([Recorder(record), Logger(compiled.plan.positions), *observers])
    with logged(folder), tracked(record, partial(watching.note, None)) as callbacks, interruptible() as request:
        try:
            record.begin()
            command = folder.parent if sweep or compiled.config.sweep else folder
            execute(compiled.plan, store, Observers([*watching.observers, *callbacks]), str(command.resolve()))
            record.end("finished")
        except BaseException as error:
            with uninterrupted():  # a second Ctrl-C does not hide the first from the record
                known = _translate(Interrupted() if request.made else error, folder, store.root)
                _end(record, error, known)
            raise known from error
    return record


def quiet_libraries() -> None:
    """Keep the progress bars and advice of libraries out of our display; what matters goes to the log."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.captureWarnings(True)


def _end(record: Record, error: BaseException, known: BaseException) -> None:
    """Write to the log and to the record how the run ended; a full disk may prevent the record."""
    state: RunState = "interrupted" if isinstance(known, Interrupted) else "failed"
    log.error("%s", state, exc_info=error)
    try:
        record.end(state, error if isinstance(known, UnexpectedError) else known)
    except OSError as failure:
        log.warning("the record could not be written", exc_info=failure)


def _translate(error: BaseException, folder: Path, store: Path) -> BaseException:
    """Turn what stopped a run into an error of one line; the log has the traceback."""
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(f"interrupted; nothing is lost. Run the same command to continue ({folder})")
    if isinstance(error, MutualTaughtError) or not isinstance(error, Exception):
        return error
    if line := describe_os_error(error, f"{store} or {folder}"):
        return StoreError(line)
    return UnexpectedError(f"{type(error).__name__}: {first_line(error)} (the traceback is in {folder / 'run.log'})")


class _LogFile(logging.FileHandler):
    """A log file that ignores a full disk, which the run itself reports once."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Stay silent."""


class _Redacted(logging.Formatter):
    """Keeps keys and passwords out of the log, those in tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it."""
        return str(redact(super().format(record)))


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Write the log of this run, in append mode, so that no attempt hides an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    with logged_by(_LogFile(folder / "run.log")):
        yield


@contextmanager
def logged_by(handler: logging.Handler) -> Iterator[None]:
    """Send the log to a handler while the block lasts."""
    handler.setFormatter(_Redacted("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
