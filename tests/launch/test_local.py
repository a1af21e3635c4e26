"""`launch=local`: N jobs at a time on this machine, through submitit's local executor."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from launch.sweep import FILE, driver
from tests.slurm import fakes
from tests.slurm.launched import PROJECT, Launched

Make = Callable[..., Launched]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Launch sweeps in processes of their own, as a shell does; what still runs at the end is interrupted."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(one: Launched, **changes: object) -> subprocess.Popen[bytes]:
        started.append(_start(one, **changes))
        while not (one.folder / FILE).exists():
            assert started[-1].poll() is None
            time.sleep(0.1)
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
        process.wait(timeout=60)


def _start(one: Launched, **changes: object) -> subprocess.Popen[bytes]:
    script = (
        "from pathlib import Path; from mt.workflow.store import Store; from tests.slurm.launched import Launched\n"
        f"Launched(Path({str(one.folder)!r}), Path({str(one.control)!r}), Store(Path({str(one.store.root)!r})), "
        f"{one.runs!r}).submit('local', **{changes!r})"
    )
    return subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, stderr=subprocess.DEVNULL)


def test_shared_stages_are_computed_once_and_no_more_jobs_run_than_allowed(sweep: Make) -> None:
    one = sweep(fakes.grid(["dpo"], ["both", "contrast"], seconds=0.2))
    one.submit("local", max_running=1)
    assert one.status.finished
    one.check_results()
    assert fakes.most_at_once(one.control) == 1


def test_a_failed_stage_stops_its_dependants_only_and_resume_runs_the_rest(sweep: Make) -> None:
    one = sweep(fakes.grid(["dpo", "ipo"], ["both"], seconds=0.2))
    broken = one.tell("train-ipo", "fail")
    one.submit("local")
    assert {run.name: run.state for run in one.status.runs} == {"dpo-both": "done", "ipo-both": "failed"}
    assert "told to fail" in one.job("ipo-both").why
    before = one.events("train-dpo")
    broken.unlink()
    one.resume()
    assert one.status.finished
    one.check_results()
    assert one.events("train-dpo") == before


def test_work_that_a_decision_made_unnecessary_ends_well_and_computes_nothing(sweep: Make) -> None:
    """In jobs of their own: what is judged over the network after the decision, and what is trained after that."""
    stages = [
        ["train", 0.2, [], "gpu"],
        ["choose", 0.2, ["train"], "decide"],
        ["judge", 0.2, ["choose"], "network"],
        ["again", 0.2, ["judge"], "gpu"],
    ]
    one = sweep({"run": stages})
    one.tell("choose", "stop")
    one.submit("local")
    status = one.status
    assert status.finished and [job.state for job in status.jobs] == ["done"] * 3
    assert [(job.done, job.total) for job in status.jobs] == [(2, 2), (1, 1), (1, 1)]
    numbers = fakes.expected(stages)
    assert fakes.metrics(one.folder, "run") == {name: numbers[name] for name in ("train", "choose")}
    assert (one.events("judge"), one.events("again")) == ([], [])
    again = one.command("resume", "sweep")
    assert (again.returncode, again.stdout) == (0, "sweep: everything is done already\n")


def test_what_an_earlier_sweep_decided_is_not_submitted(sweep: Make) -> None:
    stages = [["choose", 0.2, [], "decide"], ["judge", 0.2, ["choose"], "network"]]
    first = sweep({"run": stages[:1]}, "first")
    first.tell("choose", "stop")
    first.submit("local")
    second = sweep({"run": stages}, "second")
    second.submit("local")
    assert second.status.finished and [job.total for job in second.status.jobs] == [0]
    assert second.events("judge") == []


def test_the_last_words_of_a_failed_job_s_workers_are_shown(sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "cpu"]], "other": [["fine", 0.2, [], "cpu"]]})
    broken = one.tell("only", "fail")
    one.submit("local")
    shown = one.command("status").stdout
    assert "--- run: the end of" in shown
    assert "worker-0.log\nloading\nonly is out of memory\n" in shown
    (words,) = json.loads(one.command("status", "--json").stdout)["last_words"]
    assert words["job"] == "run"
    assert words["lines"] == ["loading", "only is out of memory"]
    assert "only is out of memory" in one.command("logs", "run").stdout
    assert "out of memory" not in one.command("logs", "other").stdout
    broken.unlink()
    one.resume()
    assert one.status.finished
    assert "out of memory" not in one.command("status").stdout, "no job failed any more"


def test_an_interrupted_sweep_stops_its_processes_and_goes_on_where_it_was(sweep: Make, start: Start) -> None:
    one = sweep({"run": [["first", 0.2, [], "gpu"], ["second", 0.4, ["first"], "gpu"]]})
    one.tell("second", "hold")
    process = start(one)
    one.wait_for_hold("second")
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    assert not one.status.active
    assert "done" not in one.events("second")
    assert one.events("first") == ["start", "done"]


def test_cancel_from_another_shell_ends_the_command_and_its_processes(sweep: Make, start: Start) -> None:
    one = sweep({"run": [["first", 0.4, [], "gpu"]], "other": [["second", 0.4, [], "gpu"]]})
    one.tell("first", "hold")
    process = start(one, max_running=1)
    one.wait_for_hold("first")
    found = driver(one.folder)
    assert found is not None and (found.pid, found.host) == (process.pid, socket.gethostname())
    done = one.command("cancel", "sweep")
    assert done.returncode == 0, done.stderr
    process.wait(timeout=60)
    assert [job.state for job in one.status.jobs] == ["cancelled", "cancelled"]
    assert one.events("second") == []


def test_a_killed_worker_is_started_again(sweep: Make, start: Start) -> None:
    one = sweep({"run": [["only", 0.4, [], "gpu"]]})
    killer = one.tell("only", "die")
    process = start(one, max_attempts=50)
    one.wait(lambda status: status.jobs[0].attempt >= 2, "a second attempt")
    killer.unlink()
    process.wait(timeout=60)
    assert one.status.finished
    one.check_results()


def test_work_ends_with_its_supervisor(sweep: Make, start: Start) -> None:
    one = sweep({"run": [["only", 0.4, [], "gpu"]]})
    one.tell("only", "hold")
    process = start(one)
    one.wait_for_hold("only")
    below = psutil.Process(process.pid).children(recursive=True)
    (work,) = [child for child in below if "launch.work" in child.cmdline()]
    supervisor = work.parent()
    assert supervisor is not None
    supervisor.kill()
    work.wait(timeout=60)
    process.wait(timeout=60)


def test_jobs_that_need_gpus_have_their_own_and_others_none(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three jobs that may run at once, two need a GPU: there is only one, so that they take turns."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1f0c")
    one = sweep({name: [[name, 0.4, [], kind]] for name, kind in (("a", "gpu"), ("b", "gpu"), ("c", "network"))})
    one.submit("local", max_running=3)
    one.check_results()
    lines = [line.split() for line in (one.control / "all.log").read_text().splitlines()]
    assert [line for line in lines if line[1] == "c"] == [["start", "c"], ["done", "c"]]
    first, second = [line for line in lines if line[1] != "c"][::2]
    assert first[::2] == second[::2] == ["start", "GPU-1f0c"]
    assert [line[1] for line in lines if line[1] != "c"] == [first[1]] * 2 + [second[1]] * 2


def test_jobs_share_the_cpus(sweep: Make) -> None:
    cpus = os.sched_getaffinity(0)
    one = sweep({name: [[name, 0.2, [], "cpu"]] for name in "ab"})
    one.submit("local", max_running=2)
    own = [set(json.loads((one.control / f"{name}.cpus").read_text())) for name in "ab"]
    assert own[0] | own[1] == cpus
    assert not own[0] & own[1] or len(cpus) == 1
