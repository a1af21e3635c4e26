"""Who may stop a sweep, and that nothing is written down by a cancel that cannot be."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from launch import attempts, progress, slurm
from launch.cancel import affected, cancel
from launch.sweep import EVENTS, Submission, driver, driving, load, write_submitted
from mt.errors import LaunchError
from tests.slurm import fakes
from tests.slurm.launched import Launched

Make = Callable[..., Launched]


ELSEWHERE = {"pid": 1, "host": "elsewhere", "namespace": 0, "started": 0.0, "job": None, "token": "t"}


@pytest.fixture
def driven(sweep: Make) -> Iterator[Launched]:
    """A local sweep that a command on another machine is at work on."""
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write("local")
    lock, ended = one.folder / ".driver.1", threading.Event()
    lock.write_text(json.dumps(ELSEWHERE))

    def beat() -> None:
        while not ended.wait(0.05):
            os.utime(lock)

    beating = threading.Thread(target=beat)
    beating.start()
    yield one
    ended.set()
    beating.join()


def test_one_command_at_a_time(driven: Launched) -> None:
    found = driver(driven.folder)
    assert found is not None and (found.pid, found.host) == (1, "elsewhere")
    with pytest.raises(LaunchError, match=r"at work on it \(process 1 on elsewhere\)"), driving(driven.folder):
        pass


def test_a_command_does_not_meet_itself(sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    with driving(one.folder):
        assert driver(one.folder) is None
    assert driver(one.folder) is None


def test_what_an_earlier_version_left_is_in_nobodys_way(sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write("local")
    (one.folder / ".driver").write_text("1 elsewhere")
    assert driver(one.folder) is None
    with driving(one.folder):
        pass


def test_a_file_system_without_locks_is_one_line(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "link", refuse)
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    with (
        pytest.raises(LaunchError, match=r"runs=.*takes no locks \(Function not implemented\).*runs=DIR"),
        driving(one.folder),
    ):
        pass
    assert driver(one.folder) is None


def test_processes_of_another_machine_are_left_alone(driven: Launched) -> None:
    with pytest.raises(LaunchError, match=r"its processes run on elsewhere.*Give the same command on elsewhere"):
        cancel(driven.folder, None)
    assert not (driven.folder / EVENTS).exists()


def test_jobs_of_another_machine_are_left_alone(sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write("local")
    write_submitted(one.folder, {"run": Submission(id="1", host="elsewhere", time="")})
    attempts.begin(attempts.file_of(one.folder, "run"), "1", (0, 0.0))
    progress.Reporter(one.folder, "run").close()
    with pytest.raises(LaunchError, match="its processes run on elsewhere"):
        cancel(one.folder, "run")
    assert not load(one.folder).job["run"].cancelled


def test_a_cancel_while_another_command_submits_changes_nothing(
    driven: Launched, sweep: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "states", lambda ids: {})
    one = sweep({"run": [["only", 0.2, [], "gpu"]]}, "other")
    one.write("slurm")
    (one.folder / ".driver.1").hardlink_to(driven.folder / ".driver.1")
    with pytest.raises(LaunchError, match="another command is at work on it"):
        cancel(one.folder, None)
    assert not (one.folder / EVENTS).exists()


def test_a_run_is_cancelled_without_what_it_shares(sweep: Make) -> None:
    one = sweep(fakes.grid(["dpo"], ["both", "contrast"]))
    one.write()
    found = load(one.folder)
    assert affected(found, None) == {job.name for job in found.jobs}
    assert affected(found, "dpo-both") == {"dpo-both", "dpo-both-judge"}
    assert affected(found, "shared-1") == {job.name for job in found.jobs}
