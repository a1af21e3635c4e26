"""Tests of the world: RewardBench-like pairs with unseen errors, in-distribution pairs, the baseline's answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from mt.errors import ConfigError, describe
from mt.types import Pair, Prompt, Response
from mt.world.corruptions import SUBSETS, Subset
from mt.world.demonstrators import compose, niceties, to_response, write
from mt.world.gold import gold_prefers
from mt.world.language import CLOSERS, OPENERS
from mt.world.prompts import draw_section, to_prompt
from mt.world.settings import BaselineConfig
from mt.world.world import World


@dataclass(frozen=True, slots=True)
class BaselineAnswer:
    """The baseline's answer to one prompt, and the same content said concisely and verbosely (length control)."""

    prompt_id: str
    standard: Response
    concise: Response
    verbose: Response


def benchmark_pairs(world: World, pairs_per_subset: int, seed: int = 0) -> list[Pair]:
    """Return preference pairs whose rejected responses err in ways that no demonstrator does.

    `Pair.source` names the subset and `Pair.section` its section; gold prefers every chosen response, and no prompt
    is asked twice. ConfigError where a subset has too few prompts.
    """
    asked: set[str] = set()
    makers = [
        _pairs_of(world, subset, asked, random.Random(f"benchmark/{world.seed}/{subset.name}/{seed}"))
        for subset in SUBSETS
    ]
    rounds: list[list[Pair]] = []  # one pair of each subset: more pairs never change the earlier ones
    while len(rounds) < pairs_per_subset:
        made = [pair for pair in (next(maker, None) for maker in makers) if pair is not None]
        if len(made) < len(SUBSETS):
            problem = "the language has too few different texts, and none is asked twice"
            field, allowed = "data.sizes.benchmark_pairs", f"at most {len(rounds)} in world {world.seed}"
            raise ConfigError(describe(field, pairs_per_subset, problem, allowed=allowed, fix="Ask for fewer"))
        rounds.append(made)
    return [pair for of_subset in zip(*rounds, strict=True) for pair in of_subset]


def baseline_answers(
    world: World, baseline: BaselineConfig, misconception: float, prompts: list[Prompt], seed: int = 0
) -> list[BaselineAnswer]:
    """Return the baseline's answers to the prompts, in their order."""
    rng = random.Random(f"baseline/{world.seed}/{seed}")
    bare = BaselineConfig(right=baseline.right, opener=0.0, closer=0.0)
    answers = []
    for prompt in prompts:
        concise = write(world.task(prompt.messages), bare, misconception, rng)
        body = concise.split()[:-1]
        verbose = compose(body, rng.choice(OPENERS), rng.choice(CLOSERS))
        standard = compose(body, *niceties(baseline, rng))
        answers.append(BaselineAnswer(prompt.prompt_id, *map(to_response, (standard, concise, verbose))))
    return answers


def _pairs_of(world: World, subset: Subset, asked: set[str], rng: random.Random) -> Iterator[Pair]:
    count = 0
    for task in draw_section(world, subset.section, "benchmark", rng):
        texts = subset.corrupt(world, task, rng) if task.text not in asked else None
        if texts is None:
            continue
        prompt = to_prompt(subset.section, task, f"{subset.name}-{count:05d}")
        if gold_prefers(world, prompt.messages, *texts):
            count += 1
            asked.add(task.text)
            chosen, rejected = map(to_response, texts)
            yield Pair(prompt.prompt_id, prompt.messages, prompt.section, chosen, rejected, source=subset.name)
