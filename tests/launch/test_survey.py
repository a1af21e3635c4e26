"""Judging jobs: artifacts first, then heartbeats, then attempts and the scheduler's word."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from launch import attempts, progress, slurm, survey, watch
from launch.slurm import Seen
from launch.states import State
from launch.survey import JobStatus
from launch.sweep import Submission, load, write_cancelled, write_submitted
from mt.errors import LaunchError
from tests.slurm import fakes
from tests.slurm.launched import Launched

Make = Callable[..., Launched]


@pytest.fixture
def one(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> Launched:
    """Two jobs, submitted as 1 and 2; the second waits for the first."""
    made = sweep({"run": [["train", 0.2, [], "gpu"], ["judge", 0.2, ["train"], "network"]]})
    made.write()
    here = {name: Submission.now(job_id) for name, job_id in (("run", "1"), ("run-judge", "2"))}
    write_submitted(made.folder, here)
    says(monkeypatch, {})
    return made


def says(monkeypatch: pytest.MonkeyPatch, told: Mapping[str, Seen]) -> None:
    monkeypatch.setattr(survey.slurm, "states", lambda ids: dict(told))


def judged(one: Launched) -> list[tuple[str, str]]:
    return [(job.state, job.why) for job in one.status.jobs]


def test_what_waits_says_for_what(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, {"1": Seen("PENDING", "Resources"), "2": Seen("PENDING", "Dependency")})
    assert judged(one) == [("queued", "for a free node (Resources)"), ("waiting", "for run")]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", "its nodes are down or reserved (ReqNodeNotAvail, Un"),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
            "its nodes are",
        ),
        ("QOSMaxJobsPerUserLimit", "QOSMaxJobsPerUserLimit"),
        ("PartitionTimeLimit", "its partition allows less than time_min (Part"),
        ("launch failed requeued held", "held until scontrol release, because its node could not"),
    ],
)
def test_the_commonest_reasons_are_put_in_words(
    one: Launched, monkeypatch: pytest.MonkeyPatch, reason: str, words: str
) -> None:
    says(monkeypatch, {"1": Seen("PENDING", reason)})
    state, why = judged(one)[0]
    assert state == "queued" and why.startswith(words)
    assert len(why) < 80


def test_a_submission_that_was_interrupted_is_held(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, {"1": Seen("PENDING", "JobHeldUser"), "2": Seen("PENDING", "JobHeldUser")})
    assert [state for state, _ in judged(one)] == ["held", "held"]


def test_a_heartbeat_counts_more_than_the_scheduler(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    progress.Reporter(one.folder, "run").close()
    says(monkeypatch, {"1": Seen("NODE_FAIL"), "2": Seen("PENDING", "Dependency")})
    assert judged(one)[0] == ("running", "")


@pytest.mark.parametrize(
    ("age_s", "why"),
    [
        (-600, ""),
        (90, ""),  # a busy node, a file system that shows files as they were a minute ago
        (600, "its last heartbeat is 10 minutes old (a slow node, or a clock that is behind)"),
    ],
)
def test_where_the_heartbeat_is_old_the_scheduler_says_what_runs(
    age_s: int, why: str, one: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress.Reporter(one.folder, "run").close()
    attempts.begin(attempts.file_of(one.folder, "run"), "1", (0, 0.0))
    stamp = time.time() - age_s
    os.utime(progress.file_of(one.folder, "run"), (stamp, stamp))
    says(monkeypatch, {"1": Seen("RUNNING")})
    assert judged(one)[0] == ("running", why)
    says(monkeypatch, {})
    assert judged(one)[0][0] == "lost"


def test_a_job_whose_work_ended_is_starting_again(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    progress.Reporter(one.folder, "run").close()
    attempts.begin(attempts.file_of(one.folder, "run"), "1", (0, 0.0))
    progress.retire(progress.file_of(one.folder, "run"))
    says(monkeypatch, {"1": Seen("RUNNING")})
    assert judged(one)[0] == ("running", "starting")


def test_an_attempt_that_begins_in_the_future_took_no_time_yet(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "timestamp", lambda: "2999-01-01T00:00:00+00:00")
    attempts.begin(attempts.file_of(one.folder, "run"), "1", (0, 0.0))
    says(monkeypatch, {"1": Seen("RUNNING")})
    assert one.status.jobs[0].elapsed_s == 0.0


def test_artifacts_count_more_than_anything_else(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in load(one.folder).stages:
        file = one.store.root / entry.address / "artifact.json"
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    says(monkeypatch, {"1": Seen("FAILED"), "2": Seen("FAILED")})
    assert [state for state, _ in judged(one)] == ["done", "failed"], "the run's record is still missing"
    (one.folder / "run").mkdir()
    (one.folder / "run" / "record.json").write_text('{"state": "finished"}')
    assert judged(one) == [("done", ""), ("done", "")]
    assert one.status.finished


def test_a_failure_is_reported_by_the_attempt_and_blocks_what_follows(
    one: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = attempts.file_of(one.folder, "run")
    attempts.end(file, attempts.begin(file, "1", (0, 0.0)), State.FAILED, "disk full")
    for told in ({}, {"1": Seen("FAILED"), "2": Seen("CANCELLED")}):
        says(monkeypatch, told)
        assert judged(one) == [("failed", "disk full"), ("blocked", "run failed")]
    assert one.status.runs[0].state == "failed"
    assert one.status.runs[0].why == "disk full"


def test_what_nobody_knows_any_more_is_lost(one: Launched) -> None:
    assert judged(one)[0][0] == "lost"
    assert not one.status.active


def test_files_still_speak_where_the_scheduler_cannot_be_asked(
    one: Launched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    file = attempts.file_of(one.folder, "run")
    attempts.end(file, attempts.begin(file, "1", (0, 0.0)), State.FAILED, "disk full")
    assert judged(one) == [("failed", "disk full"), ("blocked", "run failed")]
    assert "squeue" in one.status.note
    attempts.begin(file, "1", (0, 0.0))
    assert judged(one)[0] == ("unknown", "the scheduler could not be asked")
    assert one.status.may_go_on
    assert not one.status.active
    with pytest.raises(LaunchError, match="squeue: not on the path"):
        survey.survey(one.folder, load(one.folder), strict=True)


def test_a_queued_again_job_says_why(one: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    file = attempts.file_of(one.folder, "run")
    attempts.end(file, attempts.begin(file, "1", (0, 0.0)), State.CANCELLED, "preempted")
    says(monkeypatch, {"1": Seen("PENDING", "BeginTime"), "2": Seen("PENDING", "Dependency")})
    assert judged(one)[0] == ("queued", "again after: preempted")
    says(monkeypatch, {"1": Seen("PENDING", "Priority"), "2": Seen("PENDING", "Dependency")})
    assert judged(one)[0] == ("queued", "for jobs that go first (Priority); again after: preempted")
    says(monkeypatch, {"1": Seen("SPECIAL_EXIT", "job requeued in held state")})  # scontrol requeuehold
    assert judged(one)[0] == ("queued", "held until scontrol release; again after: preempted")


def test_a_cancelled_job_is_cancelled_until_it_is_submitted_again(
    one: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cancelled(one.folder, ["run"])
    assert judged(one)[0] == ("cancelled", "")
    write_submitted(one.folder, {"run": Submission.now("7")})
    says(monkeypatch, {"7": Seen("PENDING", "Priority")})
    assert judged(one)[0] == ("queued", "for jobs that go first (Priority)")


def test_progress_of_the_running_stage_is_shown(one: Launched) -> None:
    entry = next(stage for stage in load(one.folder).stages if stage.label == "step train")
    reporter = progress.Reporter(one.folder, "run")
    stage = fakes.FakeRun({"stages": one.runs["run"], "control": str(one.control)}).plan.order[0]
    assert stage.key == entry.key
    reporter.started(stage)
    reporter.progress(stage, 0, 4, "steps", {})
    reporter.progress(stage, 4, 4, "steps", {})
    reporter.close()
    job: JobStatus = one.status.jobs[0]
    assert (job.stage, job.fraction) == ("step train · sleep_on_gpu", 1.0)


def test_squeue_and_sacct_are_read_alike() -> None:
    squeue = "7|RUNNING|n1|None\n8|CANCELLED||None\n6_0|PENDING||Dependency\n"
    sacct = "9_3|CANCELLED by 1000|n2\n4_[0-3%2]|CANCELLED|None assigned\n"
    banner = "Welcome | to | the cluster\n\n*** maintenance on day 7 ***\n"
    found = slurm.read_states(banner + squeue + banner + sacct, ["7", "8_0", "8_1", "6_0", "6_1", "9_3", "4_2", "5"])
    assert {job: seen.state for job, seen in found.items()} == {
        "7": "RUNNING",
        "8_0": "CANCELLED",
        "8_1": "CANCELLED",
        "6_0": "PENDING",
        "9_3": "CANCELLED",
        "4_2": "CANCELLED",
    }
    assert found["6_0"].reason == "Dependency"
    assert found["7"] == Seen("RUNNING", "", "n1")
    assert found["4_2"].node == "", "it ran nowhere"


@pytest.mark.parametrize("sacct", ["exit 1", "exit 0", None])
def test_squeue_counts_where_accounting_does_not_answer(
    sacct: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in (("squeue", "echo '7|RUNNING|n1|None'"), ("sacct", sacct)):
        if body is not None:
            (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
            (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.states(["7", "8"]) == {"7": Seen("RUNNING", "", "n1")}


def test_the_cluster_of_the_environment_is_asked_and_submitted_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of SLURM's commands read SLURM_CLUSTERS, but sacct, which has to be told; our own job's variables go."""
    monkeypatch.setenv("SLURM_CLUSTERS", "far")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    for name, line in (("squeue", "CLUSTER: far"), ("sacct", "7|TIMEOUT|n1 $*")):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{line}"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "--clusters far" in slurm.states(["7"])["7"].node
    with slurm._outside_any_job():
        assert (os.environ.get("SLURM_CLUSTERS"), os.environ.get("SLURM_JOB_ID")) == ("far", None)


def test_watching_outlasts_a_scheduler_that_does_not_answer(
    one: Launched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: Iterator[Mapping[str, Seen] | None] = iter(
        [{"1": Seen("PENDING")}, None, None, {"1": Seen("FAILED"), "2": Seen("CANCELLED")}]
    )

    def answer(ids: object) -> Mapping[str, Seen]:
        if (told := next(answers)) is None:
            raise LaunchError("squeue: SLURM did not answer")
        return told

    monkeypatch.setattr(survey.slurm, "states", answer)
    monkeypatch.setattr(watch, "_POLL_S", 0.0)
    assert watch.main(["--runs", str(one.folder.parent), "--json", "sweep"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [job["state"] for job in told if job["name"] == "run"] == ["queued", "unknown", "failed"]
