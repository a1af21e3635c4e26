"""Prompts: no text in two splits, none twice, and benchmarks about what trains nothing."""

from __future__ import annotations

import pytest

from mt.errors import DataError
from mt.instructions.gold import read_prompt
from mt.instructions.kinds import KINDS
from mt.instructions.prompts import SPLITS, prompts, refuse_too_many
from mt.instructions.topics import EVALUATION_TOPICS, TRAINING_TOPICS
from mt.types import Prompt

HELD_OUT = {kind.name for kind in KINDS if kind.held_out}
TRAINING = ("train", "preferences")


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[Prompt]]:
    return {split: prompts(0, split, 2000, 0.3) for split in SPLITS}


def texts(rows: list[Prompt]) -> list[str]:
    return [row.messages[-1]["content"] for row in rows]


def test_no_text_stands_in_two_splits_or_twice_in_one(drawn: dict[str, list[Prompt]]) -> None:
    everything = [text for rows in drawn.values() for text in texts(rows)]
    assert len(set(everything)) == len(everything) == 2000 * len(SPLITS)
    questions = [{text.split(". ")[0].split("? ")[0] for text in texts(rows)} for rows in drawn.values()]
    assert sum(map(len, questions)) == len(set().union(*questions)), "a question belongs to one split"


def test_topics_and_demands_of_evaluation_train_nothing(drawn: dict[str, list[Prompt]]) -> None:
    assert not set(TRAINING_TOPICS) & set(EVALUATION_TOPICS)
    for split, rows in drawn.items():
        asked = [read_prompt(text) for text in texts(rows)]
        topics = TRAINING_TOPICS if split in TRAINING else EVALUATION_TOPICS
        assert all(one.topic in topics for one in asked)
        held_out = [sum(demand.kind.name in HELD_OUT for demand in one.demands) for one in asked]
        assert set(held_out) == ({1} if split == "benchmark" else {0})


def test_prompts_make_two_or_three_demands(drawn: dict[str, list[Prompt]]) -> None:
    counts = [len(read_prompt(text).demands) for text in texts(drawn["train"])]
    assert set(counts) == {2, 3}
    assert 0.27 < counts.count(3) / len(counts) < 0.33
    harder = [len(read_prompt(text).demands) for text in texts(drawn["harder"])]
    assert harder.count(3) > 0.95 * len(harder), "some pairs agree with no third demand"


def test_more_prompts_change_no_earlier_one_and_seeds_differ() -> None:
    assert prompts(0, "train", 50, 0.3) == prompts(0, "train", 100, 0.3)[:50]
    assert prompts(0, "train", 50, 0.3) != prompts(1, "train", 50, 0.3)


def test_benchmark_rows_name_their_kind_and_its_family(drawn: dict[str, list[Prompt]]) -> None:
    families = {kind.name: kind.family for kind in KINDS if kind.held_out}
    assert {row.prompt_id.partition("/")[0] for row in drawn["benchmark"]} == set(families)
    assert all(families[row.prompt_id.partition("/")[0]] == row.section for row in drawn["benchmark"])


def test_too_many_prompts_are_refused_with_the_largest_number() -> None:
    with pytest.raises(DataError, match=r"size=10000000: .*Allowed: at most \d+"):
        refuse_too_many("train", 10_000_000)


def test_other_prompts_are_refused() -> None:
    with pytest.raises(DataError, match="data=instructions"):
        read_prompt("What is the capital of France?")
