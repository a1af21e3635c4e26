"""What a record says of several attempts at one run: who computed, when, and how long it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt.running.record import Record, RunState
from mt.workflow.run_record import parse_record
from mt.workflow.store import Store
from tests.running.test_answers import compiled


def test_attempts_that_compute_add_their_time_and_others_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = compiled(tmp_path / "store"), Store(tmp_path / "store")

    def attempt(command: str, begins: int, ends: int, state: RunState, computes: bool) -> dict[str, Any]:
        monkeypatch.setattr("sys.argv", ["mt.run", *command.split()])
        record = Record(tmp_path / "run", run, store)
        monkeypatch.setattr("mt.running.record._now", lambda: f"2026-01-01T10:{begins:02}:00+00:00")
        record.begin()
        monkeypatch.setattr("mt.running.record._now", lambda: f"2026-01-01T10:{ends:02}:00+00:00")
        if computes:
            record.computed(run.plan.order[-1])
        record.end(state)
        written: dict[str, Any] = json.loads((tmp_path / "run" / "record.json").read_text())
        return {name: written[name] for name in ("command", "started", "finished", "seconds", "state")}

    monkeypatch.setattr("mt.running.record.answers", lambda *given: {})
    attempt("seed=0 seed=1", 0, 5, "interrupted", computes=True)
    first = attempt("seed=1 --det", 20, 27, "finished", computes=True)
    assert first == {
        "command": "python -m mt.run seed=1",
        "started": "2026-01-01T10:00:00+00:00",
        "finished": "2026-01-01T10:27:00+00:00",
        "seconds": (5 + 7) * 60,
        "state": "finished",
    }
    assert attempt("--details", 40, 41, "finished", computes=False) == first
    again = attempt("seed=1 store=store", 50, 52, "finished", computes=True)
    assert (again["command"], again["seconds"]) == ("python -m mt.run seed=1 store=store", (5 + 7 + 2) * 60)


def test_times_of_other_processes_count_from_when_they_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mt.running.record.answers", lambda *given: {})
    monkeypatch.setattr("mt.running.record._now", lambda: "2026-01-01T11:00:00+00:00")
    for _ in range(2):
        record = Record(tmp_path / "run", compiled(tmp_path / "store"), Store(tmp_path / "store"))
        record.begin(since="2026-01-01T10:00:00+00:00")
        record.end("finished")
    assert (record.facts["started"], record.facts["seconds"]) == ("2026-01-01T10:00:00+00:00", 3600)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([], {}),
        (None, {}),
        (["At 1."], {"stopped": "At 1."}),
        (["P.", "R.", "U."], {"policy": "P.", "reward": "R.", "update": "U."}),
        (["At 2.", "P.", "R.", "U."], {"stopped": "At 2.", "policy": "P.", "reward": "R.", "update": "U."}),
        ({"policy": "P.", "reward": "R.", "update": "U."}, {"policy": "P.", "reward": "R.", "update": "U."}),
    ],
)
def test_answers_that_were_written_as_a_list_are_read_by_their_questions(written: Any, read: dict[str, str]) -> None:
    assert parse_record(json.dumps({"schema": 1, "answers": written}), "here")["answers"] == read
