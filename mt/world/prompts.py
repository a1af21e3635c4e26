"""Prompts of the world: endless deterministic streams of questions, one per split.

The language is small, so training draws the same text more than once: `prompt_id` names the draw. Evaluation splits
take the texts of large templates from a part that no training split uses; the texts of small templates (single
attributes, recipes without an addressee, `next`) occur in both.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from itertools import islice

from mt.errors import ConfigError, describe, nearest
from mt.types import Messages, Prompt
from mt.world.language import SECTIONS
from mt.world.settings import SectionMix
from mt.world.tasks import TEMPLATES, Task
from mt.world.world import World, pool

TRAINING_SPLITS = ("train", "sft", "preferences", "judgments")
EVALUATION_SPLITS = ("eval", "harder", "in_distribution", "benchmark")
HARD = 3
"""The harder split asks questions in which at least this many things have to go right."""


def prompts(world: World, split: str, n: int, *, mix: SectionMix | None = None, seed: int = 0) -> list[Prompt]:
    """Return the first `n` prompts of a split; more prompts never change the earlier ones.

    `mix` replaces the world's mix of sections; `seed` gives another stream of the same split. ConfigError for an
    unknown split.
    """
    drawn = islice(stream(world, split, mix=mix, seed=seed), n)
    return [to_prompt(section, task, f"{split}-{seed}-{index:05d}") for index, (section, task) in enumerate(drawn)]


def stream(world: World, split: str, *, mix: SectionMix | None = None, seed: int = 0) -> Iterator[tuple[str, Task]]:
    """Yield the sections and tasks of a split without end; ConfigError for an unknown split."""
    _check(split)
    mix = mix or world.language.mix
    rng = random.Random(f"prompts/{world.seed}/{split}/{seed}")
    sections = {section: draw_section(world, section, split, rng) for section in SECTIONS}
    while True:
        (section,) = rng.choices(SECTIONS, (mix.chat, mix.chat_hard, mix.safety, mix.reasoning))
        yield section, next(sections[section])


def draw_section(world: World, section: str, split: str, rng: random.Random) -> Iterator[Task]:
    """Yield tasks of one section as a split may use them: a template by its weight, then any of its tasks."""
    weights, pools = [], []
    for template in TEMPLATES:
        tasks = _tasks(world, template.name, split) if template.section == section else []
        if tasks:
            weights.append(template.weight)
            pools.append(tasks)
    while True:
        yield rng.choice(rng.choices(pools, weights)[0])


def to_prompt(section: str, task: Task, name: str) -> Prompt:
    """Return a task as a prompt; its id is the name of the draw and a hash of the text."""
    digest = hashlib.sha256(task.text.encode()).hexdigest()[:8]
    return Prompt(f"{name}-{digest}", ask(task.text), section)


def ask(text: str) -> Messages:
    """Return the conversation that consists of one question."""
    return [{"role": "user", "content": text}]


def _tasks(world: World, template: str, split: str) -> list[Task]:
    tasks = pool(world, template, held_out=split in EVALUATION_SPLITS)
    return [task for task in tasks if split != "harder" or task.difficulty >= HARD]


def _check(split: str) -> None:
    known = TRAINING_SPLITS + EVALUATION_SPLITS
    if split not in known:
        problem = "the world has no such split"
        raise ConfigError(describe("split", split, problem, allowed=", ".join(known)) + nearest(split, known))
