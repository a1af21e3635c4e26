"""The process that speaks to W&B, so that nothing W&B does can stop, slow or crash a run.

It reads one JSON message a line from its standard input and reports on another pipe. It ends when its input ends,
even when the run was killed: what was sent until then is written.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from mt.tracking.upload import Uploader, writing

GRACE_S = 60.0
"""Seconds beyond W&B's own limits after which a hanging client is given up."""


class Worker:
    """Turns messages into calls of a W&B run."""

    def __init__(self, report: Callable[..., None]) -> None:
        self.report = report
        self.held = ExitStack()
        """What is held until the worker ends: the lock of the offline file."""
        self.run: Any = None
        self.uploader: Uploader | None = None
        self.finish_timeout_s = 0.0
        self.started_at = time.monotonic()
        self.reached = False
        self.troubled: set[str] = set()
        self.last_words = "W&B did not answer in time"

    def handle(self, message: dict[str, Any]) -> None:
        """Do what a message says; whatever W&B makes of it, the next message is heard."""
        kind = message.pop("do")
        try:
            getattr(self, f"do_{kind}")(**message)
        except Exception as error:  # the boundary to somebody else's client: its failures are reported, not raised
            self.trouble(kind, error)

    def trouble(self, kind: str, error: BaseException) -> None:
        """Tell of a failure, once for each kind of message."""
        self.run_log(f"{kind}: {type(error).__name__}: {error}")
        if kind not in self.troubled:
            self.troubled.add(kind)
            self.report(event="problem", kind=kind, text=_first_line(error))

    def run_log(self, text: str) -> None:
        """Write into the worker's log file."""
        print(text, file=sys.stderr, flush=True)

    def do_start(self, run: dict[str, Any], settings: dict[str, Any], online: bool, finish_timeout_s: float) -> None:
        """Open the run's offline file and, online, begin to upload it."""
        import wandb

        self.finish_timeout_s = finish_timeout_s
        self.run = wandb.init(**run, mode="offline", settings=wandb.Settings(**settings))
        file = Path(self.run.settings.sync_file)
        self.held.enter_context(writing(file).hold())
        self.run.define_metric("iteration")
        for name in ("policy/*", "reward/*", "samples/*"):
            self.run.define_metric(name, step_metric="iteration")
        if online:
            self.uploader = Uploader(file, self.hear_upload, self.hear_end)

    def hear_upload(self, line: str) -> None:
        """Take a line of W&B's upload: where the run is shown, and what goes wrong."""
        self.run_log(line)
        words = line.removeprefix("wandb: ").strip()
        if " View run " in line and "http" in line:
            self.reached = True
            self.report(event="online", url=line[line.rindex("http") :].strip())
        elif any(mark in words.lower() for mark in ("error", "not authenticated", "fatal", "failed")):
            self.last_words = words

    def hear_end(self, complete: bool) -> None:
        """Take the end of the upload: one that gives up is reported at once: the run may have days to go."""
        if not complete:
            self.trouble("upload", RuntimeError(self.last_words))

    def do_define(self, glob: str, step: str) -> None:
        """Plot a family of metrics over a step of its own."""
        self.run.define_metric(step, hidden=True)
        self.run.define_metric(glob, step_metric=step)

    def do_log(self, values: dict[str, Any]) -> None:
        """Log one row."""
        self.run.log(values)

    def do_config(self, values: dict[str, Any]) -> None:
        """Add to the run's configuration."""
        self.run.config.update(values, allow_val_change=True)

    def do_summary(self, values: dict[str, Any]) -> None:
        """Add to the run's summary."""
        self.run.summary.update(values)

    def do_table(
        self, name: str, columns: list[str | int], rows: list[Iterable[Any]], values: dict[str, Any] | None = None
    ) -> None:
        """Log a table."""
        import wandb

        self.run.log({name: wandb.Table(columns=columns, data=rows, allow_mixed_types=True), **(values or {})})

    def do_file(self, path: str, name: str) -> None:
        """Keep a file with the run."""
        target = Path(self.run.dir) / name
        shutil.copyfile(path, target)
        self.run.save(str(target), base_path=self.run.dir, policy="now")

    def do_finish(self, exit_code: int) -> None:
        """Close the run, and wait a bounded time for the rest of its upload."""
        self.give_up_later()
        self.run.finish(exit_code=exit_code)
        if self.uploader is not None:
            self.hear_end(self.uploader.wait(self.patience_s()))
        self.report(event="finished")

    def patience_s(self) -> float:
        """Return how long the end waits for the upload; a server that never answered has had its time by then."""
        passed_s = 0.0 if self.reached else time.monotonic() - self.started_at
        return max(0.0, self.finish_timeout_s - passed_s)

    def give_up_later(self) -> None:
        """End this process for certain, even when W&B's client hangs."""
        timer = threading.Timer(self.finish_timeout_s + GRACE_S, os._exit, (1,))
        timer.daemon = True
        timer.start()


def messages(lines: TextIO) -> Iterator[dict[str, Any]]:
    """Yield the messages of a pipe; a run that was killed in the middle of one ends as crashed."""
    for line in lines:
        try:
            message = json.loads(line)
        except json.JSONDecodeError:
            break
        yield message
        if message.get("do") == "finish":
            return
    yield {"do": "finish", "exit_code": 1}


def main(report_fd: int) -> None:
    """Serve the run that started this process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    pipe = os.fdopen(report_fd, "w", buffering=1)

    def report(**event: object) -> None:
        try:
            pipe.write(json.dumps(event) + "\n")
        except OSError:
            print("the run is gone", file=sys.stderr)

    worker = Worker(report)
    with worker.held:
        for message in messages(sys.stdin):
            if message["do"] == "start" or worker.run is not None:
                worker.handle(message)


def _first_line(error: BaseException) -> str:
    text = next(iter(str(error).splitlines()), "")
    return text or type(error).__name__


if __name__ == "__main__":
    main(int(sys.argv[1]))
