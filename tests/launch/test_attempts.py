"""Attempts: written as they happen, read after any kill, and counted while they get nowhere."""

from __future__ import annotations

from pathlib import Path

from launch import attempts
from launch.states import State


def test_attempts_are_read_as_they_ended(tmp_path: Path) -> None:
    file = tmp_path / "attempts" / "job.jsonl"
    first = attempts.begin(file, "7", (0, 0.0))
    attempts.end(file, first, State.CANCELLED, "time limit")
    attempts.begin(file, "7", (1, 0.5))
    read = attempts.read(file)
    assert [(one.number, one.state, one.reason, one.mark) for one in read] == [
        (1, "cancelled", "time limit", (0, 0.0)),
        (2, "running", "", (1, 0.5)),
    ]


def test_an_attempt_that_never_said_how_it_ended_was_lost(tmp_path: Path) -> None:
    file = tmp_path / "job.jsonl"
    attempts.begin(file, "7", (0, 0.0))
    attempts.begin(file, "7", (0, 0.0))
    assert [one.state for one in attempts.read(file)] == ["lost", "running"]


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "job.jsonl"
    attempts.begin(file, "7", (0, 0.0))
    with file.open("a") as lines:
        lines.write('{"number": 2, "id"')
    assert [one.number for one in attempts.read(file)] == [1]


def test_only_attempts_since_the_last_progress_count(tmp_path: Path) -> None:
    file = tmp_path / "job.jsonl"
    for mark in [(0, 0.0), (0, 0.0), (1, 0.2), (1, 0.2)]:
        attempts.begin(file, "7", mark)
    past = attempts.read(file)
    assert attempts.without_progress(past, "7", (1, 0.2)) == 2
    assert attempts.without_progress(past, "7", (1, 0.3)) == 0
    assert attempts.without_progress(past, "7", (2, 0.0)) == 0
    assert attempts.without_progress(past[:2], "7", (0, 0.0)) == 2


def test_a_new_submission_starts_counting_anew(tmp_path: Path) -> None:
    file = tmp_path / "job.jsonl"
    attempts.begin(file, "7", (0, 0.0))
    attempts.begin(file, "8", (0, 0.0))
    assert attempts.without_progress(attempts.read(file), "8", (0, 0.0)) == 1
    assert attempts.without_progress(attempts.read(file), "9", (0, 0.0)) == 0
