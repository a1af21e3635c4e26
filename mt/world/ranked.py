"""The world's counterpart of RewardBench 2: one right answer among four, and three equally right ones (Ties)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice

from mt.errors import ConfigError, describe
from mt.types import Messages, Samples
from mt.world.corruptions import SUBSETS
from mt.world.demonstrators import compose, to_response
from mt.world.gold import gold_prefers
from mt.world.language import CLOSERS, FILLERS, OPENERS, STOP
from mt.world.prompts import ask, draw_section
from mt.world.tasks import Task
from mt.world.world import World

SECTION_OF = {
    "Factuality": "Chat",
    "Precise IF": "Chat Hard",
    "Math": "Reasoning",
    "Safety": "Safety",
    "Focus": "Chat",
    "Ties": "Chat Hard",
}
"""RewardBench 2's subsets, and the section from which each has its prompts and its errors. In Focus the wrong answers
are the right ones to other questions."""
WRONG = 3
EQUAL_STYLES = ((OPENERS[0], ()), (OPENERS[1], ()), ((), CLOSERS[0]))
"""An opener and a closer: styles of one filler word, in which an answer has one and the same gold reward."""
Body = Sequence[str]


def ranked_prompts(world: World, prompts_per_subset: int) -> list[Samples]:
    """Return prompts with their answers, the right ones first; `prompt_id` is "<subset>/<number of right ones>/<id>".

    No text is asked in two subsets. A question of Ties is asked twice: ref:N has one right answer, tied:N three.
    ConfigError where a subset has too few texts.
    """
    rows: list[Samples] = []
    asked: set[str] = set()
    for subset, section in SECTION_OF.items():
        rng = random.Random(f"ranked/{world.seed}/{subset}")
        found = list(islice(_questions(world, subset, asked, rng), prompts_per_subset))
        if len(found) < prompts_per_subset:
            problem, allowed = f"subset {subset} has too few different texts", f"at most {len(found)}"
            field = "data.sizes.benchmark_pairs"
            raise ConfigError(describe(field, prompts_per_subset, problem, allowed=allowed, fix="Ask for fewer"))
        for number, (messages, right, wrong) in enumerate(found):
            names = {f"ref:{number}": 1, f"tied:{number}": len(EQUAL_STYLES)} if subset == "Ties" else {str(number): 1}
            for name, count in names.items():
                texts = [compose(right, *style) for style in rng.sample(EQUAL_STYLES, count)]
                texts += [compose(body, *rng.choice(EQUAL_STYLES)) for body in wrong]
                answers = [to_response(text) for text in texts]
                rows.append(Samples(f"{subset}/{count}/{name}", messages, section, answers))
    return rows


def _questions(
    world: World, subset: str, asked: set[str], rng: random.Random
) -> Iterator[tuple[Messages, Body, list[Body]]]:
    """Yield questions with the body of the right answer and three of answers that gold finds worse."""
    section = SECTION_OF[subset]
    for task in draw_section(world, section, "benchmark", rng):
        messages, wrong = ask(task.text), list[Body]()
        for body in _focus(world, section, rng) if subset == "Focus" else _errors(world, section, task, rng):
            if body not in wrong and gold_prefers(world, messages, compose(task.answer), compose(body)):
                wrong.append(body)
        if task.text not in asked and len(wrong) >= WRONG:
            asked.add(task.text)
            yield messages, task.answer, wrong[:WRONG]


def _focus(world: World, section: str, rng: random.Random) -> Iterator[Body]:
    """Yield the right answers to some other questions of the section."""
    for task in rng.sample(world.pools["benchmark", section], 2 * WRONG):
        yield list(task.answer)


def _errors(world: World, section: str, task: Task, rng: random.Random) -> Iterator[Body]:
    """Yield the errors of the section's subsets of the RewardBench-like test, in a random order, without niceties."""
    subsets = [one for one in SUBSETS if one.section == section] * 2  # an error that is drawn differs the second time
    for subset in rng.sample(subsets, len(subsets)):
        texts = subset.corrupt(world, task, rng)
        if texts is not None:
            yield [word for word in texts[1].split() if word not in FILLERS and word != STOP]
