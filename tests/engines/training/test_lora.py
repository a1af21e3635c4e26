from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from mt.engines.lora_targets import check_folder_targets
from mt.engines.training.models import adapt, load_for_training, merge
from mt.engines.training.settings import LoraConfig
from mt.errors import ConfigError
from tests.engines.tiny import tiny_policy
from tests.engines.training.conftest import TRAINER, TRAINING, Lab, changed, make_pairs
from tests.engines.training.test_torchrun import SHARED, TWO, compare
from tests.engines.training.test_train import assert_close, weights

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


def test_merging_keeps_what_the_model_computes(lab: Lab) -> None:
    task = lab.task(training=ADAPTED)
    model = load_for_training(task).eval()
    ids = torch.tensor([[1, 3, 9, 8, 2, 4, 7]])
    plain = model(ids).logits
    adapt(model, task)
    assert torch.equal(model(ids).logits, plain)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted = model(ids).logits
    assert not torch.allclose(adapted, plain, atol=1e-3)
    merge(model, {})
    torch.testing.assert_close(model(ids).logits, adapted, rtol=0, atol=1e-5)
    assert "lora" not in str(model.state_dict().keys())


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
        changed(TWO, zero_stage=3).check(ADAPTED)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_tied_weights_take_no_adapter(lab: Lab, target: str) -> None:
    task = lab.task(training=changed(TRAINING, lora=LoraConfig(rank=2, alpha=4, targets=["q_proj", target])))
    with pytest.raises(ConfigError, match=rf"lora\.targets={target}: the weights of .*{target} are tied.*all-linear"):
        adapt(load_for_training(task), task)


def test_adapters_are_refused_by_the_folder_alone(tmp_path: Path) -> None:
    tied = tiny_policy(tmp_path / "tied")
    free = tiny_policy(tmp_path / "free", tie_word_embeddings=False)
    field = "policy.training.lora.targets"
    check_folder_targets(free, "policy", ["lm_head"], field)
    check_folder_targets(tied, "policy", ["all-linear"], field)
    with pytest.raises(ConfigError, match=rf"^{field}=lm_head: the weights of lm_head are tied"):
        check_folder_targets(tied, "policy", ["lm_head"], field)
    with pytest.raises(ConfigError, match=rf"^{field}=c_attn: the model has no such layers.*q_proj"):
        check_folder_targets(tied, "policy", ["c_attn"], field)
