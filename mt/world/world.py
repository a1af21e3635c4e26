"""One world: its facts, all of its questions, and which of them only evaluation may ask."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from mt.errors import DataError, describe
from mt.types import Messages
from mt.world.facts import Facts, make_facts
from mt.world.settings import LanguageConfig
from mt.world.tasks import TEMPLATES, Task


@dataclass(frozen=True)
class World:
    """A world as everything else here sees it; `tasks` maps the text of every possible question to it."""

    seed: int
    language: LanguageConfig
    facts: Facts
    tasks: dict[str, Task]
    templates: dict[str, tuple[Task, ...]]
    """The tasks of each template, by its name."""

    def task(self, messages: Messages) -> Task:
        """Return the task of a conversation's last turn; DataError where the world knows no such question."""
        text = messages[-1]["content"] if messages else ""
        task = self.tasks.get(text)
        if task is None:
            problem = "is no question of this world"
            raise DataError(describe("prompt", repr(text), problem, mend="Gold rewards need data=world"))
        return task


@lru_cache(maxsize=8)
def build_world(seed: int, language: LanguageConfig) -> World:
    """Return world `seed`; the same seed and language give the same world on every machine."""
    facts = make_facts(seed, language.misconception_share)
    templates = {template.name: tuple(template.build(facts)) for template in TEMPLATES}
    tasks = {task.text: task for of_template in templates.values() for task in of_template}
    return World(seed, language, facts, tasks, templates)


def pool(world: World, template: str, held_out: bool) -> list[Task]:
    """Return a template's tasks that are for training, or those that are held out for evaluation.

    A text's place depends on its hash alone, so that it is the same in every world and for every split. Small
    templates are not divided: training on them would lack whole facts.
    """
    tasks = world.templates[template]
    if len(tasks) < world.language.held_out_min_texts:
        return list(tasks)
    return [task for task in tasks if _is_held_out(task.text, world.language.held_out_share) == held_out]


def _is_held_out(text: str, share: float) -> bool:
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32
