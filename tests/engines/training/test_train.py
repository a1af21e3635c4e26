"""Trainings as a whole: deterministic, independent of how batches are cut, resumable, loadable."""

from __future__ import annotations

import errno
import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    LlamaForSequenceClassification,
    PreTrainedModel,
)

from mt.engines.training import TrainingTask
from mt.engines.training.inline import InlineTrainer
from mt.errors import ConfigError, DataError, EngineError, ModelError
from mt.objectives.kto import Kto
from mt.objectives.sppo import Sppo
from mt.types import PairLogProbs
from tests.engines.scoring.asking import response_logprobs
from tests.engines.settings import logprobs_config
from tests.engines.training.agreement import KINDS, assert_close, weights
from tests.engines.training.conftest import TRAINER, TRAINING, Lab, changed, make_pairs, references_of

KTO = Kto(beta=0.1, desirable_weight=1.0, undesirable_weight=1.0, reference_point="batch", nll_weight=0.0)


def cut(tokens: int) -> InlineTrainer:
    return changed(TRAINER, micro_batch_tokens=tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_same_task_gives_the_same_weights(lab: Lab, kind: str) -> None:
    one, other = lab.task(kind), lab.task(kind)
    lab.train(one)
    torch.randn(7)  # the state that other work left behind must not matter
    lab.train(other)
    assert_close(one, other, 0.0)
    start = load_file(lab.policy / "model.safetensors")
    assert any((weights(one)[name] - start[name]).abs().max() > 1e-4 for name in start)


def test_another_seed_gives_other_weights(lab: Lab) -> None:
    one, other = lab.task(), lab.task(seed=1)
    lab.train(one)
    lab.train(other)
    with pytest.raises(AssertionError):
        assert_close(one, other, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_one_batch_of_eight_equals_eight_of_one(lab: Lab, kind: str) -> None:
    whole, single = lab.task(kind), lab.task(kind, trainer=cut(1))
    seen: dict[str, list[dict[str, float]]] = {"whole": [], "single": []}
    lab.train(whole, lambda step, total, metrics: seen["whole"].append(metrics))
    lab.train(single, lambda step, total, metrics: seen["single"].append(metrics))
    assert_close(whole, single, 2e-6)
    for one, other in zip(seen["whole"], seen["single"], strict=True):
        for name in set(one) - {"tokens_per_second", "memory_mib"}:
            assert one[name] == pytest.approx(other[name], abs=1e-4), name


def test_coupled_objective_does_not_depend_on_the_cut(lab: Lab) -> None:
    near = [PairLogProbs(row.prompt_id, -30.0, -30.0) for row in references_of(make_pairs(20))]
    more: dict[str, Any] = {"objective": KTO, "references": near}
    whole, single = lab.task(**more), lab.task(**more, trainer=cut(60))
    lab.train(whole)
    lab.train(single)
    assert_close(whole, single, 2e-6)


def test_bfloat16_stays_near_float32(lab: Lab) -> None:
    precise, fast = lab.task(), lab.task(trainer=changed(TRAINER, dtype="bfloat16"))
    losses: dict[str, list[float]] = {"precise": [], "fast": []}
    lab.train(precise, lambda step, total, metrics: losses["precise"].append(metrics["loss"]))
    lab.train(fast, lambda step, total, metrics: losses["fast"].append(metrics["loss"]))
    assert losses["fast"] != losses["precise"]
    assert losses["fast"] == pytest.approx(losses["precise"], abs=2e-2)
    assert weights(fast)["model.embed_tokens.weight"].dtype == torch.float32


def test_gradient_checkpointing_changes_nothing(lab: Lab) -> None:
    one, other = lab.task(), lab.task(trainer=changed(TRAINER, gradient_checkpointing=True))
    lab.train(one)
    lab.train(other)
    assert_close(one, other, 1e-6)


def test_training_lowers_the_loss(lab: Lab) -> None:
    losses: list[float] = []
    task = lab.task("reward", training=changed(TRAINING, epochs=20))
    lab.train(task, lambda step, total, metrics: losses.append(metrics["loss"]))
    assert losses[0] == pytest.approx(0.693, abs=0.02)
    assert losses[-1] < 0.2


def test_references_are_read_by_row(lab: Lab) -> None:
    """A reference far from the policy makes its own row's loss vanish, and no other's."""
    pairs = make_pairs(8)
    even = [PairLogProbs(pair.prompt_id, -10.0, -10.0) for pair in pairs]
    far = [*even[:3], PairLogProbs(pairs[3].prompt_id, -1e6, 0.0), *even[4:]]
    losses: list[float] = []
    for rows, references in ((pairs, even), (pairs, far), ([*pairs[:3], *pairs[4:]], [*even[:3], *even[4:]])):
        task = lab.task(rows=rows, references=references)
        lab.train(task, lambda step, total, metrics: losses.append(metrics["loss"]))
    assert losses[1] * 8 == pytest.approx(losses[2] * 7, abs=1e-4)
    assert losses[0] * 8 > losses[1] * 8 + 0.1


@pytest.mark.parametrize("truncation", ["left", "drop"])
def test_references_of_the_policy_itself_start_at_log_two(lab: Lab, truncation: Literal["left", "drop"]) -> None:
    """The reference pass and the training see the same sequences, those that are cut or dropped included."""
    pairs = make_pairs(24, longest=20)
    items = [(pair.messages, response) for pair in pairs for response in (pair.chosen, pair.rejected)]
    found = {i: logp for i, logp, _ in response_logprobs(logprobs_config(), lab.policy, items, 24, truncation)}
    references = [PairLogProbs(pair.prompt_id, found[2 * i], found[2 * i + 1]) for i, pair in enumerate(pairs)]
    training = changed(TRAINING, max_length=24, truncation=truncation, batch_size=64)
    losses: list[float] = []
    outcome = lab.train(
        lab.task(rows=pairs, references=references, training=training),
        lambda step, total, metrics: losses.append(metrics["loss"]),
    )
    assert losses == pytest.approx([math.log(2)], abs=1e-6)
    assert (outcome.truncated if truncation == "left" else outcome.dropped) > 0


def test_weights_scale_the_loss(lab: Lab) -> None:
    pairs = make_pairs(8)
    losses: list[float] = []
    for weight in (1.0, 0.25):
        task = lab.task("reward", rows=[replace(pair, weight=weight) for pair in pairs])
        lab.train(task, lambda step, total, metrics: losses.append(metrics["loss"]))
    assert losses[1] == pytest.approx(losses[0] / 4, rel=1e-5)


def test_win_probabilities_reach_the_objective(lab: Lab) -> None:
    losses: list[float] = []
    for wins in (0.8, 0.9):
        rows = [replace(pair, chosen_win_probability=wins) for pair in make_pairs(8)]
        task = lab.task(rows=rows, objective=Sppo(beta=0.01, nll_weight=0.0))
        lab.train(task, lambda step, total, metrics: losses.append(metrics["loss"]))
    assert losses[0] != losses[1]


def test_what_does_not_fit_is_counted(lab: Lab) -> None:
    pairs = make_pairs(16)
    long = " ".join(["red"] * 30)
    pairs[0] = replace(pairs[0], messages=[{"role": "user", "content": long}])
    pairs[1] = replace(pairs[1], chosen=replace(pairs[1].chosen, text=long))
    short = changed(TRAINING, max_length=24)
    dropping = lab.train(lab.task(rows=pairs, training=short))
    assert (dropping.rows, dropping.used, dropping.dropped, dropping.truncated) == (16, 14, 2, 0)
    cutting = lab.train(lab.task(rows=pairs, training=changed(short, truncation="left")))
    assert (cutting.used, cutting.dropped, cutting.truncated) == (15, 1, 1)  # a response is never cut
    reward = lab.train(lab.task("reward", rows=pairs, training=changed(short, truncation="left")))
    assert (reward.used, reward.dropped, reward.truncated) == (16, 0, 2)


def test_the_last_batch_is_kept_or_dropped(lab: Lab) -> None:
    keep = lab.train(lab.task())
    drop = lab.train(lab.task(training=changed(TRAINING, drop_last=True)))
    assert (keep.steps, keep.used, keep.dropped) == (3, 20, 0)
    assert (drop.steps, drop.used, drop.dropped) == (2, 16, 4)


def test_a_loss_that_is_not_finite_names_its_step(lab: Lab) -> None:
    task = lab.task(training=changed(TRAINING, learning_rate=1e30, max_gradient_norm=1e30, warmup_ratio=0.0))
    with pytest.raises(EngineError, match=r"not finite at step [23] of 3"):
        lab.train(task)
    assert not Path(task.output).exists()


def test_a_full_disk_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise SafetensorError("I/O error")

    task = lab.task()
    monkeypatch.setattr(PreTrainedModel, "save_pretrained", fail)
    with pytest.raises(SafetensorError):
        lab.train(task)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(OSError, match="No space left") as caught:
        lab.train(task)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"references": []}, ConfigError, "needs one table of reference"),
        ({"references": references_of(make_pairs(19))}, DataError, "do not belong to these 20 pairs"),
        ({"references": references_of(make_pairs(20)[::-1])}, DataError, "belongs to prompt 'p19'"),
        ({"training": changed(TRAINING, max_length=1000)}, ModelError, "context"),
        ({"training": changed(TRAINING, max_length=6)}, DataError, "20 of 20 dropped"),
        ({"training": changed(TRAINING, batch_size=64, drop_last=True)}, DataError, "no batch of 64"),
        ({"model": "/nowhere"}, ModelError, "no such folder"),
        ({"trainer": changed(TRAINER, device="cuda")}, EngineError, "no GPU"),
    ],
)
def test_bad_input_is_one_line(lab: Lab, changes: dict[str, Any], error: type[Exception], words: str) -> None:
    if changes.get("trainer") and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    task = lab.task(**changes)
    with pytest.raises(error, match=words) as caught:
        lab.train(task)
    assert "\n" not in str(caught.value)


def test_references_that_are_not_finite_are_refused(lab: Lab) -> None:
    pairs = make_pairs(20)
    references = references_of(pairs)
    references[4] = PairLogProbs(pairs[4].prompt_id, float("nan"), -1.0)
    with pytest.raises(DataError, match="p4: is not finite"):
        lab.train(lab.task(rows=pairs, references=references))


def test_tasks_survive_json(lab: Lab, tmp_path: Path) -> None:
    task = lab.task()
    task.write(tmp_path / "task.json")
    assert TrainingTask.read(tmp_path / "task.json") == task


def test_a_model_that_does_more_than_its_head_is_not_trained(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    own = LlamaForSequenceClassification.forward

    def sharpened(self: Any, *arguments: Any, **named: Any) -> Any:
        out = own(self, *arguments, **named)
        out.logits = out.logits.sigmoid()
        return out

    monkeypatch.setattr(LlamaForSequenceClassification, "forward", sharpened)
    task = lab.task("reward", model=str(lab.reward))
    with pytest.raises(ModelError, match="rewards would not be those of its own outputs"):
        lab.train(task)
    assert not Path(task.output).exists()
