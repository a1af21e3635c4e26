"""Every kind of reward runs end to end in a small world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt.run import main
from tests.small import SMALL

RUN = [line for line in SMALL if "alpaca_eval" not in line]
EVAL = ["eval=[held_out,reward_bench]", "eval.held_out.diagnostics=false", "iterations=1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose store the runs share."""
    return tmp_path_factory.mktemp("rewards")


def run(place: Path, name: str, *overrides: str) -> dict[str, Any]:
    """Run, and return the metrics as (iteration, benchmark/metric) → value."""
    assert main([*RUN, *EVAL, f"store={place}/store", f"runs={place}/runs", f"name={name}", *overrides]) == 0
    record = json.loads((place / "runs" / name / "record.json").read_text())
    assert record["state"] == "finished"
    return {f"{one['iteration']} {one['benchmark']}/{one['metric']}": one["value"] for one in record["metrics"]}


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("train", ["reward=train"]),
        ("consensus", ["reward=consensus"]),
        (
            "later",
            ["reward=consensus", "reward.scores=later", "reward.student=model", "iterations=2", "rm_data=frozen"],
        ),
        ("mixed", ["rm_data=consensus_mixed"]),
        ("ensemble", ["reward=ensemble", "reward.trained=2"]),
        ("judge", ["reward=judge", "reward.student=model"]),
        ("labels", ["rm_data=consensus_contrast"]),
    ],
)
def test_a_run_ends_with_its_reward_measured(place: Path, name: str, overrides: list[str]) -> None:
    metrics = run(place, name, *overrides)
    assert "1 proxy/win_rate" in metrics and "1 gold/win_rate" in metrics
    measured = "0 reward_bench/average" in metrics
    assert measured == (name != "consensus"), "a consensus orders no two responses that stand alone"


def test_a_function_teaches_the_policy_what_it_rewards(place: Path) -> None:
    """A function that counts words: after a training on its pairs the policy's responses are longer."""
    (place / "rules.py").write_text("def reward(messages, response):\n    return len(response.split())\n")
    settings = ["reward=function", f"reward.function={place}/rules.py:reward", "selection=best_worst"]
    training = ["policy.training.learning_rate=3e-3", "policy.training.batch_size=4", "policy.training.epochs=3"]
    metrics = run(place, "function", *settings, *training, "objective.nll_weight=0")
    assert metrics["1 proxy/mean_reward_base"] > metrics["0 proxy/mean_reward_base"]
