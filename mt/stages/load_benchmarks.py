"""Benchmarks from files: prompts with a baseline's answers, and pairs for reward models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mt.errors import DataError
from mt.types import Messages, Response, Samples
from mt.workflow.stage import Stage
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class LoadOutputs(Stage):
    """A baseline's answers in their file's order: alpaca_eval's format, or questions with answers (Arena-Hard)."""

    VERSION: ClassVar[int] = 1
    source: Stage
    limit: int

    def run(self, work: Work) -> None:
        """Read one response per prompt; its length in tokens is unknown and 0."""
        from mt.evaluation.files import read_records

        path = work.path(self.source)
        rows = [
            _samples(record, f"{path} row {number} (from 0)", number)
            for number, record in enumerate(read_records(path)[: self.limit])
        ]
        work.count(prompts=len(rows))
        work.write(rows, Samples)


@dataclass(frozen=True, eq=False)
class LoadRewardPairs(Stage):
    """RewardBench's pairs: subset, prompt, chosen, rejected."""

    VERSION: ClassVar[int] = 1
    source: Stage

    def run(self, work: Work) -> None:
        """Read the pairs, chosen first."""
        from mt.evaluation.files import read_records

        path, rows = work.path(self.source), []
        for number, record in enumerate(read_records(path)):
            where = f"{path} row {number} (from 0)"
            name = f"{required(record, ('subset',), where)}/{record.get('id', number)}"
            answers = [Response(str(required(record, (side,), where)), 0) for side in ("chosen", "rejected")]
            asked = conversation(required(record, ("messages", "prompt"), where), where)
            rows.append(Samples(name, asked, None, answers))
        work.count(pairs=len(rows))
        work.write(rows, Samples)


def _samples(record: Any, where: str, number: int) -> Samples:
    asked = required(record, ("messages", "instruction", "prompt", "turns"), where)
    answer = required(record, ("output", "answer"), where)
    name = str(record.get("question_id", record.get("prompt_id", number)))
    return Samples(name, conversation(asked, where), None, [Response(str(answer), 0)])


def conversation(asked: Any, where: str) -> Messages:
    """Return a text, chat messages, or Arena-Hard's turns ([{"content": …}]) as messages."""
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if isinstance(asked, list) and asked and all(isinstance(turn, Mapping) and "content" in turn for turn in asked):
        return [{"role": str(turn.get("role", "user")), "content": str(turn["content"])} for turn in asked]
    raise DataError(f"{where}: the prompt is a {type(asked).__name__}. Allowed: a text, or a list of chat messages.")


def required(record: Any, names: tuple[str, ...], where: str) -> Any:
    """Return the first field that the record has; raises DataError where it has none of them."""
    if not isinstance(record, Mapping):
        raise DataError(f"{where}: a {type(record).__name__} where an object belongs.")
    for name in names:
        if record.get(name) is not None:
            return record[name]
    raise DataError(f"{where}: field '{names[0]}' is missing. Allowed: {', '.join(names)}.")
