from __future__ import annotations

import itertools

import pytest

from mt.errors import DataError
from mt.stages.prompts import ExtractPrompts, PartitionPrompts, PromptBlock
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


def test_blocks_are_disjoint_and_the_same_however_many_there_are(bench: Bench) -> None:
    table = given(*(prompt(str(i)) for i in range(20)))
    blocks = [[row.prompt_id for row in bench.rows(PromptBlock(table, 6, i, 0, 3, 2), Prompt)] for i in range(3)]
    assert [len(block) for block in blocks] == [6, 6, 6]
    assert len({name for block in blocks for name in block}) == 18
    assert PromptBlock(table, 6, 1, 0, 3, 2).key == PromptBlock(table, 6, 1, 0, 9, 8).key


@pytest.mark.parametrize(
    ("parts", "iterations", "fix"),
    [
        (4, 3, "Allowed: at most 5 with iterations=3. Lower it to 5, or set iterations=2."),
        (9, 2, "Allowed: at most 2 with iterations=2. Lower it to 2."),
        (21, 20, "Set iterations=2."),
        (21, 2, "Give more prompts."),
    ],
)
def test_too_few_prompts_for_a_part_size_name_the_largest_size_and_number_of_iterations(
    bench: Bench, parts: int, iterations: int, fix: str
) -> None:
    table = given(*(prompt(str(i)) for i in range(20)))
    with pytest.raises(DataError, match=f"^partition.part_size=6: .*there are 20 prompts\\. ?{fix}$"):
        bench.run(PromptBlock(table, 6, 0, 0, parts, iterations))
