"""Judgments as words, for a policy that judges itself: how it is asked, what it says, how that is read.

A response is judged with `judge QUESTION answer RESPONSE`, to which the reply is a grade and a score of the 0-5
rubric, `good score 4`. Two judgments of one response are compared with `compare QUESTION answer RESPONSE first
JUDGMENT second JUDGMENT`; the reply is `first` or `second`.
"""

from __future__ import annotations

import random
from typing import Literal

from mt.gold import logistic_noise
from mt.types import Demonstration, Messages, Prompt
from mt.world.demonstrators import choose_writer, to_response, write
from mt.world.gold import gold
from mt.world.language import GRADES
from mt.world.prompts import ask, prompts
from mt.world.settings import DemonstratorsConfig, JudgmentsConfig
from mt.world.world import World

MAX_SCORE = 5
Better = Literal["first", "second"]


def judge_prompt(messages: Messages, response: str) -> Messages:
    """Return the prompt by which the policy is asked to judge a response to a conversation's last turn."""
    return ask(f"judge {messages[-1]['content']} answer {response}")


def compare_prompt(messages: Messages, response: str, first: str, second: str) -> Messages:
    """Return the prompt by which the policy is asked which of two judgments of a response is better."""
    return ask(f"compare {messages[-1]['content']} answer {response} first {first} second {second}")


def render_judgment(score: int) -> str:
    """Return the words of a judgment; ValueError for a score outside 0-5."""
    if not 0 <= score <= MAX_SCORE:
        raise ValueError(f"score={score}: outside the rubric. Allowed: 0 to {MAX_SCORE}.")
    return f"{_grade(score)} score {score}"


def parse_judgment(text: str) -> int | None:
    """Return the score of a judgment, or None where the text is anything but one whose grade and score agree."""
    words = text.split()
    if len(words) != 3 or words[1] != "score" or words[2] not in _SCORES:
        return None
    score = int(words[2])
    return score if words[0] == _grade(score) else None


def parse_comparison(text: str) -> Better | None:
    """Return which judgment a comparison prefers, or None where the text is anything but `first` or `second`."""
    words = text.split()
    if words == ["first"]:
        return "first"
    return "second" if words == ["second"] else None


def true_score(world: World, messages: Messages, response: str) -> float:
    """Return a response's gold reward on the rubric, from 0 to 5 and not rounded."""
    return MAX_SCORE * min(max(gold(world, messages, response), 0.0), 1.0)


def noisy_score(world: World, noise: float, messages: Messages, response: str, rng: random.Random) -> int:
    """Return the score that a judge gives who sees gold through logistic noise of scale `noise`."""
    seen = true_score(world, messages, response) + MAX_SCORE * logistic_noise(noise, rng)
    return min(max(round(seen), 0), MAX_SCORE)


def judgment_demonstrations(
    world: World, judgments: JudgmentsConfig, people: DemonstratorsConfig, n: int, seed: int
) -> list[Demonstration]:
    """Return `n` demonstrations of judging (EFT): single judgments, comparisons, and ordinary answers as replay."""
    rng = random.Random(f"judgments/{world.seed}/{seed}")
    judging = 1 - judgments.replay_share
    shares = (judgments.replay_share, judging * (1 - judgments.compare_share), judging * judgments.compare_share)
    rows = []
    for prompt in prompts(world, "judgments", n, seed=seed):
        answer = write(world.task(prompt.messages), choose_writer(people, rng), people.misconception, rng)
        (kind,) = rng.choices((_replay, _judge, _compare), shares)
        rows.append(kind(world, judgments, prompt, answer, rng))
    return rows


def _replay(_: World, __: JudgmentsConfig, prompt: Prompt, answer: str, ___: random.Random) -> Demonstration:
    return _row(prompt, prompt.messages, answer)


def _judge(world: World, judgments: JudgmentsConfig, prompt: Prompt, answer: str, rng: random.Random) -> Demonstration:
    score = noisy_score(world, judgments.noise, prompt.messages, answer, rng)
    return _row(prompt, judge_prompt(prompt.messages, answer), render_judgment(score))


def _compare(
    world: World, judgments: JudgmentsConfig, prompt: Prompt, answer: str, rng: random.Random
) -> Demonstration:
    first, second = rng.sample(range(MAX_SCORE + 1), 2)
    seen = true_score(world, prompt.messages, answer) + MAX_SCORE * logistic_noise(judgments.noise, rng)
    better: Better = "first" if abs(first - seen) < abs(second - seen) else "second"
    asked = compare_prompt(prompt.messages, answer, render_judgment(first), render_judgment(second))
    return _row(prompt, asked, better)


def _row(prompt: Prompt, messages: Messages, answer: str) -> Demonstration:
    return Demonstration(prompt.prompt_id, messages, prompt.section, to_response(answer))


def _grade(score: int) -> str:
    return GRADES[score * len(GRADES) // (MAX_SCORE + 1)]


_SCORES = frozenset(str(score) for score in range(MAX_SCORE + 1))
