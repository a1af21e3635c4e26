"""Warnings: of prompts too few, and of policies that did not move, repeat themselves or are cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.methods.compile import compile_run
from mt.running.results import Results
from mt.running.warnings import after, before
from mt.types import Metric
from tests.engines.tiny import tiny_policy, tiny_reward


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    rows = [json.dumps({"prompt": f"tell me the colour of fox {i}"}) for i in range(40)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows))
    tiny_policy(tmp_path / "policy")
    tiny_reward(tmp_path / "reward")
    names = {"data.path": "prompts.jsonl", "policy.path": "policy", "reward.path": "reward", "store": "store"}
    return ["data=jsonl", "data.held_out=10", *(f"{name}={tmp_path / file}" for name, file in names.items())]


def foreseen(*overrides: str) -> list[str]:
    return list(before(compile_run(compose_runs(overrides)[0].config)))


def test_too_few_prompts_for_a_batch_or_an_interval_are_foreseen(own: list[str]) -> None:
    batch, held_out = foreseen(*own)
    assert batch.startswith("an iteration has 10 prompts, fewer than policy.training.batch_size=32")
    assert held_out.startswith("10 held-out prompts are too few")
    assert foreseen(*own, "policy.training.batch_size=10", "eval=[]") == []
    assert foreseen(*own, "partition.part_size=9", "policy.training.batch_size=10", "eval=[]")[0].startswith(
        "an iteration has 9 prompts"
    )


def test_the_world_gives_no_cause() -> None:
    assert foreseen() == []


def results(kl: float, duplicates: float) -> Results:
    found = {"kl": kl, "duplicate_rate": duplicates}
    metrics = {name: Metric("diagnostics", name, value) for name, value in found.items()}
    cells = {("policy", "diagnostics", name): (metric, Path()) for name, metric in metrics.items()}
    return Results({1: cells})


def record(unfinished: int, step: str) -> dict[str, object]:
    position = {"round": 1, "iteration": 1, "step": step, "model": "", "rounds": 1}
    counts = {"responses": 100, "unfinished": unfinished}
    return {"stages": [{"stage": "sample", "counts": counts, "position": position}]}


def test_a_policy_that_did_not_move_or_repeats_itself_is_reported() -> None:
    still, repeated = after({"stages": []}, results(kl=0.001, duplicates=0.95))
    assert "iteration 1: the policy did not move (KL 0.001 nats" in still
    assert "95% of the responses" in repeated
    assert list(after({"stages": []}, results(kl=0.3, duplicates=0.2))) == []


def test_responses_that_are_cut_off_are_reported() -> None:
    none = Results({})
    (line,) = after(record(99, "E-step"), none)
    assert line == "iteration 1 · E-step: 99% of the responses are cut off; raise sampling.max_new_tokens"
    both = {"stages": [*record(99, "E-step")["stages"], *record(99, "M-step")["stages"] * 2]}  # type: ignore[misc]
    (line,) = after(both, none)
    assert line.startswith("iteration 1 · E-step, iteration 1 · M-step: 99% of the responses are cut off; ")
    assert list(after(record(50, "E-step"), none)) == []
    assert list(after(record(99, "evaluation"), none)) == [], "the same policy has been told of"
