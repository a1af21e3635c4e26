"""The original's own numbers on the same rows; runs where `pip install .[crosscheck]` was made."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from mt.evaluation.alpaca_eval import annotation_records, win_rate
from mt.evaluation.gamed import gamed_csv
from mt.evaluation.length_control import C_GRID, length_controlled
from tests.evaluation.examples import gamed, judged, typed

pytest.importorskip("alpaca_eval", reason="the crosscheck extra (alpaca_eval==0.6.6) is not installed")
N = 805
WITHIN = 0.012  # points: what the original's loose solver leaves at a given C


@pytest.fixture(params=[0, 1, 2])
def annotations(request):
    rows = judged(N, quality=-0.6 + 0.5 * request.param, seed=request.param)
    changed = {3: None, 700: None, 11: 0, 12: 1, 13: 2, 14: 1.5}
    return typed([row | ({"preference": changed[at]} if at in changed else {}) for at, row in enumerate(rows)])


@pytest.fixture
def original(tmp_path, monkeypatch):
    """The original's metric, reading our gamed rows instead of the hub's; C fixed where it is given."""
    import pandas as pd

    module = importlib.import_module("alpaca_eval.metrics.glm_winrate")
    path = tmp_path / "df_gamed.csv"
    path.write_text(gamed_csv(gamed(N)))
    monkeypatch.setattr(module, "hf_hub_download", lambda **_: path)

    def metric(rows, C=None):
        frame = pd.DataFrame(annotation_records(rows))
        info = dict(module.GLM_INFO["length_controlled_v1"])
        info["kwargs"] = {"n_splits": 5} if C is None else {"n_splits": 0, "C": C}
        return module.get_length_controlled_winrate(frame, save_weights_dir=None, glm_info=info)

    return metric


def test_win_rates_are_equal(annotations, original):
    theirs, ours = original(annotations, C=1.0), win_rate(annotations, rounds=5)
    assert ours.n == theirs["n_total"]
    assert ours.win_rate == pytest.approx(theirs["win_rate"], abs=1e-8)
    assert ours.standard_error == pytest.approx(theirs["standard_error"], abs=1e-8)
    assert ours.discrete_win_rate == pytest.approx(theirs["discrete_win_rate"], abs=1e-8)


@pytest.mark.parametrize("C", C_GRID)
def test_length_controlled_rates_are_equal_at_every_C(annotations, original, C):
    theirs, ours = original(annotations, C=C), length_controlled(annotations, gamed(N), C=C, rounds=1)
    assert ours.win_rate == pytest.approx(theirs["length_controlled_winrate"], abs=WITHIN)
    assert ours.standard_error == pytest.approx(theirs["lc_standard_error"], abs=WITHIN)


def test_cross_validation_lands_where_the_original_does(annotations, original):
    theirs = original(annotations)["length_controlled_winrate"]
    assert length_controlled(annotations, gamed(N), rounds=1).win_rate == pytest.approx(theirs, abs=0.1)


def test_a_model_against_itself(original):
    rows = typed([row | {"generator_2": "baseline"} for row in judged(N)])
    theirs, ours = original(rows), length_controlled(rows, gamed(N))
    assert (ours.win_rate, ours.standard_error) == (
        theirs["length_controlled_winrate"],
        pytest.approx(theirs["lc_standard_error"]),
    )
    assert np.isfinite(theirs["win_rate"])
