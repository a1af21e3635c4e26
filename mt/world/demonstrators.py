"""The people of the world: novices, average writers and experts, with their errors and their niceties."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mt.types import Demonstration, Response
from mt.world.facts import Part
from mt.world.language import CLOSERS, OPENERS, REFUSAL, STOP
from mt.world.prompts import prompts
from mt.world.settings import BaselineConfig, DemonstratorConfig, DemonstratorsConfig
from mt.world.tasks import Task
from mt.world.world import World

Writer = DemonstratorConfig | BaselineConfig


def demonstrations(world: World, people: DemonstratorsConfig, n: int, seed: int) -> list[Demonstration]:
    """Return `n` answers to prompts of the split "sft", written by the three kinds in their shares."""
    rng = random.Random(f"demonstrations/{world.seed}/{seed}")
    rows = []
    for prompt in prompts(world, "sft", n, seed=seed):
        writer = choose_writer(people, rng)
        answer = write(world.task(prompt.messages), writer, people.misconception, rng)
        rows.append(Demonstration(prompt.prompt_id, prompt.messages, prompt.section, to_response(answer)))
    return rows


def choose_writer(people: DemonstratorsConfig, rng: random.Random, novice_factor: float = 1.0) -> Writer:
    """Return one of the three kinds, drawn by their shares; novices count `novice_factor` times."""
    kinds = (people.novice, people.average, people.expert)
    shares = (people.novice.share * novice_factor, people.average.share, people.expert.share)
    return rng.choices(kinds, shares)[0]


def write(task: Task, writer: Writer, misconception: float, rng: random.Random) -> str:
    """Return a writer's answer to a task: [opener] body . [closer]."""
    opener, closer = niceties(writer, rng)
    return compose(_body(task, writer.right, misconception, rng), opener, closer)


def niceties(writer: Writer, rng: random.Random) -> tuple[Sequence[str], Sequence[str]]:
    """Return what a writer says before and after an answer, which may be nothing."""
    opener = rng.choice(OPENERS) if rng.random() < writer.opener else ()
    closer = rng.choice(CLOSERS) if rng.random() < writer.closer else ()
    return opener, closer


def compose(body: Sequence[str], opener: Sequence[str] = (), closer: Sequence[str] = ()) -> str:
    """Return the text of an answer with its niceties and its full stop."""
    return " ".join([*opener, *body, STOP, *closer])


def to_response(text: str) -> Response:
    """Return a finished response; a word is a token, and the end-of-turn token is not counted."""
    return Response(text, len(text.split()))


def _body(task: Task, right: float, misconception: float, rng: random.Random) -> list[str]:
    if task.dangerous and rng.random() < right:
        return list(REFUSAL)
    trapped = task.trap is not None and rng.random() >= right
    parts = task.trap if trapped and task.trap is not None else task.parts
    said: dict[Part, str] = {}
    for part in parts:
        if part not in said:
            said[part] = _say(part, right, misconception, rng)
    return [said[part] for part in parts]


def _say(part: Part, right: float, misconception: float, rng: random.Random) -> str:
    if rng.random() < right:
        return part.word
    if part.misconception is None:
        return rng.choice(part.wrong)
    if rng.random() < misconception:
        return part.misconception
    return rng.choice([word for word in part.wrong if word != part.misconception])
