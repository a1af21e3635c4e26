"""Progress: what the running stage says, kept across attempts, with a heartbeat that a kill makes old."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from launch import progress
from launch.progress import Progress, Reporter
from mt.workflow.stage import Stage


@dataclass(frozen=True, eq=False)
class Step(Stage):
    label: str


def test_the_furthest_point_survives_a_new_attempt_at_the_same_stage(tmp_path: Path) -> None:
    file = progress.file_of(tmp_path, "job")
    first = Reporter(tmp_path, "job")
    first.started(Step("a"))
    first.progress(Step("a"), 6, 10, "rows", {})
    first.progress(Step("a"), 10, 10, "rows", {})
    first.close()
    second = Reporter(tmp_path, "job")
    second.started(Step("a"))
    assert progress.read(file).best == 1.0
    second.started(Step("b"))
    assert progress.read(file).best == 0.0
    second.close()


def test_a_retired_heartbeat_is_no_sign_of_life(tmp_path: Path) -> None:
    file = progress.file_of(tmp_path, "job")
    assert not progress.is_fresh(file)
    Reporter(tmp_path, "job").close()
    assert progress.is_fresh(file)
    progress.retire(file)
    assert not progress.is_fresh(file)


def test_only_stages_that_were_computed_are_listed(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path, "job")
    reporter.finished(Step("a"), {"seconds": 1.5})
    reporter.finished(Step("b"), None)
    reporter.close()
    assert [(one.key, one.seconds) for one in progress.computed(tmp_path, "job")] == [(Step("a").key, 1.5)]


def test_the_estimate_goes_by_the_speed_of_this_attempt() -> None:
    now = Progress(stage="key", done=60, total=100, first=40, started=1000.0)
    assert now.seconds_left(1010.0) == 20.0
    assert Progress(stage="key", done=40, total=100, first=40, started=1000.0).seconds_left(1010.0) is None
