"""The boundary to a tracker: bounded in time, silent after the first failure, and closed to secrets."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mt.running.tracker_callbacks import SAMPLE_COLUMNS, sample_rows
from mt.tracking.base import RunInfo
from mt.tracking.guard import Guarded
from mt.tracking.tensorboard import TensorBoardTracking
from mt.types import Pair, Response, Rewards, Samples


class Difficult:
    """A tracker whose calls do what they are told to, by name."""

    def __init__(self, **told: Any) -> None:
        self.told, self.calls, self.given = told, list[str](), list[Any]()

    def _called(self, name: str, *given: Any) -> None:
        self.calls.append(name)
        self.given += given
        self.told.get(name, lambda: None)()

    def start(self, run: RunInfo) -> None:
        self._called("start", run.config)

    def log(self, values: Mapping[str, float], axis: str, step: int) -> None:
        self._called("log", values)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], iteration: int | None) -> None:
        self._called("table", rows)

    def finish(self, state: str, record: Path) -> None:
        self._called("finish")

    def give_up(self) -> None:
        self._called("give_up")


def tell(tracker: Difficult, limit_s: float = 5.0) -> list[str]:
    """Track a run, and return what was said to the user."""
    said: list[str] = []
    settings = TensorBoardTracking(name="tensorboard", sample_prompts=0, timeout_s=limit_s)
    guarded = Guarded(settings, said.append, "; upload it later")
    guarded.start(tracker, RunInfo("demo", Path("demo"), {"api_key": "abc", "seed": 1}))
    guarded.log({"loss": 1.0}, "train/step", 0)
    guarded.table("rows", ["a"], [["uses very-secret-value"]], None)
    guarded.finish("finished", Path("demo/record.json"))
    return said


def test_nothing_is_said_of_what_works_and_no_secret_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value")
    tracker = Difficult()
    assert tell(tracker) == []
    assert tracker.calls == ["start", "log", "table", "finish"]
    assert tracker.given == [{"api_key": "***", "seed": 1}, {"loss": 1.0}, [["uses ***"]]]


@pytest.mark.parametrize("exit_code", [0, 3])
def test_what_raises_or_exits_is_said_once_and_the_next_call_is_made(exit_code: int) -> None:
    tracker = Difficult(log=lambda: 1 / 0, table=lambda: sys.exit(exit_code))
    (line,) = tell(tracker)
    assert line == (
        "tracking failed (log: ZeroDivisionError: division by zero). The run goes on, and its record is complete"
        "; upload it later"
    )
    assert tracker.calls == ["start", "log", "table", "finish"]


def test_what_hangs_costs_its_limit_once() -> None:
    released = threading.Event()
    tracker = Difficult(log=released.wait)
    began = time.monotonic()
    (line,) = tell(tracker, limit_s=0.3)
    assert time.monotonic() - began >= 0.3
    assert "log: TimeoutError: it took longer than 0.3 s; nothing more is tracked" in line
    assert tracker.calls == ["start", "log", "give_up"]
    released.set()


def test_samples_show_rewards_and_roles() -> None:
    ask = [{"role": "user", "content": "q"}]
    red, blue, green = (Response(text, 1) for text in ("red", "blue", "green"))
    samples = [Samples("p0", ask, None, [red, red]), Samples("p1", ask, "chat", [red, blue, green])]
    rewards = [Rewards("p0", [0.0, 0.0]), Rewards("p1", [2.0, 1.0, 0.0])]
    rows = sample_rows(samples, rewards, [Pair("p1", ask, "chat", red, green)], 1)
    assert [dict(zip(SAMPLE_COLUMNS, row, strict=True)) for row in rows] == [
        {"prompt_id": "p1", "section": "chat", "prompt": "q", "response": text, "reward": reward, "role": role}
        for text, reward, role in (("red", 2.0, "chosen"), ("blue", 1.0, ""), ("green", 0.0, "rejected"))
    ]
    assert len(sample_rows(samples, [], [], 2)) == 5
