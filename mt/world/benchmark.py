"""Tests of the world: RewardBench-like pairs with unseen errors, in-distribution pairs, the baseline's answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from mt.types import Pair, Prompt, Response
from mt.world.corruptions import SUBSETS, Subset
from mt.world.demonstrators import compose, to_response, write
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

    `Pair.source` names the subset and `Pair.section` its section; gold prefers every chosen response.
    """
    pairs = []
    for subset in SUBSETS:
        made = _pairs_of(world, subset, random.Random(f"benchmark/{world.seed}/{subset.name}/{seed}"))
        pairs += [next(made) for _ in range(pairs_per_subset)]
    return pairs


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
        standard = compose(body, *_niceties(baseline, rng))
        answers.append(BaselineAnswer(prompt.prompt_id, *map(to_response, (standard, concise, verbose))))
    return answers


def _niceties(writer: BaselineConfig, rng: random.Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
    opener = rng.choice(OPENERS) if rng.random() < writer.opener else ()
    closer = rng.choice(CLOSERS) if rng.random() < writer.closer else ()
    return opener, closer


def _pairs_of(world: World, subset: Subset, rng: random.Random) -> Iterator[Pair]:
    count = 0
    for task in draw_section(world, subset.section, "benchmark", rng):
        texts = subset.corrupt(world, task, rng)
        if texts is None:
            continue
        prompt = to_prompt(subset.section, task, f"{subset.name}-{count:05d}")
        if gold_prefers(world, prompt.messages, *texts):
            count += 1
            yield _pair(prompt, *texts, source=subset.name)


def _pair(prompt: Prompt, chosen: str, rejected: str, source: str) -> Pair:
    responses = to_response(chosen), to_response(rejected)
    return Pair(prompt.prompt_id, prompt.messages, prompt.section, *responses, source=source)
