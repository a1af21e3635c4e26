"""What a cluster does to jobs, and the sweep survives: nothing published runs again, and the results are the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launch import attempts, slurm
from launch.sweep import load
from tests.slurm.cluster import Cluster
from tests.slurm.disturb import preempt, work_process
from tests.slurm.fakes import grid
from tests.slurm.launched import PROJECT, Launched

pytestmark = pytest.mark.slurm

Make = Callable[..., Launched]


ONE_RUN = {"run": [["first", 0.4, [], "gpu"], ["second", 1.0, ["first"], "gpu"], ["third", 0.4, ["second"], "gpu"]]}


def submit_and_hold(one: Launched) -> Path:
    """Submit `ONE_RUN` and wait until its second stage stands still; removing the returned file lets it go on."""
    hold = one.tell("second", "hold")
    one.submit()
    one.wait_for_hold("second")
    return hold


def wait_until_stopped(one: Launched, cluster: Cluster) -> None:
    """Wait until the only job does not run any more."""
    job = one.job("run").id
    one.wait(lambda status: cluster.state(job) != "RUNNING", "the disturbance", 180)


def outcomes(one: Launched, job: str = "run") -> list[str]:
    """How the attempts of a job ended."""
    return [attempt.state for attempt in attempts.read(attempts.file_of(one.folder, job))]


def check_outcomes(one: Launched, *expected: str) -> None:
    """The attempts ended so; the last one does a moment after the last artifact is there."""
    one.wait(lambda status: outcomes(one) == list(expected), f"attempts to be {expected}, not {outcomes(one)}", 20)


def resumed(one: Launched, label: str) -> None:
    """The interrupted stage went on from its scratch, and the one before it did not run again."""
    assert one.events("first") == ["start", "done"]
    assert one.events(label).count("start") == 2
    one.check_results()


@pytest.mark.parametrize("cluster", [("shim", "yes"), ("shim", "no"), ("none", "no")], indirect=True)
def test_preemption(cluster: Cluster, sweep: Make) -> None:
    """With a user signal the job queues itself again; without one SLURM does, and the store says where to go on."""
    one = sweep(ONE_RUN)
    hold = submit_and_hold(one)
    preempt(cluster)
    wait_until_stopped(one, cluster)
    hold.unlink()
    assert one.wait_until_over(180).finished
    check_outcomes(one, "cancelled", "done")
    resumed(one, "second")
    assert cluster.final_state(one.job("run").id) == "COMPLETED"


def test_time_limit(cluster: Cluster, sweep: Make) -> None:
    one = sweep(ONE_RUN)
    hold = submit_and_hold(one)
    cluster.run("scontrol", "update", f"jobid={one.job('run').id}", "timelimit=1")
    one.wait(lambda status: len(outcomes(one)) == 2, "a second attempt", 180)
    cluster.run("scontrol", "update", f"jobid={one.job('run').id}", "timelimit=10")
    hold.unlink()
    assert one.wait_until_over(180).finished
    check_outcomes(one, "cancelled", "done")
    resumed(one, "second")


@pytest.mark.parametrize("how", [("requeue",), ("requeuehold", "State=SpecialExit")])
def test_requeue_by_hand(cluster: Cluster, sweep: Make, how: tuple[str, ...]) -> None:
    one = sweep(ONE_RUN)
    hold = submit_and_hold(one)
    cluster.run("scontrol", *how, one.job("run").id)
    wait_until_stopped(one, cluster)
    hold.unlink()
    if "requeuehold" in how:
        held = one.wait(lambda status: "held until scontrol release" in status.jobs[0].why, "the hold")
        assert held.jobs[0].state == "queued"
        cluster.run("scontrol", "release", one.job("run").id)
    assert one.wait_until_over(180).finished
    resumed(one, "second")


def test_node_failure(cluster: Cluster, sweep: Make) -> None:
    one = sweep(ONE_RUN)
    hold = submit_and_hold(one)
    node = cluster.node_of(one.job("run").id)
    cluster.kill_node(node)
    try:
        wait_until_stopped(one, cluster)
        hold.unlink()
        assert one.wait_until_over(240).finished
    finally:
        cluster.start_node(node)
    check_outcomes(one, "lost", "done")
    resumed(one, "second")


def test_killed_worker_is_started_again_in_the_same_job(cluster: Cluster, sweep: Make) -> None:
    one = sweep(ONE_RUN)
    hold = submit_and_hold(one)
    work_process(one.folder, "run").kill()
    one.wait(lambda status: len(outcomes(one)) == 2, "a second attempt")
    hold.unlink()
    assert one.wait_until_over().finished
    check_outcomes(one, "lost", "done")
    resumed(one, "second")
    assert cluster.final_state(one.job("run").id) == "COMPLETED"


@pytest.mark.parametrize("cluster", [("shim", "yes"), ("none", "yes")], indirect=True)
def test_killed_supervisor_is_a_failure_that_resume_fixes(cluster: Cluster, sweep: Make) -> None:
    one = sweep(ONE_RUN)
    hold = submit_and_hold(one)
    worker = work_process(one.folder, "run")
    supervisor = worker.parent()
    assert supervisor is not None
    supervisor.kill()
    one.wait(lambda status: status.jobs[0].state == "failed", "the failure")
    assert not worker.is_running(), "the work must die with its supervisor"
    assert cluster.final_state(one.job("run").id) == "FAILED"
    hold.unlink()
    one.resume()
    assert one.wait_until_over().finished
    resumed(one, "second")


DEATHS = {
    "before it is written down": "create.save = lambda *arguments: die()",
    "before the first job": "slurm.submit = lambda *arguments: die()",
    "between a job and its id": "slurm.submit = third(slurm.submit)",
    "before the release": "slurm.release = lambda *arguments: die()",
}


@pytest.mark.parametrize("moment", DEATHS)
def test_killed_submission_leaves_nothing_running_and_can_be_resumed(
    moment: str, cluster: Cluster, sweep: Make, tmp_path: Path
) -> None:
    """Whenever the command dies: what it submitted is on hold, and `resume` submits and releases the rest."""
    one = sweep(grid(["dpo", "ipo"], ["both", "contrast"], seconds=0.2))
    script = tmp_path / "submit.py"
    script.write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from launch import create, slurm\n"
        "from mt.workflow.store import Store\n"
        "from tests.slurm.launched import Launched\n"
        "def die():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "def third(submit, made=[]):\n"
        "    def dying(*arguments):\n"
        "        made.append(submit(*arguments))\n"
        "        return die() if len(made) == 3 else made[-1]\n"
        "    return dying\n"
        f"{DEATHS[moment]}\n"
        f"Launched(Path({str(one.folder)!r}), Path({str(one.control)!r}), Store(Path({str(one.store.root)!r})),\n"
        f"    {one.runs!r}).submit()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    killed = subprocess.run([sys.executable, script], cwd=PROJECT, env=environment, timeout=60)
    assert killed.returncode == -9
    time.sleep(3)
    assert one.events("sample") == [], "what was submitted must not run before it is written down"
    written = moment != "before it is written down"
    orphans = set(slurm.tagged(load(one.folder).tag)) - {job.id for job in one.status.jobs} if written else set()
    assert bool(orphans) == (moment == "between a job and its id")
    if written:
        one.resume()
    else:
        one.submit()
    assert one.wait_until_over(180).finished
    assert all(cluster.state(orphan) == "CANCELLED" for orphan in orphans)
    one.check_results()


def test_failed_stage_stops_its_dependants_only_and_resume_runs_the_rest(cluster: Cluster, sweep: Make) -> None:
    one = sweep(grid(["dpo", "ipo"], ["both", "contrast"]))
    broken = one.tell("train-ipo", "fail")
    one.submit()
    status = one.wait_until_over()
    states = {job.name: job.state for job in status.jobs}
    assert {run.name: run.state for run in status.runs} == {
        "dpo-both": "done",
        "dpo-contrast": "done",
        "ipo-both": "failed",
        "ipo-contrast": "failed",
    }
    failed = next(job for job in status.jobs if job.state == "failed")
    assert "train-ipo: told to fail" in failed.why
    assert cluster.final_state(failed.id) == "FAILED"
    blocked = [job for job in status.jobs if job.name.startswith("ipo-")]
    assert blocked and all(job.state == "blocked" and failed.name in job.why for job in blocked), states
    assert {cluster.final_state(job.id) for job in blocked} == {"CANCELLED"}
    before = {label: one.events(label) for label in ("sample", "score", "train-dpo", "reward-dpo-both")}
    broken.unlink()
    one.resume()
    assert one.wait_until_over().finished
    one.check_results()
    assert before == {label: one.events(label) for label in before}
    assert len(load(one.folder).job["dpo-both"].submissions) == 1


def test_a_signal_before_the_handler_exists_ends_nothing(cluster: Cluster, sweep: Make) -> None:
    one = sweep(ONE_RUN)
    one.submit()
    job = one.job("run").id
    one.wait(lambda status: cluster.state(job) == "RUNNING", "the job to start")
    for number in range(5):
        # A job that an earlier signal has stopped already takes no more: it starts again.
        subprocess.run(["scancel", "--signal=USR2", job], env=os.environ, check=number == 0)
        time.sleep(0.05)
    assert one.wait_until_over(180).finished
    one.check_results()
    assert cluster.final_state(job) == "COMPLETED"


def test_two_sweeps_at_once_share_their_stages(cluster: Cluster, sweep: Make) -> None:
    first = sweep(grid(["dpo"], ["both"], seconds=1.5), "first")
    second = sweep(grid(["dpo"], ["both", "contrast"], seconds=1.5), "second")
    first.submit()
    second.submit()
    assert first.wait_until_over(180).finished
    assert second.wait_until_over(180).finished
    first.check_results()
    second.check_results()


@pytest.mark.parametrize("cluster", [("shim", "yes"), ("none", "yes")], indirect=True)
def test_a_stage_that_gets_nowhere_stops_with_the_reason(cluster: Cluster, sweep: Make) -> None:
    one = sweep(ONE_RUN)
    killer = one.tell("second", "die")
    one.submit(max_attempts=2)
    status = one.wait_until_over()
    (job,) = status.jobs
    assert job.state == "failed"
    assert "no progress in 2 attempts" in job.why
    assert "second" not in one.events("third")
    assert cluster.final_state(job.id) == "FAILED"
    killer.unlink()
    one.resume()
    assert one.wait_until_over().finished
    assert one.events("first") == ["start", "done"]
    one.check_results()


def test_cancelled_sweep_stops_at_once_and_can_be_resumed(cluster: Cluster, sweep: Make) -> None:
    one = sweep(ONE_RUN)
    hold = submit_and_hold(one)
    done = one.command("cancel", "sweep")
    assert done.returncode == 0, done.stderr
    assert one.wait_until_over().jobs[0].state == "cancelled"
    assert cluster.final_state(one.job("run").id) == "CANCELLED"
    hold.unlink()
    one.resume()
    assert one.wait_until_over().finished
    resumed(one, "second")
