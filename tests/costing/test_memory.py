"""The memory of stages, on a GPU and on its node, and what to set where it does not suffice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mt.costing.estimate import Cost, costs
from mt.costing.memory import Memory, fastest
from mt.costing.report import estimate
from mt.plan import main
from mt.workflow.store import Store
from tests.costing.priced import LLAMA, at_scale


def train_memory(tmp_path: Path, *overrides: str) -> Memory:
    (run,) = at_scale(f"store={tmp_path}", *overrides)
    return next(c.memory for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == "train_policy")


def test_eight_billion_fit_eight_a100s_with_zero_3_and_not_without(tmp_path: Path) -> None:
    sharded, plain = train_memory(tmp_path), train_memory(tmp_path, "trainer.zero_stage=0")
    assert sharded.fits
    assert not plain.fits
    assert plain.advice.startswith("trainer.zero_stage=3 trainer.gradient_checkpointing=true would take")
    assert plain.gib - sharded.gib > 7 / 8 * 12 * LLAMA.parameters / 2**30


def test_memory_of_zero_3_by_hand(tmp_path: Path) -> None:
    """18 bytes a weight over eight devices, gathered layers, checkpoints, one layer, four chunks of logits."""
    tokens, hidden, vocabulary = 16384, 4096, 128256
    layer = tokens * (34 * hidden + 6 * 14336)
    held = 18 * LLAMA.parameters / 8 + 2 * 1e9 + 4 * 4 * 1024 * vocabulary
    recomputed = ("trainer.gradient_checkpointing=true", "trainer.micro_batch_tokens=16384")
    by_hand = held + 32 * tokens * hidden * 2 + layer
    assert train_memory(tmp_path, *recomputed).gib == pytest.approx(by_hand / 2**30 + 2)
    by_hand = held + 32 * layer * 6144 / tokens
    assert train_memory(tmp_path).gib == pytest.approx(by_hand / 2**30 + 2)


@pytest.mark.parametrize(
    ("machine", "trained", "scored"),
    [([], 16_384, 65_536), (["trainer.device=cpu", "scorer.device=cpu"], 512, 512), (["hardware.gpu=false"], 512, 512)],
)
def test_batches_that_the_device_decides_are_estimated_for_the_hardware(
    tmp_path: Path, machine: list[str], trained: int, scored: int
) -> None:
    def memory(training: object, scoring: object) -> list[Memory | None]:
        tokens = [f"trainer.micro_batch_tokens={training}", f"scorer.batch_tokens={scoring}"]
        (run,) = at_scale(f"store={tmp_path}", "scorer=transformers", "trainer=inline", *tokens, *machine)
        found = {cost.stage.name: cost.memory for cost in costs(run.plan, run.config, Store(tmp_path))}
        return [found["train_policy"], found["score"]]

    assert memory("null", "null") == memory(trained, scored) != memory(trained + 1, scored + 1)


def test_memory_of_adapters_by_hand(tmp_path: Path) -> None:
    """A frozen base in bfloat16; weights of rank 16, their gradients and moments, 16 bytes each; one layer in full."""
    narrow, wide = 4096 + 4096, 4096 + 14336  # q and o; gate, up and down; k and v are 1024 wide
    adapters = 32 * 16 * (2 * narrow + 2 * (4096 + 1024) + 3 * wide)
    tokens = 4096
    layer = tokens * (34 * 4096 + 6 * 14336 + 12 * 4096 + 2 * 14336)
    by_hand = 2 * LLAMA.parameters + 16 * adapters + 32 * tokens * 4096 * 2 + layer + 4 * 4 * 1024 * 128256
    found = train_memory(tmp_path, "scale=llama3_8b_lora")
    assert found.gib == pytest.approx(by_hand / 2**30 + 2)
    assert found.gib < 0.95 * 24


def train_cost(tmp_path: Path, *overrides: str) -> Cost:
    (run,) = at_scale(f"store={tmp_path}", *overrides)
    return next(c for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == "train_policy")


def test_recomputation_costs_a_forward_pass_and_a_frozen_base_none_of_its_own_gradients(tmp_path: Path) -> None:
    plain = train_cost(tmp_path)
    assert plain.flops == 3 * plain.tokens * LLAMA.flops_per_token
    recomputing = train_cost(tmp_path, "trainer.gradient_checkpointing=true")
    assert recomputing.flops == 4 * plain.tokens * LLAMA.flops_per_token
    adapters = train_cost(tmp_path, "scale=llama3_8b_lora")
    assert adapters.flops == 3 * adapters.tokens * LLAMA.flops_per_token, "two, and one again"


@pytest.mark.parametrize("scale", ["llama3_8b", "mistral_7b"])
def test_the_scales_train_as_the_estimate_chooses(tmp_path: Path, scale: str) -> None:
    (run,) = at_scale(f"store={tmp_path}", f"scale={scale}")
    for cost in costs(run.plan, run.config, Store(tmp_path)):
        if cost.kind == "train":
            stage: Any = cost.stage
            chosen = fastest(LLAMA, stage.training, stage.trainer, run.config.hardware)
            assert chosen == {"gradient_checkpointing": False, "micro_batch_tokens": 6144}
            assert {name: getattr(stage.trainer, name) for name in chosen} == chosen
            assert cost.memory is not None and 0.7 * 80 < cost.memory.gib < 0.85 * 80


def test_settings_that_recompute_without_need_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scale=llama3_8b", "trainer.gradient_checkpointing=true", "--cost", f"store={tmp_path}"]) == 0
    said = "train_policy, train_reward: 25% less to compute with trainer.gradient_checkpointing=false trainer.micro"
    assert said in capsys.readouterr().out
    assert train_cost(tmp_path, "trainer.gradient_checkpointing=true", "hardware.memory_gib=40").faster == ""


def host_memory(tmp_path: Path, stage: str, *overrides: str) -> float | None:
    (run,) = at_scale(f"store={tmp_path}", *overrides)
    memory = next(c.memory for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == stage)
    return memory and memory.host_gib


def test_host_memory_by_hand(tmp_path: Path) -> None:
    """Every process reads the weights, 2 bytes each; to publish, one holds the start in float32."""
    weights = LLAMA.parameters / 2**30
    assert host_memory(tmp_path, "sample") == pytest.approx(8 * (4 + 2 * weights))
    assert host_memory(tmp_path, "sample", "generator.tensor_parallel=4") == pytest.approx(2 * (4 + 2 * weights))
    assert host_memory(tmp_path, "train_policy") == pytest.approx(8 * (4 + 2 * weights))
    offloaded = host_memory(tmp_path, "train_policy", "trainer.offload_optimizer=true")
    assert offloaded == pytest.approx(8 * 4 + (4 + 16) * weights)
    assert host_memory(tmp_path, "train_policy", "scale=llama3_8b_lora") == pytest.approx(4 + 4 * weights)
    assert host_memory(tmp_path, "load_prompts") is None


def test_an_optimizer_is_offloaded_only_where_the_node_has_room(tmp_path: Path) -> None:
    small = ("hardware.memory_gib=24", "trainer.micro_batch_tokens=4096")
    assert "offload_optimizer=true" in train_memory(tmp_path, *small).advice
    refused = train_memory(tmp_path, *small, "hardware.host_gib=160")
    assert "offload_optimizer" not in refused.advice
    assert not train_memory(tmp_path, "hardware.host_gib=100").fits, "eight processes read 16 GB each"


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer=inline",),
        ("trainer.gradient_checkpointing=false", "hardware.memory_gib=40"),
        ("trainer.micro_batch_tokens=131072", "hardware.memory_gib=48"),
        ("hardware.memory_gib=24", "trainer.micro_batch_tokens=4096"),
        ("trainer=inline", "hardware=h200x1"),
        ("trainer=inline", "hardware=gpu24"),
    ],
)
def test_advice_holds_what_it_promises(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    refused = train_memory(tmp_path, *overrides)
    assert not refused.fits
    settings, promised = refused.advice.split(" would take ")
    fixed = train_memory(tmp_path, *overrides, *settings.split())
    assert fixed.fits
    assert f"{fixed.gib:.1f} GiB" == promised


def test_what_cannot_be_fixed_is_said(tmp_path: Path) -> None:
    refused = train_memory(tmp_path, "hardware.memory_gib=4")
    assert (refused.fits, refused.advice[:10]) == (False, "no setting")


def test_a_model_too_large_for_one_device_is_spread_by_vllm(tmp_path: Path) -> None:
    found = estimate(at_scale(f"store={tmp_path}", "hardware.memory_gib=16"))["stages"]
    assert found["sample"]["advice"].startswith("generator.tensor_parallel=2 would take")
    assert found["score"]["advice"].startswith("scorer.tensor_parallel=2 would take")
    local = estimate(at_scale(f"store={tmp_path}", "generator=transformers", "hardware.memory_gib=25"))["stages"]
    assert local["sample"]["advice"].startswith("generator.batch_tokens=32768 would take")
