"""Prompts of the world, by split: no text is asked in two splits.

Splits that a policy answers (training and evaluation) ask no text twice. Those that people have answered do: a
demonstration or a preference is one of several answers to its question.
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
from mt.world.tasks import Task
from mt.world.world import SPLITS, World

ANSWERED = ("sft", "preferences", "judgments")
"""Splits that ask their texts again once all have been asked."""
HARD = 3
"""The harder split asks questions in which at least this many things have to go right."""
_SIZES = {
    "train": "data.sizes.prompts",
    "eval": "eval.held_out.prompts, eval.alpaca_eval.prompts",
    "harder": "eval.arena_hard.prompts",
}


def prompts(world: World, split: str, n: int, *, mix: SectionMix | None = None, seed: int = 0) -> list[Prompt]:
    """Return the first `n` prompts of a split; more prompts never change the earlier ones.

    `mix` replaces the world's mix of sections; `seed` gives another stream of the same split. ConfigError for an
    unknown split, and where the split has fewer than `n` texts.
    """
    drawn = list(islice(stream(world, split, mix=mix, seed=seed), n))
    if len(drawn) < n:
        allowed = f"at most {len(drawn)} in world {world.seed}"
        problem = "the language has too few different texts, and none is asked twice"
        raise ConfigError(describe(_SIZES.get(split, split), n, problem, allowed=allowed, fix="Ask for fewer"))
    return [to_prompt(section, task, f"{split}-{seed}-{index:05d}") for index, (section, task) in enumerate(drawn)]


def stream(world: World, split: str, *, mix: SectionMix | None = None, seed: int = 0) -> Iterator[tuple[str, Task]]:
    """Yield the sections and tasks of a split until a section has no more; ConfigError for an unknown split."""
    if split not in SPLITS:
        problem = "the world has no such split"
        raise ConfigError(describe("split", split, problem, allowed=", ".join(SPLITS)) + nearest(split, SPLITS))
    mix = mix or world.language.mix
    rng = random.Random(f"prompts/{world.seed}/{split}/{seed}")
    sections = {section: draw_section(world, section, split, rng) for section in SECTIONS}
    while True:
        (section,) = rng.choices(SECTIONS, (mix.chat, mix.chat_hard, mix.safety, mix.reasoning))
        task = next(sections[section], None)
        if task is None:
            return
        yield section, task


def draw_section(world: World, section: str, split: str, rng: random.Random) -> Iterator[Task]:
    """Yield the tasks of one section that a split may ask, in a random order, each once (again and again: ANSWERED)."""
    tasks = [t for t in world.pools[split, section] if split != "harder" or t.difficulty >= HARD]
    while True:
        yield from rng.sample(tasks, len(tasks))
        if split not in ANSWERED:
            return


def to_prompt(section: str, task: Task, name: str) -> Prompt:
    """Return a task as a prompt; its id is the name of the draw and a hash of the text."""
    digest = hashlib.sha256(task.text.encode()).hexdigest()[:8]
    return Prompt(f"{name}-{digest}", ask(task.text), section)


def ask(text: str) -> Messages:
    """Return the conversation that consists of one question."""
    return [{"role": "user", "content": text}]
