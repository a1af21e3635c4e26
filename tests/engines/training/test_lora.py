from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from mt.engines.text import open_chat
from mt.engines.training.models import adapt, load_for_training, publish
from mt.engines.training.settings import LoraConfig, check_targets
from mt.errors import ConfigError
from mt.objectives.sft import Sft
from mt.stages.models import ModelFolder
from mt.workflow.keys import canonical
from tests.engines.tiny import tiny_policy
from tests.engines.training.agreement import assert_close, weights
from tests.engines.training.conftest import TRAINER, TRAINING, Lab, changed, make_pairs
from tests.engines.training.test_torchrun import SHARED, TWO, compare

pytest.importorskip("peft")
ADAPTED = changed(TRAINING, lora=LoraConfig(rank=4, alpha=8, targets=["q_proj", "down_proj"]))


@pytest.mark.parametrize("kind", ["policy", "reward", "sft"])
def test_only_adapted_layers_change_and_the_folder_is_ordinary(lab: Lab, kind: str) -> None:
    task = lab.task(kind, training=ADAPTED)
    lab.train(task)
    before, after = load_file(lab.policy / "model.safetensors"), weights(task)
    assert set(after) == {*before, *(["score.weight"] if kind == "reward" else [])}
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "q_proj" in name or "down_proj" in name}


def test_all_linear_layers_can_be_adapted(lab: Lab) -> None:
    task = lab.task(training=changed(TRAINING, lora=LoraConfig(rank=2, alpha=4, targets=["all-linear"])))
    lab.train(task)
    before, after = load_file(lab.policy / "model.safetensors"), weights(task)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "_proj" in name}


@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 1e-5), ("bfloat16", 0.05)])
def test_the_published_model_computes_what_the_adapted_one_did(lab: Lab, dtype: str, rounding: float) -> None:
    task = lab.task(training=ADAPTED, trainer=changed(TRAINER, dtype=dtype))
    model = load_for_training(task).eval()
    ids = torch.tensor([[1, 3, 9, 8, 2, 4, 7]])
    plain = model(ids).logits
    adapt(model, task)
    parameters = dict(model.named_parameters())
    learnt = {
        name: torch.nn.init.normal_(parameter, std=0.3) for name, parameter in parameters.items() if "lora_" in name
    }
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        adapted = model(ids).logits.float()
    assert (adapted - plain).abs().max() > 0.2
    publish(model, open_chat(task.model, task.template), task, Path(task.output), first=True)
    published = AutoModelForCausalLM.from_pretrained(task.output)
    torch.testing.assert_close(published(ids).logits, adapted, rtol=0, atol=rounding)
    # alpha / rank = 2, in float32 whatever the precision of the training
    start = load_file(lab.policy / "model.safetensors")
    for name, weight in load_file(Path(task.output) / "model.safetensors").items():
        down, up = (learnt.get(name.replace("weight", f"lora_{part}.default.weight")) for part in "AB")
        expected = start[name] if down is None or up is None else start[name] + 2 * (up.cpu() @ down.cpu())
        torch.testing.assert_close(weight, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("dtype", "base"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
@pytest.mark.parametrize("kind", ["policy", "reward"])
def test_what_is_frozen_is_held_in_the_trainer_s_precision_and_what_learns_in_float32(
    lab: Lab, kind: str, dtype: str, base: torch.dtype
) -> None:
    task = lab.task(kind, training=ADAPTED, trainer=changed(TRAINER, dtype=dtype), model=str(lab.reward))
    task = task if kind == "reward" else lab.task(training=ADAPTED, trainer=changed(TRAINER, dtype=dtype))
    model = load_for_training(task)
    head = dict(model.named_parameters()).get("score.weight")
    before = None if head is None else head.clone()
    adapt(model, task)
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} == {torch.float32}
    assert {parameter.dtype for parameter in model.parameters() if not parameter.requires_grad} == {base}
    assert ("score.weight" in learns) == (kind == "reward")
    if before is not None:
        assert torch.equal(model.score.weight, before), "no bit of the head is lost"


@pytest.mark.parametrize("kind", ["policy", "reward"])
def test_a_base_in_bfloat16_learns_about_the_same(lab: Lab, kind: str) -> None:
    low, high = (lab.task(kind, training=ADAPTED, trainer=changed(TRAINER, dtype=d)) for d in ("bfloat16", "float32"))
    for task in (low, high):
        lab.train(task)
    start = load_file(lab.policy / "model.safetensors")
    moved = {name: (weights(low)[name] - start[name], weights(high)[name] - start[name]) for name in start}
    assert all(torch.equal(a, b) for name, (a, b) in moved.items() if "q_proj" not in name and "down_proj" not in name)
    first, second = (torch.cat([pair[side].flatten() for pair in moved.values()]) for side in (0, 1))
    assert torch.nn.functional.cosine_similarity(first, second, dim=0) > 0.9


def test_adapters_resume_to_the_bit(lab: Lab) -> None:
    saving = changed(TRAINER, checkpoint_minutes=0)
    whole, killed = (lab.task(trainer=saving, training=ADAPTED) for _ in range(2))
    lab.train(whole)

    def kill(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.train(killed, kill)
    assert [path.name for path in Path(killed.scratch, "checkpoints").glob("checkpoint-*")] == ["checkpoint-1"]
    lab.train(killed)
    assert_close(whole, killed, 0.0)
    AutoModelForCausalLM.from_pretrained(killed.output)


@pytest.mark.engines
def test_adapters_of_two_deepspeed_processes_equal_those_of_one(lab: Lab) -> None:
    pytest.importorskip("deepspeed")
    compare(lab, "policy", changed(SHARED, zero_stage=2), 1e-5, rows=make_pairs(21), training=ADAPTED)


def test_layers_that_are_not_there_are_named(lab: Lab) -> None:
    lora = LoraConfig(rank=2, alpha=4, targets=["c_attn"])
    with pytest.raises(ConfigError, match=r"lora\.targets=c_attn: .*all-linear, down_proj"):
        lab.train(lab.task(training=changed(TRAINING, lora=lora)))


def test_scattered_weights_take_no_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())  # DeepSpeed, wherever this runs
    with pytest.raises(ConfigError, match="zero_stage=3"):
        changed(TWO, zero_stage=3).check(ADAPTED, Sft(per_token=True))


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_tied_weights_take_no_adapter(lab: Lab, target: str) -> None:
    task = lab.task(training=changed(TRAINING, lora=LoraConfig(rank=2, alpha=4, targets=["q_proj", target])))
    with pytest.raises(ConfigError, match=rf"lora\.targets={target}: the weights of .*{target} are tied.*all-linear"):
        adapt(load_for_training(task), task)


def test_adapters_are_refused_by_the_folder_alone(tmp_path: Path) -> None:
    tied = ModelFolder("tied", tiny_policy(tmp_path / "tied"), "policy").skeleton()
    free = ModelFolder("free", tiny_policy(tmp_path / "free", tie_word_embeddings=False), "policy").skeleton()
    field = "policy.training.lora.targets"
    check_targets(free, ["lm_head"], field)
    check_targets(tied, ["all-linear"], field)
    with pytest.raises(ConfigError, match=rf"^{field}=lm_head: the weights of lm_head are tied"):
        check_targets(tied, ["lm_head"], field)
    with pytest.raises(ConfigError, match=rf"^{field}=c_attn: the model has no such layers.*q_proj"):
        check_targets(tied, ["c_attn"], field)


def test_only_trainings_with_adapters_have_the_version_of_adapters_in_their_key() -> None:
    assert TRAINING.identity() == {name: value for name, value in TRAINING.model_dump().items() if value is not None}
    assert ADAPTED.lora.identity()["version"] == 2
    assert "version" in str(canonical(ADAPTED)) and "version" not in str(canonical(TRAINING))
