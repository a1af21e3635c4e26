"""trainer=trl: the same steps as trainer=inline on the same rows, and one line for what TRL's trainers cannot do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mt.config.compose import compose_runs
from mt.engines.training.data import Example, Examples
from mt.engines.training.settings import LoraConfig
from mt.engines.training.trl import TrlTrainer, _arguments, rows_of_micro_batch
from mt.errors import ConfigError, DataError
from mt.methods.compile import compile_run
from mt.objectives.apo_zero import ApoZero
from mt.objectives.dpo import Dpo
from mt.objectives.hinge import Hinge
from mt.objectives.ipo import Ipo
from mt.objectives.kto import Kto
from mt.objectives.robust import Robust
from mt.objectives.sppo import Sppo
from mt.reward_losses import BradleyTerry
from mt.reward_losses.centered import Centered
from mt.reward_losses.label_smoothing import LabelSmoothing
from mt.reward_losses.margin import Margin
from mt.run import main
from mt.running.checks import check, lacking
from tests.engines.tiny import tiny_policy, tiny_reward
from tests.engines.training.agreement import assert_close
from tests.engines.training.conftest import DPO, TRAINER, TRAINING, Lab, changed, make_pairs

TRL = TrlTrainer.model_validate({**TRAINER.model_dump(), "name": "trl"})
SAME = changed(TRAINING, schedule="constant", warmup_ratio=0.0, epochs=2)
"""Settings that mean the same to both: all rows are one batch, and the learning rate is the same at every step."""
PLAIN: dict[str, Any] = {"nll_weight": 0.0}


def compared(lab: Lab, kind: str, trainer: TrlTrainer = TRL, *, rows: Any = None, **changes: Any) -> None:
    """Train the same rows on both engines for two steps, and compare the models."""
    tasks = []
    for one in (TRAINER, trainer):
        made = replace(lab.task(kind, rows or make_pairs(8)), **{"training": SAME, "trainer": one, **changes})
        assert lab.train(made).steps == 2
        tasks.append(made)
    assert_close(*tasks, tolerance=1e-5)


@pytest.mark.parametrize(
    "objective",
    [
        DPO,
        Robust(beta=0.1, flip_rate=0.2, **PLAIN),
        Hinge(beta=0.1, **PLAIN),
        Ipo(tau=0.1, per_token=True, **PLAIN),
        ApoZero(beta=0.1, **PLAIN),
    ],
    ids=lambda one: one.name,
)
def test_a_policy_takes_the_same_steps(lab: Lab, objective: Any) -> None:
    compared(lab, "policy", objective=objective)


@pytest.mark.parametrize(
    "objective", [BradleyTerry(), Centered(coefficient=0.5), Margin(scale=0.7)], ids=lambda one: one.name
)
def test_a_reward_model_takes_the_same_steps(lab: Lab, objective: Any) -> None:
    rewarded = [replace(pair, chosen_reward=i / 4, rejected_reward=0.3) for i, pair in enumerate(make_pairs(8))]
    compared(lab, "reward", rows=rewarded, objective=objective)


@pytest.mark.parametrize("kind", ["policy", "reward"])
def test_micro_batches_change_nothing(lab: Lab, kind: str) -> None:
    compared(lab, kind, changed(TRL, micro_batch_tokens=100))
    assert rows_of_micro_batch(8, 50, 100) == 2


@pytest.mark.parametrize(("device", "gpu", "rows"), [("auto", True, 8), ("cpu", True, 2), ("auto", False, 2)])
def test_micro_batches_left_to_the_device_are_those_of_where_it_trains(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, device: str, gpu: bool, rows: int
) -> None:
    """Of a batch of 8 pairs of 150 tokens 512 tokens hold 3, and 2 divide it; 16,384 hold all."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    task = replace(lab.task(), trainer=changed(TRL, micro_batch_tokens=None, device=device))
    data = Examples([Example("p", [(list(range(75)), 1), (list(range(60)), 1)], 1.0)])
    assert _arguments(task, data)["per_device_train_batch_size"] == rows


def test_a_likelihood_term_is_that_of_ours_where_a_micro_batch_is_one_row(lab: Lab) -> None:
    compared(lab, "policy", changed(TRL, micro_batch_tokens=1), objective=changed(DPO, nll_weight=0.5))


def test_adapters_are_trained_and_merged_as_ours(lab: Lab) -> None:
    adapted = changed(SAME, lora=LoraConfig(rank=2, alpha=4, targets=["q_proj", "v_proj"]))
    compared(lab, "policy", training=adapted)


def test_a_killed_training_continues_to_the_same_weights(lab: Lab) -> None:
    often = changed(TRL, checkpoint_minutes=0)
    steps = changed(SAME, batch_size=4)
    whole, cut = (replace(lab.task("policy", make_pairs(12)), training=steps, trainer=often) for _ in range(2))
    lab.train(whole)

    def kill(step: int, *_: Any) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.train(cut, kill)
    seen: list[int] = []
    lab.train(cut, lambda step, *_: seen.append(step))
    assert seen == [4, 5, 6]
    assert_close(whole, cut, tolerance=0)


def test_supervised_fine_tuning_is_that_of_inline(lab: Lab) -> None:
    one, other = lab.task("sft"), replace(lab.task("sft"), trainer=TRL)
    lab.train(one)
    lab.train(other)
    assert_close(one, other, tolerance=0)


class OwnDpo(Dpo):
    """A loss of one's own, which TRL does not know."""


@pytest.mark.parametrize(
    "objective",
    [
        Kto(beta=0.1, desirable_weight=1.0, undesirable_weight=1.0, reference_point="batch", **PLAIN),
        Sppo(beta=0.1, **PLAIN),
        changed(DPO, label_smoothing=0.1),
        Ipo(tau=0.1, per_token=False, **PLAIN),
        OwnDpo.model_construct(name="own", beta=0.1, label_smoothing=0.0, nll_weight=0.0),
        LabelSmoothing(flip_rate=0.1),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_trl_does_not_have_is_refused_before_anything_runs(objective: Any) -> None:
    with pytest.raises(ConfigError, match=r"TRL's \w+ has no such loss\. Allowed: .*\. Or trainer=inline\."):
        TRL.check(SAME, objective)


def test_rows_with_weights_and_left_out_rows_are_refused(lab: Lab) -> None:
    weighted = [replace(pair, weight=0.5) for pair in make_pairs(8)]
    with pytest.raises(DataError, match=r"weight=0\.5: TRL's trainers know no weights.*trainer=inline"):
        lab.train(replace(lab.task("reward", weighted), trainer=TRL))
    with pytest.raises(ConfigError, match=r"training\.drop_last=true: TRL leaves out"):
        TRL.check(changed(SAME, drop_last=True), DPO)


def test_what_it_does_otherwise_is_said() -> None:
    (said,) = TRL.deviations(changed(SAME, group_by_length=8), changed(DPO, nll_weight=1.0))
    for part in ("learning rate begins at 0", "training.group_by_length has no effect", "tokens of a micro-batch"):
        assert part in said
    (said,) = TRL.deviations(SAME, DPO)
    assert "group_by_length" not in said and "likelihood" not in said


def test_a_plan_and_a_run_with_it_are_refused_for_an_objective_that_it_lacks(tmp_path: Path) -> None:
    folders = [f"store={tmp_path}/store", f"runs={tmp_path}/runs"]
    compiled = compile_run(compose_runs(["trainer=trl", "objective=sppo", *folders])[0].config)
    (said,) = lacking(compiled.plan, compiled.store)
    assert said.startswith("objective=sppo: TRL's DPOTrainer has no such loss")
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
        check(compiled)


def test_one_iteration_gives_the_same_policy_on_both_engines(tmp_path: Path) -> None:
    tiny_policy(tmp_path / "policy", initializer_range=0.1)
    tiny_reward(tmp_path / "reward", initializer_range=0.1)
    asked = [f"tell me the colour of {n} {a}" for n in ("one", "two", "three") for a in ("fox", "owl", "cat", "dog")]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked))
    given = {"data.path": "prompts.jsonl", "policy.path": "policy", "reward.path": "reward", "store": "store"}
    words = [*(f"{name}={tmp_path / value}" for name, value in given.items()), f"runs={tmp_path}/runs"]
    for part in ("policy", "reward"):  # one batch, and one learning rate
        same = {"batch_size": 64, "group_by_length": 1, "schedule": "constant", "warmup_ratio": 0}
        words += [f"{part}.training.{name}={value}" for name, value in same.items()]
    words += ["data=jsonl", "data.held_out=2", "iterations=1", "eval=[]", "objective.nll_weight=0", "trainer.threads=1"]
    words += [
        "sampling.samples=4",
        "sampling.max_new_tokens=6",
        "trainer.dtype=float32",
        "trainer.publish_dtype=float32",
    ]
    words += ["policy.training.learning_rate=1e-3", "reward.training.learning_rate=1e-3"]
    found = []
    for name in ("inline", "trl"):
        assert main([*words, f"trainer={name}", f"name={name}"]) == 0
        models = tmp_path / "runs" / name / "store"
        found.append([load_file(models / f"iteration_1-{kind}" / "model.safetensors") for kind in ("policy", "reward")])
    start = [load_file(tmp_path / kind / "model.safetensors") for kind in ("policy", "reward")]
    (ours, _), (theirs, _) = found  # the reward models learn from samples that each policy has seeds of its own for
    assert all(torch.allclose(ours[name], theirs[name], rtol=0, atol=1e-5) for name in ours)
    for models in found:
        for model, begun in zip(models, start, strict=True):
            assert max((model[name] - begun[name]).abs().max() for name in begun) > 1e-4  # a step was made
