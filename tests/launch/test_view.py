"""The status table as a user reads it in a terminal of 120 columns."""

from __future__ import annotations

import io

from rich.console import Console

from launch.states import State
from launch.survey import JobStatus, RunStatus, SweepStatus
from launch.view import changes, render

RUNS = ["mutual_taught-dpo-both-s0-3f2a1c", "mutual_taught-simpo-contrast-s0-5be7f3"]


def job(name: str, state: State, why: str = "", stage: str = "", attempt: int = 0) -> JobStatus:
    return JobStatus(
        name=name,
        runs=RUNS,
        state=state,
        why=why,
        done=2,
        total=8,
        stage=stage,
        fraction=0.43 if stage else None,
        attempt=attempt,
        id="45424165_1",
        node="n2",
        elapsed_s=63.0 if stage else None,
        left_s=125.0 if stage else None,
    )


STATUS = SweepStatus(
    name="six",
    folder="runs/six",
    jobs=[
        job("shared-1", State.RUNNING, "again after: killed by SIGKILL", "iteration 1 · train_policy", 2),
        job(RUNS[0], State.WAITING, "for shared-1"),
        job(RUNS[1], State.BLOCKED, f"{RUNS[0]} failed"),
    ],
    runs=[RunStatus(name, State.WAITING, "for shared-1", 10, 33) for name in RUNS],
    note="",
)


def printed(status: SweepStatus) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(render(status))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_row_says_attempt_node_elapsed_estimate_and_progress() -> None:
    rows = printed(STATUS)
    assert "job state stages try where time left what" in rows
    head = next(row for row in rows if row.startswith("shared-1"))
    assert "running 2/8 2 45424165_1@n2 1:03 ~2:05 iteration 1 · train_policy 43%" in head


def test_what_the_names_of_all_runs_begin_with_is_left_away_among_the_jobs() -> None:
    rows = printed(STATUS)
    assert "dpo-both-s0-3f2a1c waiting 2/8 45424165_1@n2 for shared-1" in rows
    assert "simpo-contrast-s0-5be7f3 blocked 2/8 45424165_1@n2 dpo-both-s0-3f2a1c failed" in rows
    assert f"{RUNS[0]} waiting 10/33 for shared-1" in rows


def test_only_changes_are_reported() -> None:
    told: list[str] = []
    show = changes(lambda one: one.state, lambda one: told.append(one.name))
    show(STATUS)
    show(STATUS)
    assert told == [one.name for one in STATUS.jobs]
