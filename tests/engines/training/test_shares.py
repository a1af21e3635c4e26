"""Processes that share a training tokenise every row once, and read what one process alone reads."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mt.engines.text import open_chat
from mt.engines.training.data import Examples, read
from mt.engines.training.process import TrainingProcess
from mt.engines.training.task import TrainingTask
from mt.errors import DataError
from mt.types import Pair, Response
from tests.engines.training.conftest import TRAINING, Lab, changed, make_pairs
from tests.engines.training.test_rows import sampled_pairs


def plain(data: Examples) -> list[Any]:
    rows = [replace(one, sequences=[([*map(int, ids)], n) for ids, n in one.sequences]) for one in data.examples]
    return [data.rows, data.dropped, data.truncated, rows]


def read_by(devices: int, task: TrainingTask, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Examples], Counter[str]]:
    """Let threads stand in for processes; return what each reads, and who rendered how often."""
    together, renders = threading.Barrier(devices), Counter[str]()
    monkeypatch.setattr(torch.distributed, "barrier", lambda: together.wait(20))

    def of(rank: int) -> Examples:
        chat = open_chat(task.model)
        render = chat._render

        def counted(*arguments: Any, **named: Any) -> str:
            renders[f"rank {rank}"] += 1
            return render(*arguments, **named)

        monkeypatch.setattr(chat, "_render", counted)
        return read(task, chat, TrainingProcess(rank, devices).share(Path(task.scratch)))

    with ThreadPoolExecutor(devices) as threads:
        return list(threads.map(of, range(devices))), renders


@pytest.mark.parametrize(
    ("kind", "truncation"),
    [("policy", "drop"), ("policy", "left"), ("reward", "left"), ("reward", "drop"), ("sft", "drop")],
)
def test_every_row_is_tokenised_once_and_read_by_all(
    lab: Lab, kind: str, truncation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short prompts, so that some rows are dropped or cut, and some sampled ids beside foreign text."""
    rows = [*make_pairs(8), *sampled_pairs(lab.policy)]
    task = lab.task(kind, rows=rows, training=changed(TRAINING, max_length=16, truncation=truncation))
    (alone,), once = read_by(1, task, monkeypatch)
    assert (alone.dropped if truncation == "drop" else alone.truncated) > 0
    shared, renders = read_by(3, task, monkeypatch)
    assert [plain(one) for one in shared] == [plain(alone)] * 3
    assert renders.total() == once.total() and len(renders) == 3


def test_fewer_rows_than_processes_leave_some_without(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    task = lab.task(rows=make_pairs(2))
    (alone,), _ = read_by(1, task, monkeypatch)
    shared, _ = read_by(4, task, monkeypatch)
    assert [plain(one) for one in shared] == [plain(alone)] * 4


def test_where_no_row_fits_every_process_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    long = Response("red " * 70, 70)
    rows: list[Pair] = [replace(pair, chosen=long) for pair in make_pairs(3)]
    with pytest.raises(DataError, match="3 of 3 dropped"):
        read_by(2, lab.task(rows=rows), monkeypatch)
