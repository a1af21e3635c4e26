from __future__ import annotations

import itertools

import pytest

from mt.errors import DataError
from mt.stages.prompts import ExtractPrompts, PartitionPrompts
from mt.types import Prompt
from tests.stages.bench import Bench, given, prompt, samples


@pytest.mark.parametrize(("n", "parts"), [(9, 3), (10, 3), (11, 3), (3, 3), (7, 1), (101, 4)])
def test_parts_are_disjoint_equal_and_lose_nothing(bench: Bench, n: int, parts: int) -> None:
    table = given(*(prompt(f"p{i}") for i in range(n)))
    found = [[row.prompt_id for row in bench.rows(PartitionPrompts(table, parts, i, 0), Prompt)] for i in range(parts)]
    assert sorted(itertools.chain(*found)) == sorted(f"p{i}" for i in range(n))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_part_keeps_the_prompts_order_and_is_drawn_by_its_seed(bench: Bench) -> None:
    table = given(*(prompt(f"p{i:02}") for i in range(40)))
    ids = {seed: [row.prompt_id for row in bench.rows(PartitionPrompts(table, 2, 0, seed), Prompt)] for seed in (0, 1)}
    assert ids[0] == sorted(ids[0])
    assert ids[0] != ids[1]
    assert ids[0] != [f"p{i:02}" for i in range(20)], "a split that is not shuffled follows the order of the file"


def test_fewer_prompts_than_parts_are_refused(bench: Bench) -> None:
    with pytest.raises(DataError, match="prompts=2: fewer than the 3 parts"):
        bench.run(PartitionPrompts(given(prompt("a"), prompt("b")), 3, 0, 0))


def test_the_prompts_of_samples_are_theirs_without_the_answers(bench: Bench) -> None:
    (row,) = bench.rows(ExtractPrompts(given(samples("a", "x", asked="who", section="Chat"))), Prompt)
    assert (row.prompt_id, row.messages[0]["content"], row.section) == ("a", "who", "Chat")
