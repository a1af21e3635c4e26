"""The commands, from another shell, while a sweep runs and after it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.fakes import grid, most_at_once
from tests.slurm.launched import Launched

pytestmark = pytest.mark.slurm
Make = Callable[..., Launched]
RUNS = {
    name: [["shared", 0.4, [], "gpu"], [f"own-{name}", 0.4, ["shared"], "gpu"]] for name in ("a", "b")
}  # fmt: skip


@pytest.mark.parametrize("cluster", [("shim", "yes"), ("none", "yes")], indirect=True)
def test_commands_while_running_and_after(cluster: Cluster, sweep: Make) -> None:
    one = sweep(RUNS)
    hold = one.tell("shared", "hold")
    one.submit()
    one.wait_for_hold("shared")
    running = json.loads(one.command("status", "--json").stdout)
    states = {job["name"]: job["state"] for job in running["jobs"]}
    assert states == {"shared-1": "running", "a": "waiting", "b": "waiting"}
    assert running["jobs"][1]["why"] == "for shared-1"
    assert running["jobs"][0]["stage"] == "step shared · sleep_on_gpu"
    assert "shared-1" in one.command("status").stdout
    following = one.start("logs", "sweep", "--follow")
    hold.unlink()
    watched = one.command("watch", "--json")
    assert watched.returncode == 0, watched.stderr
    last = {line["name"]: line["state"] for line in map(json.loads, watched.stdout.splitlines())}
    assert last == {"shared-1": "done", "a": "done", "b": "done"}
    followed, _ = following.communicate(timeout=120)
    assert all(f"--- {name} " in followed for name in ("shared-1", "a", "b"))
    assert "shared-1" in one.command("watch", "sweep").stdout
    logs = one.command("logs", "a").stdout
    assert "--- shared-1" in logs
    assert "(step shared)" in logs, "a job tells which stages it computes"
    assert "--- a " in logs
    assert "--- b " not in logs
    files = json.loads(one.command("logs", "a", "--json").stdout)
    assert [(row["job"], row["exists"]) for row in files] == [("shared-1", True), ("a", True)]
    assert "2/2" in one.command("list").stdout
    listed = json.loads(one.command("list", "--json").stdout)
    assert [(row["name"], row["runs_done"], row["state"]) for row in listed] == [("sweep", 2, "done")]
    assert "everything is done already" in one.command("resume", "sweep").stdout
    assert json.loads(one.command("resume", "sweep", "--json").stdout)["finished"]


@pytest.mark.parametrize("cluster", [("shim", "yes"), ("none", "yes")], indirect=True)
def test_days_later_when_slurm_has_forgotten_the_jobs(cluster: Cluster, sweep: Make) -> None:
    """What failed is still failed, what waited for it blocked, and `resume` runs both."""
    one = sweep(RUNS)
    broken = one.tell("own-a", "fail")
    one.submit()
    one.wait_until_over()
    cluster.forget()
    status = json.loads(one.command("status", "--json").stdout)
    assert {job["name"]: job["state"] for job in status["jobs"]} == {"shared-1": "done", "a": "failed", "b": "done"}
    assert "own-a: told to fail" in status["runs"][0]["why"]
    assert "--- a " in one.command("logs", "a").stdout
    assert "nothing to cancel" in one.command("cancel", "sweep").stdout
    broken.unlink()
    assert one.command("resume", "sweep").returncode == 0
    assert one.wait_until_over().finished
    one.check_results()


def test_cancelling_a_run_leaves_the_others(cluster: Cluster, sweep: Make) -> None:
    one = sweep(RUNS)
    hold = one.tell("shared", "hold")
    one.submit()
    one.wait_for_hold("shared")
    done = one.command("cancel", "b", "--json")
    assert json.loads(done.stdout)["cancelled"] == ["b"]
    hold.unlink()
    status = one.wait_until_over()
    assert {run.name: run.state for run in status.runs} == {"a": "done", "b": "cancelled"}
    assert one.events("own-b") == []
    one.resume()
    assert one.wait_until_over().finished
    one.check_results()


def test_throttle_keeps_the_limit_across_arrays(cluster: Cluster, sweep: Make) -> None:
    one = sweep(grid(["dpo", "ipo", "simpo"], ["both", "contrast"], seconds=0.6))
    one.submit(max_running=2)
    assert one.wait_until_over(240).finished
    one.check_results()
    assert most_at_once(one.control) <= 2
