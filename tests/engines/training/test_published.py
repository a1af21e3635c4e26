"""What a training publishes: an ordinary folder that differs from its start, in the precision that was asked for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from mt.errors import EngineError
from tests.engines.tiny import tiny_policy
from tests.engines.training.agreement import KINDS, weights
from tests.engines.training.conftest import TRAINER, TRAINING, Lab, changed, make_pairs

UNCHANGED = [
    ({"weight": 0.0}, {}, {}, r"gradient norm=0: was 0 at every step"),
    ({}, {"learning_rate": 1e-30}, {}, r"training\.learning_rate=1e-30: is too small to change any weight"),
    ({}, {"learning_rate": 1e-9}, {"publish_dtype": "bfloat16"}, r"publish_dtype=bfloat16: holds none of the [1-9]"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_an_ordinary_folder(lab: Lab, kind: str) -> None:
    task = lab.task(kind)
    lab.train(task)
    auto = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
    model = auto.from_pretrained(task.output)
    tokenizer = AutoTokenizer.from_pretrained(task.output)
    assert tokenizer.chat_template
    assert model.config.use_cache
    assert model.config.pad_token_id == tokenizer.pad_token_id
    if kind != "reward":
        assert model.generation_config.eos_token_id == 2
    for name, value in model.state_dict().items():
        if name in weights(task):
            assert torch.equal(value, weights(task)[name])


@pytest.mark.parametrize("source", ["float32", "bfloat16"])
@pytest.mark.parametrize("published", ["float32", "bfloat16"])
def test_publish_dtype_decides_whatever_the_source(lab: Lab, tmp_path: Path, source: str, published: str) -> None:
    start = tiny_policy(tmp_path / "start")
    AutoModelForCausalLM.from_pretrained(start, dtype=getattr(torch, source)).save_pretrained(start)
    task = lab.task(model=str(start), trainer=changed(TRAINER, publish_dtype=published))
    lab.train(task)
    stored = weights(task)
    assert {value.dtype for value in stored.values()} == {getattr(torch, published)}
    assert json.loads(Path(task.output, "config.json").read_text())["dtype"] == published
    assert "lm_head.weight" not in stored  # tied once, tied still
    model = AutoModelForCausalLM.from_pretrained(task.output, dtype=torch.bfloat16)  # as it is sampled from
    assert model.dtype == torch.bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_the_share_of_the_update_that_survives_is_counted(lab: Lab, kind: str) -> None:
    """Against the definition: of the elements that differ in float32, those that differ in bfloat16."""
    small = changed(TRAINING, learning_rate=1e-5)
    precise = lab.task(kind, training=small, model=str(lab.reward if kind == "reward" else lab.policy))
    rounded = replace(precise, output=precise.output + "16", trainer=changed(TRAINER, publish_dtype="bfloat16"))
    assert lab.train(precise).update_kept == 1.0
    shutil.rmtree(precise.scratch)
    share = lab.train(rounded).update_kept
    start = load_file(Path(precise.model) / "model.safetensors")
    moved = [(start[name], value) for name, value in weights(precise).items()]
    all_changes = sum(int((one != other).sum()) for one, other in moved)
    kept = sum(int((one.bfloat16() != other.bfloat16()).sum()) for one, other in moved)
    assert share == pytest.approx(kept / all_changes, abs=1e-9)
    assert 0.0 < share < 0.5


@pytest.mark.parametrize(("row", "training", "trainer", "words"), UNCHANGED)
def test_a_model_that_equals_its_start_is_an_error_unless_allowed(
    lab: Lab, tmp_path: Path, row: dict[str, Any], training: dict[str, Any], trainer: dict[str, Any], words: str
) -> None:
    # No embedding of zeros for a pad, which would take any change, and no value between two of bfloat16's.
    model = tiny_policy(tmp_path / "start", pad_token_id=None)
    AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).save_pretrained(model)
    rows = [replace(pair, **row) for pair in make_pairs(8)]
    quiet = changed(TRAINING, weight_decay=0.0, **training)
    task = lab.task(rows=rows, model=str(model), training=quiet, trainer=changed(TRAINER, **trainer))
    with pytest.raises(EngineError, match=words) as caught:
        lab.train(task)
    assert "\n" not in str(caught.value)
    assert "trainer.allow_unchanged=true" in str(caught.value)
    allowed = replace(task, output=task.output + "allowed", trainer=changed(task.trainer, allow_unchanged=True))
    outcome = lab.train(allowed)
    assert outcome.update_kept == 0.0
    assert outcome.warning == str(caught.value)
    start = load_file(model / "model.safetensors")
    assert all(torch.equal(value, start[name].to(value.dtype)) for name, value in weights(allowed).items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_of_one_step_changes_the_model(lab: Lab, kind: str) -> None:
    rates: list[float] = []
    task = lab.task(kind, rows=make_pairs(5))
    outcome = lab.train(task, lambda step, total, metrics: rates.append(metrics["learning_rate"]))
    assert (outcome.steps, rates) == (1, [TRAINING.learning_rate])
    start = load_file(lab.policy / "model.safetensors")
    moved = max(float((weights(task)[name] - start[name]).abs().max()) for name in start)
    assert moved == pytest.approx(TRAINING.learning_rate, rel=0.05)  # Adam's first step


def test_a_fresh_reward_head_follows_its_seed(lab: Lab) -> None:
    tasks = [lab.task("reward", seed=seed) for seed in (0, 0, 1)]
    for task in tasks:
        lab.train(task)
    heads = [weights(task)["score.weight"] for task in tasks]
    assert torch.equal(heads[0], heads[1])
    assert not torch.allclose(heads[0], heads[2], atol=1e-3)


def test_a_reward_model_continues_from_its_own_head(lab: Lab) -> None:
    task = lab.task("reward", model=str(lab.reward), training=changed(TRAINING, learning_rate=1e-9))
    lab.train(task)
    before, after = load_file(lab.reward / "model.safetensors"), weights(task)
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
