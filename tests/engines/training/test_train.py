"""Trainings as a whole: deterministic, independent of how batches are cut, resumable, loadable."""

from __future__ import annotations

import errno
import itertools
import json
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
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaForSequenceClassification,
    PreTrainedModel,
)

from mt.engines.training import TrainingTask
from mt.engines.training.checkpoints import drop_damaged
from mt.engines.training.inline import InlineTrainer
from mt.engines.training.settings import LoraConfig
from mt.engines.training.task import step_folders
from mt.errors import ConfigError, DataError, EngineError, ModelError
from mt.objectives.kto import Kto
from mt.objectives.sppo import Sppo
from mt.types import PairLogProbs
from tests.engines.scoring.asking import response_logprobs
from tests.engines.settings import logprobs_config
from tests.engines.tiny import tiny_policy
from tests.engines.training.conftest import TRAINER, TRAINING, Lab, changed, make_pairs, references_of

KINDS = ["policy", "reward", "sft"]
KTO = Kto(beta=0.1, desirable_weight=1.0, undesirable_weight=1.0, reference_point="batch", nll_weight=0.0)


def weights(task: TrainingTask) -> dict[str, torch.Tensor]:
    return load_file(Path(task.output) / "model.safetensors")


def assert_close(one: TrainingTask, other: TrainingTask, tolerance: float) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=tolerance, msg=name)


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


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_equals_uninterrupted(lab: Lab, kind: str) -> None:
    saving = changed(TRAINER, checkpoint_minutes=0)
    uninterrupted, killed = lab.task(kind, trainer=saving), lab.task(kind, trainer=saving)
    curves: dict[str, list[dict[str, float]]] = {"one": [], "two": []}
    lab.train(uninterrupted, lambda step, total, metrics: curves["one"].append(metrics))

    def kill(step: int, total: int, metrics: dict[str, float]) -> None:
        curves["two"].append(metrics)
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.train(killed, kill)
    curves["two"].pop()  # reported, but not yet in a checkpoint
    steps: list[int] = []

    def observe(step: int, total: int, metrics: dict[str, float]) -> None:
        steps.append(step)
        curves["two"].append(metrics)

    lab.train(killed, observe)
    assert steps == [2, 3]
    assert_close(uninterrupted, killed, 0.0)
    seen = {name: [(metrics["loss"], metrics["learning_rate"]) for metrics in curve] for name, curve in curves.items()}
    assert seen["one"] == seen["two"]


@pytest.mark.parametrize("kind", ["policy", "lora"])
def test_models_on_the_way_are_those_of_their_steps_and_change_nothing(lab: Lab, kind: str) -> None:
    """The checkpoints to go on from, which the Trainer writes by itself, tell what the model was at a step."""
    adapters = LoraConfig(rank=2, alpha=4, targets=["all-linear"]) if kind == "lora" else None
    settings: dict[str, Any] = {
        "training": changed(TRAINING, lora=adapters),
        "trainer": changed(TRAINER, checkpoint_minutes=0),
    }
    plain, whole, killed = lab.task(**settings), *(lab.task(**settings, every_steps=1) for _ in range(2))
    lab.train(plain)
    lab.train(whole)
    models = step_folders(Path(whole.output))
    assert list(models) == [1, 2, 3] and not (Path(whole.output) / "model.safetensors").exists()
    assert_equal(load_file(models[3] / "model.safetensors"), weights(plain))
    if adapters is None:
        saved = load_file(Path(whole.scratch) / "checkpoints" / "checkpoint-2" / "model.safetensors")
        assert_equal(load_file(models[2] / "model.safetensors"), saved)
    assert AutoModelForCausalLM.from_pretrained(models[1]).config.use_cache

    def kill(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.train(killed, kill)
    lab.train(killed)
    for step, model in step_folders(Path(killed.output)).items():
        assert_equal(load_file(model / "model.safetensors"), load_file(models[step] / "model.safetensors"))
    three = [load_file(model / "model.safetensors") for model in models.values()]
    assert len(three) == 3 and not any(same(one, other) for one, other in itertools.pairwise(three))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert same(one, other)


def test_a_checkpoint_cut_short_is_passed_over(lab: Lab) -> None:
    task = lab.task(trainer=changed(TRAINER, checkpoint_minutes=0))
    lab.train(task)
    newest = max(Path(task.scratch, "checkpoints").glob("checkpoint-*"), key=lambda path: path.name)
    (newest / "whole").unlink()
    (newest / "model.safetensors").write_bytes(b"cut")
    lab.train(replace(task, output=task.output + "again"))
    assert_close(task, replace(task, output=task.output + "again"), 0.0)


@pytest.mark.parametrize("damage", ["flipped", "cut", "seal", "layout"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(lab: Lab, damage: str) -> None:
    task = lab.task(trainer=changed(TRAINER, checkpoint_minutes=0))
    lab.train(task)
    folder = Path(task.scratch, "checkpoints")
    assert drop_damaged(Path(task.scratch)) == []
    older, newer = sorted(path.name for path in folder.glob("checkpoint-*"))
    file = folder / newer / {"flipped": "model.safetensors", "cut": "optimizer.pt", "seal": "whole"}.get(damage, "x")
    if damage == "layout":
        file = folder / "layout.json"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    assert drop_damaged(Path(task.scratch)) == ([newer, older] if damage == "layout" else [newer])
    assert drop_damaged(Path(task.scratch)) == []
    steps: list[int] = []
    again = replace(task, output=task.output + "again")
    lab.train(again, lambda step, total, metrics: steps.append(step))
    assert steps == ([1, 2, 3] if damage == "layout" else [2, 3])
    assert_close(task, again, 0.0)


@pytest.mark.parametrize(("name", "was"), [("torch", "1.0"), ("processes", 8), ("zero_stage", 3), ("lora", True)])
def test_checkpoints_of_another_layout_are_refused(lab: Lab, name: str, was: object) -> None:
    """Of another version, another number of processes, other shards: nothing guesses how to read them."""
    task = lab.task(trainer=changed(TRAINER, checkpoint_minutes=0))
    lab.train(task)
    layout = Path(task.scratch, "checkpoints", "layout.json")
    layout.write_text(json.dumps({**json.loads(layout.read_text()), name: was}))
    with pytest.raises(EngineError, match=rf"^{name}=.* was {was} when .* was interrupted\. Set it back, or remove"):
        lab.train(task)


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


UNCHANGED = [
    ({"weight": 0.0}, {}, {}, r"gradient norm=0: was 0 at every step"),
    ({}, {"learning_rate": 1e-30}, {}, r"training\.learning_rate=1e-30: is too small to change any weight"),
    ({}, {"learning_rate": 1e-9}, {"publish_dtype": "bfloat16"}, r"publish_dtype=bfloat16: holds none of the [1-9]"),
]


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
