"""However a run ends: one line for the user, the traceback in the log, a record that tells the truth."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

from mt.cli.execute import write_report
from mt.config.compose import compose_runs
from mt.errors import ConfigError, StoreError
from mt.methods.compile import CompiledRun
from mt.methods.run_graph import Iteration, RunGraph
from mt.plan import main as plan_command
from mt.running.checks import check, check_folders
from mt.running.execution import run
from mt.running.exit_codes import exit_status_of, say
from mt.running.naming import run_folder
from mt.running.record import Record
from mt.runtime.interruption import Interrupted
from mt.workflow.plan import plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import Work

NO_SPACE = OSError(errno.ENOSPC, "No space left on device", "here")


@dataclass(frozen=True, eq=False)
class Do(Stage):
    """Does what it is told to."""

    action: Callable[[], Any]
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"action"})

    def run(self, work: Work) -> None:
        self.action()
        (work.folder / "done").write_text("")


def sketch(tmp_path: Path, action: Callable[[], Any], *overrides: str) -> CompiledRun:
    (one,) = compose_runs([f"store={tmp_path / 'store'}", f"runs={tmp_path / 'runs'}", *overrides])
    stage = Do(action)
    return CompiledRun(one.config, RunGraph((Iteration(0, stage, stage),)), [], plan([stage]))


def fail(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


def execute(tmp_path: Path, action: Callable[[], Any]) -> int:
    def command() -> int:
        run(sketch(tmp_path, action), tmp_path / "demo", [])
        return 0

    return exit_status_of(command)


def record(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "demo" / "record.json").read_text())
    return found


@pytest.mark.parametrize(
    ("error", "status", "state", "said"),
    [
        (ZeroDivisionError("on purpose\nand more"), 1, "failed", "ZeroDivisionError: on purpose (the traceback is in"),
        (NO_SPACE, 2, "failed", "here: the disk is full. Free some space and run the same command to continue"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 2, "failed", "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "there"), 2, "failed", "there: Read-only file system. Allow"),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted; nothing is lost. Run the same command to continue"),
    ],
)
def test_what_stops_a_run_is_one_line_with_its_traceback_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, state: str, said: str
) -> None:
    assert execute(tmp_path, fail(error)) == status
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert record(tmp_path)["state"] == state
    assert "Traceback" in (tmp_path / "demo" / "run.log").read_text()
    assert execute(tmp_path, lambda: None) == 0
    assert record(tmp_path)["state"] == "finished"


def test_a_disk_too_full_for_the_record_is_reported_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        monkeypatch.setattr(Record, "write", lambda self, state: fail(NO_SPACE)())
        raise NO_SPACE

    assert execute(tmp_path, full) == 2
    assert capsys.readouterr().err == ("here: the disk is full. Free some space and run the same command to continue\n")


def test_a_second_interruption_does_not_keep_the_record_from_saying_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Record._link

    def impatient(self: Record) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        link(self)

    monkeypatch.setattr(Record, "_link", impatient)
    with pytest.raises(Interrupted):
        run(sketch(tmp_path, fail(KeyboardInterrupt())), tmp_path / "demo", [])
    assert record(tmp_path)["state"] == "interrupted"


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (NO_SPACE, 2)])
def test_what_stops_a_command_before_its_run_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int
) -> None:
    assert exit_status_of(fail(error)) == status
    assert capsys.readouterr().err.count("\n") == 1


def test_a_defect_outside_a_run_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_status_of(fail(ZeroDivisionError()))


@pytest.mark.parametrize("field", ["store", "runs"])
def test_folders_that_cannot_be_made_are_reported_before_the_run(tmp_path: Path, field: str) -> None:
    with pytest.raises(StoreError, match=rf"{field}=/proc/nowhere: cannot be made .*Set {field}=DIR"):
        check(sketch(tmp_path, lambda: None, f"{field}=/proc/nowhere"))


def named(tmp_path: Path, *overrides: str) -> Any:
    one = sketch(tmp_path, lambda: None, "name=mine", *overrides)
    return one, (one.config, run_folder(one.config))


def test_a_name_is_not_given_to_another_run(tmp_path: Path) -> None:
    one, first = named(tmp_path)
    Record(first[1], one, Store(tmp_path / "store")).begin()
    check_folders([first])  # the same run goes on
    check_folders([named(tmp_path, "generator.threads=3", "tracking=wandb")[1]])  # made otherwise, the same result
    for other in ("seed=7", "objective=ipo", "data.sizes.prompts=45"):
        with pytest.raises(ConfigError, match=rf"name=mine: .*other settings \({other.split('=')[0]}"):
            check_folders([named(tmp_path, other)[1]])
    (first[1] / "record.json").write_text("{")
    check_folders([named(tmp_path, "seed=7")[1]])  # nothing to lose


def test_the_runs_of_a_sweep_have_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name=mine: several runs of the sweep"):
        check_folders([named(tmp_path)[1], named(tmp_path, "seed=7")[1]])


def test_a_report_that_fails_takes_one_line_and_leaves_its_traceback_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.report.write", lambda folders, page: fail(ZeroDivisionError("on purpose"))())
    write_report([tmp_path], tmp_path / "report.html", Console(width=200))
    told = capsys.readouterr()
    assert told.out == "report   failed (ZeroDivisionError: on purpose)\n"
    assert told.err == ""
    assert "Traceback" in (tmp_path / "run.log").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "data.path={}: a folder, and a file is needed. Name a file in it, or set data=hub."),
        ("missing", "data.path={}: no such file"),
        ("x" * 5000, "…: the name is too long"),
    ],
)
def test_what_is_wrong_with_a_path_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / name
    overrides = ["data=jsonl", f"data.path={path}", f"policy.path={tmp_path}", f"reward.path={tmp_path}"]
    assert plan_command([*overrides, f"store={tmp_path}/store"]) == 2
    printed = capsys.readouterr().err
    assert said.format(path) in printed and printed.count("\n") == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("swallowed", [False, True])
def test_signals_that_come_together_are_one_interruption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: signal.Signals, swallowed: bool
) -> None:
    def asked() -> None:
        try:
            os.kill(os.getpid(), how)
        except KeyboardInterrupt:
            os.kill(os.getpid(), how)
            if swallowed:  # as lazy imports of libraries do
                raise ModuleNotFoundError("could not import") from None
            raise

    before = signal.getsignal(how)
    assert execute(tmp_path, asked) == 130
    told = capsys.readouterr().err
    assert told.startswith("interrupted; nothing is lost") and told.count("\n") == 1
    assert record(tmp_path)["state"] == "interrupted"
    assert signal.getsignal(how) is before
    assert exit_status_of(asked) == 130  # before there is a run
    assert capsys.readouterr().err.count("\n") == 1


def test_a_hang_up_is_not_heeded_where_the_process_was_started_to_ignore_it(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert execute(tmp_path, lambda: os.kill(os.getpid(), signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_that_still_imports_ends_with_one_line(tmp_path: Path) -> None:
    code = "import os, signal; from mt.runtime.interruption import end_at_once; end_at_once(); "
    code += "os.kill(os.getpid(), signal.SIGTERM); print('went on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; nothing is lost. Run the same command to continue\n"


@pytest.mark.parametrize("setting", ["generator.device", "scorer.device", "logprobs.device"])
def test_a_device_that_does_not_exist_is_refused_by_its_setting_before_the_run(tmp_path: Path, setting: str) -> None:
    for device, problem in (("cuda:99", "no such device on this machine"), ("gpu", "not a device")):
        with pytest.raises(ConfigError, match=rf"^{setting}={device}: {problem}\. Allowed: auto, cpu.*{setting}=auto"):
            check(sketch(tmp_path, lambda: None, f"{setting}={device}"))
    lacking: list[Exception] = []
    check(sketch(tmp_path, lambda: None, f"{setting}=cuda:99"), lacking.append)  # other machines may have it
    assert len(lacking) == 1


def test_a_line_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say("reward.function=package:x: [red] is no module")
    assert capsys.readouterr().err == "reward.function=package:x: [red] is no module\n"
