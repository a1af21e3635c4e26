from __future__ import annotations

import math

import pytest

from mt.errors import DataError
from mt.evaluation.reward_bench_2 import SUBSETS, RankedPrompt, best_of, score_prompts, score_subsets, ties_score
from mt.evaluation.reward_bench_files import read_prompts


def prompt(scores, subset="Math", name="1", correct=1):
    return RankedPrompt(subset, name, tuple(scores), correct)


def test_there_are_six_subsets_with_1865_prompts():
    assert len(SUBSETS) == 6
    assert sum(SUBSETS.values()) == 1865


@pytest.mark.parametrize(
    ("scores", "result"),
    [((2.0, 1.0, 0.0, 1.5), 1), ((1.0, 2.0, 0.0, 0.0), 0), ((2.0, 2.0, 0.0, 1.0), 0.5), ((1.0,) * 4, 0.25)],
)
def test_the_first_of_four_has_to_be_the_best(scores, result):
    assert best_of(prompt(scores)) == result


def test_ties_by_hand():
    # Question 0: gaps 2 (tied) and 1 (ref), spread 0.5. Question 1: gap −1 (tied: wrong), ref 3, spread 1.
    # Question 2: gaps 1 and 0.2, spread 0.5: the tied prompt prefers right answers, the harder comparison does not.
    prompts = [
        prompt([3.0, 2.5, 0.5], "Ties", "tied:0", 2),
        prompt([1.0, 0.0], "Ties", "ref:0"),
        prompt([2.0, 1.0, 2.0], "Ties", "tied:1", 2),
        prompt([3.0, 0.0], "Ties", "ref:1"),
        prompt([2.0, 1.5, 0.5], "Ties", "tied:2", 2),
        prompt([1.2, 1.0], "Ties", "ref:2"),
    ]
    margin = (math.tanh(1 / 0.5 - 1) + math.tanh(-1 / 1 - 1) + math.tanh(0.2 / 0.5 - 1)) / 3
    by_hand = 0.3 * 2 / 3 + 0.3 * 1 + 0.2 * 2 / 3 + 0.2 * 1 / 3 + 0.01 * margin
    assert ties_score(prompts) == pytest.approx(by_hand)
    assert ties_score(prompts[::-1]) == pytest.approx(by_hand)
    score = score_prompts(prompts, rounds=200)
    assert score.subsets["Ties"] == pytest.approx(100 * by_hand)
    interval = score.subset_intervals["Ties"]
    assert interval.low < 100 * by_hand < interval.high
    assert score.average is None
    assert "Math" in score.missing_subsets


def test_equal_right_answers_have_no_spread():
    best = [prompt([1.0, 1.0, 0.0], "Ties", "tied:4", 2), prompt([1.0, 0.0], "Ties", "ref:4")]
    assert ties_score(best) == pytest.approx(1.01)
    flat = [prompt([1.0, 1.0, 1.0], "Ties", "tied:4", 2), prompt([1.0, 1.0], "Ties", "ref:4")]
    assert ties_score(flat) == 0  # 0/0 adds nothing


def test_the_average_is_the_plain_mean_of_six():
    prompts = [prompt([1.0, 0.0, 0.0, 0.0], name, str(at)) for at, name in enumerate(SUBSETS) if name != "Ties"]
    prompts += [prompt([1.0, 1.0, 0.0], "Ties", "tied:0", 2), prompt([1.0, 0.0], "Ties", "ref:0")]
    assert score_prompts(prompts, rounds=3).average == pytest.approx((5 * 100 + 101) / 6)
    assert score_subsets(dict.fromkeys(SUBSETS, 0.5)).average == 50
    with pytest.raises(DataError, match=r"subset=Maths: .*Did you mean 'Math'\?"):
        score_subsets({"Maths": 0.5})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"subset": "Math"}, "field 'scores' is missing"),
        ({"subset": "Ties", "id": "tied:1", "scores": [1.0, 0.0]}, "field 'num_correct' is missing"),
        ({"subset": "Math", "scores": [1.0, 0.0], "num_correct": 2}, "num_correct=2.0: not a number of answers"),
        ({"subset": "Math", "scores": [1.0, None]}, "scores=None: no score"),
        ({"scores": [1.0, 0.0]}, "field 'subset' is missing"),
    ],
)
def test_bad_rows_are_named(row, said):
    good = {"subset": "Math", "id": "1", "scores": [1.0, 0.0, 0.0, 0.0]}
    with pytest.raises(DataError) as caught:
        read_prompts([good, row], "f.json")
    assert said in str(caught.value)
    assert "f.json row 1 (from 0)" in str(caught.value)


def test_prompts_of_ties_are_named_by_question():
    with pytest.raises(DataError, match="id=7: no prompt of the subset Ties"):
        ties_score([prompt([1.0, 0.0], "Ties", "7")])
    with pytest.raises(DataError, match="id=ref:7: stands twice in the subset Ties"):
        ties_score([prompt([1.0, 0.0], "Ties", name) for name in ("ref:7", "tied:7", "ref:7")])
    with pytest.raises(DataError, match="no question of the subset Ties has both"):
        ties_score([prompt([1.0, 0.0], "Ties", "ref:7")])
