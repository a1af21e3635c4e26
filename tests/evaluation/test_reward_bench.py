from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.errors import DataError
from mt.evaluation.reward_bench import (
    SECTIONS,
    ScoredPair,
    pair_scores,
    score_accuracies,
    score_pairs,
)
from mt.evaluation.reward_bench_files import read_accuracies, read_pairs

SUBSETS = [subset for subsets in SECTIONS.values() for subset in subsets]


def test_there_are_23_subsets_with_2985_pairs():
    assert len(SUBSETS) == 23
    weights = [weight for subsets in SECTIONS.values() for weight in subsets.values()]
    assert sum(weights) - 984 + 447 == 2985


def test_sections_by_hand():
    accuracies = dict.fromkeys(SUBSETS, 1.0) | {"mt-bench-hard": 0.0, "math-prm": 0.5, "xstest-should-refuse": 0.0}
    score = score_accuracies(accuracies)
    assert score.sections["Chat"] == 100
    assert score.sections["Chat Hard"] == pytest.approx(100 * (456 - 37) / 456)
    assert score.sections["Safety"] == pytest.approx(100 * (740 - 154) / 740)
    assert score.sections["Reasoning"] == pytest.approx(75)
    assert score.average == pytest.approx(sum(score.sections.values()) / 4)
    older = score_accuracies(accuracies, "rlhflow")
    assert older.sections["Safety"] == round(100 * (740 - 250) / 740, 2)
    assert older.average == round(sum(older.sections.values()) / 4, 2)


def test_the_mean_of_the_pairs_values_is_the_section_and_the_average():
    sections = {"A": {"x": 3.0, "y": 1.0, "absent": 9.0}, "B": {"z": 1.0}}
    pairs = [ScoredPair("x", 1, 0), ScoredPair("x", 0, 1), ScoredPair("y", 1, 0), ScoredPair("z", 0, 1)]
    found = pair_scores(pairs, sections)
    values = {name: [value for value in row if value is not None] for name, row in found.items()}
    means = {name: sum(row) / len(row) for name, row in values.items()}
    # Section A: (3·½ + 1·1)/4 of 100; section B: 0.
    assert means == {"A": pytest.approx(62.5), "B": 0.0, "average": pytest.approx(31.25)}
    assert found["A"][3] is None and "average" not in pair_scores(pairs[:3], sections)


def test_the_published_chat_hard_needs_half_credit_for_ties():
    # 62.61 of 456 pairs is 285.5 won: only half a pair makes it.
    assert round(100 * 285.5 / 456, 2) == 62.61
    assert 62.61 not in [round(100 * won / 456, 2) for won in range(457)]


def test_a_tie_is_lost_or_half_won():
    pairs = [ScoredPair("donotanswer", 1.0, 1.0), ScoredPair("donotanswer", 2.0, 1.0)]
    strict, half = score_pairs(pairs, rounds=5), score_pairs(pairs, "rlhflow", rounds=5)
    assert (strict.sections["Safety"], half.sections["Safety"]) == (50, 75)
    assert strict.ties == half.ties == 1
    assert strict.average is None  # three sections have no data
    assert len(strict.missing_subsets) == 22


@given(st.lists(st.tuples(st.sampled_from(SUBSETS), st.integers(-3, 3), st.integers(-3, 3)), min_size=1))
def test_swapping_every_pair_mirrors_half_credit(rows):
    pairs = [ScoredPair(*row) for row in rows]
    swapped = [ScoredPair(pair.subset, pair.score_rejected, pair.score_chosen) for pair in pairs]
    one, two = score_pairs(pairs, "rlhflow", rounds=2), score_pairs(swapped, "rlhflow", rounds=2)
    for name, value in one.sections.items():
        other = two.sections[name]
        assert (value is None) == (other is None)
        if value is not None:
            assert value + other == pytest.approx(100, abs=0.011)


def test_pairs_and_accuracies_agree_and_the_interval_covers():
    pairs = [ScoredPair(subset, float(at % 4 > 0), 0.5) for subset in SUBSETS for at in range(40)]
    score = score_pairs(pairs)
    assert score.average == pytest.approx(75)
    assert score.sections == pytest.approx(score_accuracies(dict.fromkeys(SUBSETS, 0.75)).sections)
    for interval in [*score.section_intervals.values(), score.average_interval]:
        assert interval.low < 75 < interval.high
    assert score.average_interval.high - score.average_interval.low < 7


def test_own_sections():
    pairs = [ScoredPair("Chat", 1.0, 0.0), ScoredPair("Safety", 0.0, 1.0)]
    score = score_pairs(pairs, sections={"Chat": {"Chat": 1}, "Safety": {"Safety": 1}}, rounds=5)
    assert score.sections == {"Chat": 100, "Safety": 0}
    assert score.average == 50


def read(values, **options):
    return read_accuracies([values], "f", **options)


def test_fields_beside_the_subsets_are_left_out():
    found = read({"model": "m", "hep-go": 0.5, " hep-js": "1", "hep-cpp": math.nan, "hep-rust": None, "xstest": 0.9})
    assert (found.values, found.unit) == ({"hep-go": 0.5, "hep-js": 1.0}, "share")
    table = read({"model": "m", "Safety": 91.0, "average": 80.0, "hep-go": 50})
    assert (table.values, table.unit) == ({"hep-go": 0.5}, "percent")


def test_the_unit_is_that_on_which_all_values_agree():
    assert read({"hep-go": 50, "hep-js": 100.0, "hep-cpp": 0}).values == {"hep-go": 0.5, "hep-js": 1.0, "hep-cpp": 0}
    assert read({"hep-go": 0.8, "hep-js": 1.0000000000000002}).values == {"hep-go": 0.8, "hep-js": 1.0}
    with pytest.raises(DataError, match=r"hep-go=0.8 and hep-js=97.0: one is a share \(0 to 1\), the other percent"):
        read({"hep-go": 0.8, "hep-js": 97.0})
    assert read({"hep-go": 0.8, "hep-js": 97.0}, unit="percent").values == pytest.approx(
        {"hep-go": 0.008, "hep-js": 0.97}
    )
    with pytest.raises(DataError, match=r"hep-js=97\.0: not an accuracy as a share"):
        read({"hep-go": 0.8, "hep-js": 97.0}, unit="share")


@pytest.mark.parametrize(
    ("values", "said"),
    [({"hep-go": 120}, "not an accuracy"), ({"hep-go": -0.1}, "not an accuracy"), ({"hep-go": "high"}, "not a number")],
)
def test_bad_accuracies(values, said):
    with pytest.raises(DataError, match=said):
        read(values)


def test_the_other_version_is_named():
    with pytest.raises(DataError, match=r"subset=Factuality: .* use reward_bench_2"):
        read({"Factuality": 0.5, "Safety": 0.7})
    with pytest.raises(DataError, match=r"subset=hep-go: .* use reward_bench\."):
        read({"hep-go": 0.5}, generation=2)


def test_results_stand_for_scores_that_a_file_does_not_hold():
    rows = [{"subset": "hep-go", "results": value, "scores_chosen": None} for value in (1, 0.5, 0)]
    pairs = read_pairs(rows, "f")
    for convention in ("current", "rlhflow"):  # the file's own half stays a half
        assert score_pairs(pairs, convention, rounds=2).sections["Reasoning"] == 50
    assert score_pairs(pairs, rounds=2).ties == 1
    rounded = read_pairs([{"subset": "hep-go", "results": value} for value in (1.0000000000000002, -1e-17)], "f")
    assert [pair.result for pair in rounded] == [1.0, 0.0]


def test_an_unknown_subset_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"subset=hep-phyton: .* Did you mean 'hep-python'\?"):
        score_accuracies({"hep-phyton": 0.5})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subset": None}, "'subset' is missing"),
        ({"score_chosen": "high"}, "score_chosen='high': not a number"),
        ({"score_rejected": math.nan}, "score_rejected=nan: no score"),
        ({"score_chosen": ""}, "leave its row out"),
        ({"score_rejected": True}, "score_rejected=true: not a number"),
    ],
)
def test_bad_pairs_are_named(changes, said):
    row = {"subset": "hep-go", "score_chosen": 1.0, "score_rejected": "0.5"}
    with pytest.raises(DataError) as caught:
        read_pairs([row, row | changes], "f.csv")
    assert said in str(caught.value)
    assert "f.csv row 1 (from 0)" in str(caught.value)
    with pytest.raises(DataError, match="'score_chosen' is missing"):
        read_pairs([{"subset": "hep-go"}], "f.csv")
