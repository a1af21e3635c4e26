from __future__ import annotations

import pytest

from mt.errors import DataError
from mt.evaluation.arena_hard import Games, read_judgments
from mt.evaluation.judged import annotations_of, arena_records, games_of
from mt.types import Comparison, Judgment


def judgment(prompt_id, order="baseline_first", preference=1.5, verdict=None, version="v1"):
    return Judgment(prompt_id, order, preference, verdict, "said", None, "judge", version)


def test_annotations_follow_the_comparisons():
    items = [
        Comparison("a", [{"role": "user", "content": "q"}], "base", "mine", "model_first"),
        Comparison("b", [{"role": "user", "content": "r"}], "x", "y"),
    ]
    judgments = [judgment("b", preference=None), judgment("a", "model_first", 1.75)]
    rows = annotations_of(items, judgments, "gpt4", "llama")
    assert [(row.instruction, row.output_1, row.output_2, row.preference, row.index) for row in rows] == [
        ("q", "base", "mine", 1.75, 0),
        ("r", "x", "y", None, 1),
    ]
    assert {(row.generator_1, row.generator_2, row.annotator) for row in rows} == {("gpt4", "llama", "judge v1")}


def test_games_and_their_file():
    judgments = [
        judgment("a", "model_first", 1.0, "A>B"),
        judgment("a", "baseline_first", 2.0, "B>>A"),
        judgment("b", "model_first", None),
        judgment("b", "baseline_first", 1.5, "A=B"),
    ]
    games = games_of(["a", "b"], judgments)
    assert games == [Games("a", "B>>A", "A>B"), Games("b", "A=B", None)]
    assert read_judgments(arena_records(["a", "b"], judgments, "llama", "gpt4"), "f") == games


def test_a_missing_comparison_or_a_second_judge_is_refused():
    items = [Comparison("a", [{"role": "user", "content": "q"}], "x", "y")]
    with pytest.raises(DataError, match="no judgment with order=baseline_first"):
        annotations_of(items, [judgment("a", "model_first")], "b", "m")
    with pytest.raises(DataError, match="2 judges"):
        annotations_of(items, [judgment("a"), judgment("b", version="v2")], "b", "m")
