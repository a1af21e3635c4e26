from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt.errors import DataError
from mt.evaluation import l1_logistic
from mt.evaluation.gamed import GamedRow, difficulties, gamed_csv, instruction_difficulty, read_gamed, standardised
from mt.evaluation.length_control import C_GRID, _rows, folds, length_controlled, select_C
from tests.evaluation.examples import annotation, gamed, judged, typed

N = 120


def liblinear(features, label, weight, C):
    """The original's regression: every row twice, once for each label, solved to liblinear's last digit."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        penalty="l1", solver="liblinear", C=C, tol=1e-10, max_iter=100_000, fit_intercept=False, random_state=0
    )
    n = len(label)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(
            np.concatenate([features, features]),
            np.repeat([1, 0], n),
            np.concatenate([label * weight, (1 - label) * weight]),
        )
    return model.coef_[0]


@pytest.mark.parametrize("C", C_GRID)
def test_coefficients_are_those_of_an_independent_solver(C):
    rows = typed(judged(N))
    table = _rows(rows, gamed(N), difficulties(rows, gamed(N)))
    ours = l1_logistic.fit(table.features_RF, table.label_R, table.weight_R, C)
    assert ours == pytest.approx(liblinear(table.features_RF, table.label_R, table.weight_R, C), abs=1e-8)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.floats(1e-4, 1e4), st.integers(2, 40))
def test_the_subgradient_vanishes(seed, C, n):
    rng = np.random.default_rng(seed)
    x, y, weight = rng.normal(size=(n, 3)), rng.uniform(size=n).round(), rng.uniform(0.1, 2, n)
    w = l1_logistic.fit(x, y, weight, C)
    gradient = C * x.T @ (weight * (l1_logistic.sigmoid(x @ w) - y))
    off = np.where(w == 0, np.maximum(np.abs(gradient) - 1, 0), np.abs(gradient + np.sign(w)))
    assert off.max() <= 1e-8 * (1 + C * weight.sum())


def test_by_hand_with_the_model_term_alone():
    # Equal lengths and difficulty 0 leave w_0: −1 + C·n·(σ(w_0) − ȳ) = 0, so the rate is ȳ + 1/(C·n) below a half.
    rows = typed([annotation(output_1="abc", output_2="xyz", preference=value) for value in [1.1, 1.3, 1.2, 1.2]])
    flat = [GamedRow("verbose", 0.5, index, 0.0, 0.0) for index in range(4)]
    score = length_controlled(rows, flat, C=10, rounds=1)
    assert score.win_rate == pytest.approx(100 * (0.2 + 1 / (10 * 4)), abs=1e-9)
    assert score.standard_error == pytest.approx(0, abs=1e-12)
    assert length_controlled(rows, flat, C=0.01, rounds=1).win_rate == 50


def test_the_length_term_takes_back_what_length_won():
    longer = typed(judged(400, length_ratio=1.6, quality=0.0))
    plain = 100 * np.mean([row.preference - 1 for row in longer])
    score = length_controlled(longer, gamed(400), rounds=20)
    assert score.length_weight < 0  # Δ = baseline − model: a longer model has Δ < 0 and wins more
    assert score.win_rate < plain - 2


def test_a_model_against_itself_is_50():
    rows = typed([row | {"generator_2": "baseline"} for row in judged(N)])
    score = length_controlled(rows, gamed(N))
    assert (score.win_rate, score.standard_error, score.C) == (50.0, 0.0, None)


def test_scaling_every_length_changes_nothing():
    rows = judged(N)
    scaled = [row | {name: row[name] * 7 for name in ("output_1", "output_2")} for row in rows]
    first, second = (length_controlled(typed(version), gamed(N), rounds=5) for version in (rows, scaled))
    assert first.C == second.C
    assert first.win_rate == pytest.approx(second.win_rate, abs=1e-9)
    assert first.interval.low == pytest.approx(second.interval.low, abs=1e-9)


def test_order_of_rows_does_not_matter_where_rows_carry_their_index():
    rows = [row | {"index": at} for at, row in enumerate(judged(N))]
    shuffled = [rows[at] for at in np.random.default_rng(0).permutation(N)]
    first, second = (length_controlled(typed(version), gamed(N), C=1, rounds=1) for version in (rows, shuffled))
    assert first.win_rate == pytest.approx(second.win_rate, abs=1e-9)
    assert length_controlled(typed(judged(N)), gamed(N), C=1, rounds=1).win_rate == pytest.approx(first.win_rate)


def test_missing_judgments_leave_the_fit_but_not_the_prediction():
    rows = judged(N)
    missing = [row | ({"preference": None} if at in (3, 40) else {}) for at, row in enumerate(rows)]
    table = _rows(typed(missing), gamed(N), difficulties(typed(missing), gamed(N)))
    kept = table.weight_R > 0
    w = liblinear(table.features_RF[kept], table.label_R[kept], table.weight_R[kept], 1.0)
    expected = l1_logistic.sigmoid(w[1] * difficulties(typed(rows), gamed(N)) + w[2])
    score = length_controlled(typed(missing), gamed(N), C=1.0, rounds=1)
    assert score.win_rate == pytest.approx(100 * expected.mean(), abs=1e-6)
    assert score.standard_error == pytest.approx(100 * expected.std(ddof=1) / np.sqrt(N), abs=1e-6)


def test_folds_are_those_of_a_stable_group_split():
    from sklearn.model_selection import GroupKFold

    n = 37
    groups = np.tile(np.arange(n), 2)
    splits = GroupKFold(n_splits=5).split(np.zeros(2 * n), groups=groups)
    theirs = {frozenset(np.unique(groups[test]).tolist()) for _, test in splits}
    ours = {frozenset(np.flatnonzero(folds(n) == fold).tolist()) for fold in range(5)}
    assert ours == theirs


def test_C_has_the_least_held_out_loss():
    rows = typed(judged(N))
    table = _rows(rows, gamed(N), difficulties(rows, gamed(N)))
    x, y, weight = table.features_RF, table.label_R, table.weight_R
    losses = []
    for C in C_GRID:
        parts = []
        for fold in range(5):
            test = folds(len(y)) == fold
            p = l1_logistic.sigmoid(x[test] @ liblinear(x[~test], y[~test], weight[~test], C))
            parts.append(-np.mean(weight[test] * (y[test] * np.log(p) + (1 - y[test]) * np.log(1 - p))))
        losses.append(np.mean(parts))
    assert select_C(x, y, weight) == C_GRID[int(np.argmin(losses))]


def test_rows_beyond_the_difficulties_are_refused():
    with pytest.raises(DataError, match=r"index=100: .* no difficulty"):
        length_controlled(typed(judged(N)), gamed(100))


@pytest.mark.parametrize("C", [0, -1, float("nan"), float("inf")])
def test_C_must_be_positive(C):
    with pytest.raises(DataError, match="C="):
        length_controlled(typed(judged(N)), gamed(N), C=C)


def test_gamed_rows_survive_their_csv():
    import csv
    import io

    rows = gamed(5)
    rows[2] = GamedRow("verbose", None, 2, -np.inf, 0.25)
    assert read_gamed(list(csv.DictReader(io.StringIO(gamed_csv(rows)))), "test") == rows
    beyond = gamed_csv([GamedRow("verbose", 1.0000000000000002, 0, 0.5, 0.25)])
    assert read_gamed(list(csv.DictReader(io.StringIO(beyond))), "test")[0].preference == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preference": "1.2"}, "preference=1.2: out of range"),
        ({"index": "x"}, "index='x': not a number"),
        ({"index": "1.5"}, "index=1.5: not a position"),
        ({"instruction_difficulty": ""}, "instruction_difficulty='': no number"),
        ({"not_gamed_baseline": "True"}, "not_gamed_baseline=True"),
    ],
)
def test_bad_gamed_rows_are_named(changes, said):
    row = {"model": "verbose", "preference": "0.5", "index": "0", "std_delta_len": "0.1"}
    row |= {"instruction_difficulty": "0.2", "not_gamed_baseline": "False"}
    with pytest.raises(DataError) as caught:
        read_gamed([row, row | changes], "g.csv")
    assert said in str(caught.value)
    assert "g.csv row 1" in str(caught.value)
    with pytest.raises(DataError, match="column 'std_delta_len' is missing"):
        read_gamed([{name: value for name, value in row.items() if name != "std_delta_len"}], "g.csv")


def test_equal_differences_take_the_limit_of_tanh():
    assert np.tanh(standardised(np.array([4.0, 4.0, 4.0]))).tolist() == [1, 1, 1]
    assert standardised(np.array([0.0, 0.0])).tolist() == [0, 0]
    counts = np.array([2.0, 0, 1])
    assert standardised(np.array([1.0, 9, 4]), counts)[2] == pytest.approx(4 / np.std([1, 1, 4], ddof=1))


def test_difficulty_orders_instructions_by_how_often_they_are_won():
    values = instruction_difficulty([[1.0, 1.5, 2.0], [1.2, None, 1.9]])
    assert values == sorted(values)
    assert np.mean(values) == pytest.approx(0)
    assert np.std(values) == pytest.approx(1)
    assert instruction_difficulty([[1.5, 1.5]]) == [0, 0]
