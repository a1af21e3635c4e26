from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.errors import DataError
from mt.evaluation.alpaca_eval import annotation_records, read_annotations, win_rate
from tests.evaluation.examples import annotation, typed

PREFERENCES = st.lists(st.one_of(st.sampled_from([0, 1, 1.5, 2]), st.floats(1, 2)), min_size=2, max_size=30)


def rows(preferences):
    return typed([annotation(instruction=str(at), preference=value) for at, value in enumerate(preferences)])


def test_win_rate_by_hand():
    # Wins 0, 1, ½, ½, ¾: mean .55, Σ(deviation²) = .55, std = √(.55/4), error = std/√5.
    score = win_rate(rows([1, 2, 1.5, 0, None, 1.75]), rounds=10)
    assert (score.n, score.missing) == (5, 1)
    assert score.win_rate == pytest.approx(55, abs=1e-10)
    assert score.standard_error == pytest.approx(100 * math.sqrt(0.55 / 4 / 5), abs=1e-10)
    assert score.discrete_win_rate == pytest.approx(100 * (1 + 0.5 + 0.5 + 1) / 5, abs=1e-10)


def test_length_is_in_characters_and_truncated():
    texts = ["naïve", "日本語", "e\u0301"]  # 5, 3 and 2 code points: mean 3.33
    score = win_rate(typed([annotation(output_2=text) for text in texts]), rounds=10)
    assert score.average_length == 3


def test_one_row_has_no_standard_error():
    assert win_rate(rows([2]), rounds=10).standard_error is None


@given(PREFERENCES)
def test_swapping_the_sides_mirrors_the_win_rate(preferences):
    weighted = [1.5 if value == 0 else value for value in preferences]
    score, mirrored = (win_rate(rows(values), rounds=5) for values in (weighted, [3 - v for v in weighted]))
    assert score.win_rate + mirrored.win_rate == pytest.approx(100)
    assert score.discrete_win_rate + mirrored.discrete_win_rate == pytest.approx(100)
    assert score.standard_error == pytest.approx(mirrored.standard_error, abs=1e-9)


@given(PREFERENCES, st.randoms())
def test_order_of_rows_does_not_matter(preferences, random):
    shuffled = random.sample(preferences, len(preferences))
    first, second = win_rate(rows(preferences), rounds=5), win_rate(rows(shuffled), rounds=5)
    assert first.win_rate == pytest.approx(second.win_rate)
    assert first.discrete_win_rate == second.discrete_win_rate


def test_interval_covers_the_mean_and_repeats_by_seed():
    data = rows([1 + (at % 7) / 6 for at in range(200)])
    score = win_rate(data, seed=3)
    assert score.win_rate_interval.low < score.win_rate < score.win_rate_interval.high
    assert score.win_rate_interval == win_rate(data, seed=3).win_rate_interval
    half = (score.win_rate_interval.high - score.win_rate_interval.low) / 2
    assert half == pytest.approx(1.96 * score.standard_error, rel=0.06)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output_2": None}, "row 1 (from 0): output_2=null: not a text"),
        ({"output_1": 7}, "row 1 (from 0): output_1=7: not a text"),
        ({"preference": "win"}, "row 1 (from 0): preference='win': not a number"),
        ({"preference": [1.5]}, "row 1 (from 0): preference=[1.5]: not a number"),
        ({"preference": True}, "row 1 (from 0): preference=true: not a number"),
        ({"preference": 3}, "row 1 (from 0): preference=3: out of range"),
        ({"preference": 0.5}, "row 1 (from 0): preference=0.5: out of range"),
        ({"preference": math.inf}, "row 1 (from 0): preference=inf: out of range"),
        ({"generator_2": "other"}, "generator_2 names 2 models (model, other)"),
        ({"generator_1": "other"}, "generator_1 names 2 baselines"),
        ({"annotator": "gpt"}, "annotator names 2 judges"),
        ({"index": 4}, "'index' is missing"),
        ({"index": -1}, "row 1 (from 0): index=-1: not a position"),
        ({"index": "1.5"}, "row 1 (from 0): index=1.5: not a position"),
    ],
)
def test_bad_values_are_named_with_row_and_field(changes, said):
    with pytest.raises(DataError) as caught:
        read_annotations([annotation(), annotation(**changes)], "f.json")
    assert said in str(caught.value)
    assert "f.json" in str(caught.value)


@pytest.mark.parametrize("field", ["instruction", "output_1", "output_2", "generator_1", "generator_2", "preference"])
def test_missing_fields_are_named(field):
    row = annotation()
    del row[field]
    with pytest.raises(DataError, match=rf"f\.json row 0 \(from 0\): field '{field}' is missing"):
        read_annotations([row], "f.json")


def test_numbers_may_be_texts_as_in_a_table():
    read = typed([annotation(preference=text, index=str(at)) for at, text in enumerate((" 1.25", "2", "", "NaN"))])
    assert [(row.preference, row.index) for row in read] == [(1.25, 0), (2.0, 1), (None, 2), (None, 3)]


def test_rounding_beyond_the_range_is_rounding():
    """As 2 − p gives it in another precision, for a probability that rounding has put above 1."""
    assert [row.preference for row in rows([0.9999999999999998, 2.0000002384185791])] == [1.0, 2.0]


def test_a_missing_judgment_is_null_or_nan_and_nothing_judged_is_an_error():
    with pytest.raises(DataError, match="all of 2 rows"):
        win_rate(rows([None, math.nan]))


def test_rows_go_back_to_the_original_shape():
    row = annotation(annotator="gold")
    assert annotation_records(typed([row])) == [row]


@pytest.mark.parametrize("row", ["text", ["a"], None])
def test_a_row_that_is_no_object(row):
    with pytest.raises(DataError, match=r"row 0 \(from 0\): a"):
        read_annotations([row], "f.json")
