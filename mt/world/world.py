"""One world: its facts, all of its questions, and which split may ask each of them."""

from __future__ import annotations

import hashlib
from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from mt.errors import DataError, describe
from mt.types import Messages
from mt.world.facts import Facts, make_facts
from mt.world.settings import LanguageConfig
from mt.world.tasks import TEMPLATES, Task

SPLITS = {
    "train": 0.30,
    "sft": 0.25,
    "preferences": 0.15,
    "judgments": 0.04,
    "eval": 0.08,
    "harder": 0.06,
    "benchmark": 0.12,
}
"""Each split's share of the texts (our choice). No text belongs to two splits."""


@dataclass(frozen=True)
class World:
    """A world as everything else here sees it; `tasks` maps the text of every possible question to it."""

    seed: int
    language: LanguageConfig
    facts: Facts
    tasks: dict[str, Task]
    pools: dict[tuple[str, str], list[Task]]
    """The tasks that a split may ask, by split and section."""

    def task(self, messages: Messages) -> Task:
        """Return the task of a conversation's last turn; DataError where the world knows no such question."""
        text = messages[-1]["content"] if messages else ""
        task = self.tasks.get(text)
        if task is None:
            problem = "is no question of this world"
            raise DataError(describe("prompt", repr(text), problem, fix="Gold rewards need data=world"))
        return task


@lru_cache(maxsize=8)
def build_world(seed: int, language: LanguageConfig) -> World:
    """Return world `seed`; the same seed and language give the same world on every machine."""
    facts = make_facts(seed, language.misconception_share)
    tasks: dict[str, Task] = {}
    pools: dict[tuple[str, str], list[Task]] = {}
    for template in TEMPLATES:
        for task in template.tasks(facts):
            tasks[task.text] = task
            pools.setdefault((split_of(task.text), template.section), []).append(task)
    return World(seed, language, facts, tasks, pools)


def split_of(text: str) -> str:
    """Return the only split that may ask a text: its hash decides, so that it is the same in every world."""
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
    return _NAMES[min(bisect(_ENDS, place), len(_NAMES) - 1)]


_NAMES, _ENDS = tuple(SPLITS), tuple(accumulate(SPLITS.values()))
