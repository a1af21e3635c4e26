from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.costing.estimate import CHECKPOINTS_KEPT, costs
from mt.costing.memory import Memory
from mt.costing.report import estimate
from mt.costing.shapes import KNOWN, shape_of_config
from mt.methods.blueprint import blueprint
from mt.plan import main
from mt.workflow.store import Store
from tests.small import small

LLAMA = KNOWN["meta-llama/Meta-Llama-3-8B-Instruct"]


def test_parameters_of_llama_3_8b() -> None:
    assert LLAMA.parameters == pytest.approx(8.03e9, rel=0.002)
    assert KNOWN["Qwen/Qwen2.5-0.5B-Instruct"].parameters == pytest.approx(0.494e9, rel=0.01)
    assert LLAMA.flops_per_token == 2 * (LLAMA.parameters - 128256 * 4096)


def test_a_reward_model_has_no_head_over_the_vocabulary() -> None:
    reward = KNOWN["sfairXC/FsfairX-LLaMA3-RM-v0.1"]
    assert reward.parameters == LLAMA.parameters - 128256 * 4096
    assert reward.flops_per_token == LLAMA.flops_per_token - 2 * 128256 * 4096
    assert KNOWN["Skywork/Skywork-Reward-V2-Qwen3-0.6B"].parameters == pytest.approx(0.596e9, rel=0.002)


def test_a_config_tells_the_same_shape() -> None:
    config = {
        "hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 14336, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
    }  # fmt: skip
    assert shape_of_config(config) == LLAMA
    assert shape_of_config({**config, "head_dim": 64}) == replace(LLAMA, head_size=64)
    assert shape_of_config({**config, "architectures": ["LlamaForSequenceClassification"]}).rewards


def at_scale(*overrides: str):
    return [blueprint(run.config) for run in compose_runs(["scale=llama3_8b", *overrides], multirun=True)]


def test_sampling_a_third_of_ultrafeedback_by_hand(tmp_path: Path) -> None:
    (run,) = at_scale(f"store={tmp_path}")
    found = [c for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == "sample"]
    first = next(c for c in found if str(run.plan.position(c.stage)) == "iteration 1 · E-step")
    assumed = run.config.assumptions
    prompts = (assumed.prompts - 200) / 3
    tokens = prompts * (assumed.prompt_tokens + 5 * assumed.response_tokens)
    assert first.tokens == pytest.approx(tokens)
    rate = 8 * 312e12 * run.config.hardware.utilization.generate
    assert first.seconds == pytest.approx(120 + tokens * LLAMA.flops_per_token / rate)


@pytest.mark.parametrize("scale", ["laptop", "small_gpu", "llama3_8b", "mistral_7b"])
def test_every_scale_is_priced_and_fits_its_hardware(scale: str, tmp_path: Path) -> None:
    run = blueprint(compose_runs([f"scale={scale}", f"store={tmp_path}"])[0].config)
    found = estimate([run])
    assert found["total"]["fits"]
    assert {"sample", "score", "reference_log_probs", "train_policy", "train_reward"} <= set(found["stages"])


def train_memory(tmp_path: Path, *overrides: str) -> Memory:
    (run,) = at_scale(f"store={tmp_path}", *overrides)
    return next(c.memory for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == "train_policy")


def test_eight_billion_fit_eight_a100s_with_zero_3_and_not_without(tmp_path: Path) -> None:
    sharded, plain = train_memory(tmp_path), train_memory(tmp_path, "trainer.zero_stage=0")
    assert sharded.fits
    assert not plain.fits
    assert plain.advice == f"trainer.zero_stage=3 would take {sharded.gib:.1f} GiB"
    assert plain.gib - sharded.gib > 7 / 8 * 12 * LLAMA.parameters / 2**30


def test_memory_of_zero_3_by_hand(tmp_path: Path) -> None:
    """Sixteen bytes a weight over eight devices, gathered layers, checkpoints, one layer, four chunks of logits."""
    tokens, hidden, vocabulary = 16384, 4096, 128256
    layer = tokens * (34 * hidden + 6 * 14336)
    by_hand = 16 * LLAMA.parameters / 8 + 2 * 1e9 + 32 * tokens * hidden * 2 + layer + 4 * 4 * 1024 * vocabulary
    found = train_memory(tmp_path)
    assert found.gib == pytest.approx(by_hand / 2**30 + 2)
    assert 28 < found.gib < 29


def host_memory(tmp_path: Path, stage: str, *overrides: str) -> float | None:
    (run,) = at_scale(f"store={tmp_path}", *overrides)
    return next(c.host_gib for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == stage)


def test_host_memory_by_hand(tmp_path: Path) -> None:
    """Every process reads the weights, 2 bytes each; training gathers them, an offloaded optimizer keeps 16 bytes."""
    weights = LLAMA.parameters / 2**30
    assert host_memory(tmp_path, "sample") == pytest.approx(8 * (4 + 2 * weights))
    assert host_memory(tmp_path, "sample", "generator.tensor_parallel=4") == pytest.approx(2 * (4 + 2 * weights))
    assert host_memory(tmp_path, "train_policy") == pytest.approx(8 * (4 + 2 * weights) + 2 * weights)
    offloaded = host_memory(tmp_path, "train_policy", "trainer.offload_optimizer=true")
    assert offloaded == pytest.approx(8 * (4 + 2 * weights) + 18 * weights)
    assert host_memory(tmp_path, "load_prompts") is None


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer=inline",),
        ("trainer.gradient_checkpointing=false", "hardware.memory_gib=40"),
        ("trainer.micro_batch_tokens=131072", "hardware.memory_gib=48"),
        ("hardware.memory_gib=16",),
    ],
)
def test_advice_holds_what_it_promises(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    refused = train_memory(tmp_path, *overrides)
    assert not refused.fits
    settings, promised = refused.advice.split(" would take ")
    fixed = train_memory(tmp_path, *overrides, *settings.split())
    assert fixed.fits
    assert f"{fixed.gib:.1f} GiB" == promised


def test_what_cannot_be_mended_is_said(tmp_path: Path) -> None:
    refused = train_memory(tmp_path, "hardware.memory_gib=4")
    assert (refused.fits, refused.advice[:10]) == (False, "no setting")


def test_a_model_too_large_for_one_device_is_spread_by_vllm(tmp_path: Path) -> None:
    found = estimate(at_scale(f"store={tmp_path}", "hardware.memory_gib=16"))["stages"]
    assert found["sample"]["advice"].startswith("generator.tensor_parallel=2 would take")
    assert found["score"]["advice"].startswith("scorer.tensor_parallel=2 would take")
    local = estimate(at_scale(f"store={tmp_path}", "generator=transformers", "hardware.memory_gib=25"))["stages"]
    assert local["sample"]["advice"].startswith("generator.batch_tokens=32768 would take")


def test_engines_in_this_process_use_one_device(tmp_path: Path) -> None:
    (run,) = at_scale(f"store={tmp_path}", "scorer=transformers")
    found = {c.stage.name: c for c in costs(run.plan, run.config, Store(tmp_path))}
    use = run.config.hardware.utilization.score * 312e12
    assert found["score"].seconds == pytest.approx(120 + found["score"].flops / use)
    assert found["reference_log_probs"].seconds == pytest.approx(120 + found["reference_log_probs"].flops / use / 8)
    few = found["policy_diagnostics"]  # too few for a second process
    assert few.seconds == pytest.approx(120 + few.flops / use)


def test_checkpoints_are_counted_as_the_trainer_keeps_them(tmp_path: Path) -> None:
    from mt.engines.training.checkpoints import KEPT

    assert KEPT == CHECKPOINTS_KEPT
    found = estimate(at_scale(f"store={tmp_path}"))
    assert found["total"]["scratch_bytes"] == pytest.approx(KEPT * 14 * 8.03e9, rel=0.002)


@pytest.mark.parametrize(("published", "size"), [("bfloat16", 2), ("float32", 4)])
def test_models_are_counted_in_the_precision_they_are_published_in(tmp_path: Path, published: str, size: int) -> None:
    (run,) = at_scale(f"store={tmp_path}", f"trainer.publish_dtype={published}")
    found = [c for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == "train_policy"]
    assert {c.disk_bytes for c in found} == {size * LLAMA.parameters}


def test_sharing_saves_and_is_counted(tmp_path: Path) -> None:
    found = estimate(at_scale(f"store={tmp_path}", "objective=dpo,ipo,simpo", "rm_data=both,contrast"))
    assert found["total"]["gpu_hours"] < 0.75 * found["without_sharing"]["gpu_hours"]
    assert found["missing"] == found["total"]


def test_finished_stages_calibrate_the_estimate(tmp_path: Path) -> None:
    from mt.run import main as run

    arguments = small(tmp_path, "iterations=1")
    assert run(arguments) == 0
    plan = blueprint(compose_runs([*arguments, "seed=7"])[0].config)
    found = estimate([plan])
    assert found["stages"]["score"]["measured"]
    assert 0 < found["missing"]["stages"] < found["total"]["stages"]


def test_the_command_answers_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from mt.plan import main; status = main(sys.argv[1:]); "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "scale=llama3_8b", "--cost", "--json", f"store={tmp_path}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cost"]["total"]["gpu_hours"] > 0


def test_the_table_names_its_assumptions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scale=llama3_8b", "--cost", f"store={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    for word in ("GPU-hours", "fits", "a100x8", "assumptions.response_tokens=400", "hardware.utilization.train=0.4"):
        assert word in printed
