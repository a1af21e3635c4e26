from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from transformers import AutoModelForCausalLM, GPT2Config, MambaConfig, MixtralConfig

import mt.stages
from mt.config.compose import compose_runs
from mt.costing.estimate import CHECKPOINTS_KEPT, costs
from mt.costing.report import estimate
from mt.engines.shapes import KNOWN, shape_of_config, shape_of_folder
from mt.methods.compile import compile_run
from mt.plan import main
from mt.stages.load import LoadPrompts
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from tests.costing.priced import LLAMA, at_scale
from tests.engines.tiny import tiny_policy, tiny_reward
from tests.small import small


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


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, vocab_size=40),
        MambaConfig(hidden_size=16, num_hidden_layers=2, vocab_size=40, state_size=4),
        MixtralConfig(
            hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            vocab_size=40, num_local_experts=8, num_experts_per_tok=2,
        ),
    ],
    ids=lambda config: str(config.model_type),
)  # fmt: skip
def test_weights_of_a_local_model_are_counted(tmp_path: Path, config: Any) -> None:
    """Whatever its family calls its sizes; of the experts' weights a token passes its share."""
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path)
    shape, weights = shape_of_folder(tmp_path), dict(model.named_parameters())
    assert (shape.hidden, shape.layers, shape.vocabulary) == (16, 2, 40)
    assert shape.parameters == sum(weight.numel() for weight in weights.values())
    experts = sum(weight.numel() for name, weight in weights.items() if ".experts." in name)
    looked_up = 0 if config.tie_word_embeddings else 40 * 16
    assert shape.flops_per_token == 2 * (shape.parameters - looked_up - experts * 6 // 8)


def test_sampling_a_third_of_ultrafeedback_by_hand(tmp_path: Path) -> None:
    (run,) = at_scale(f"store={tmp_path}")
    found = [c for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == "sample"]
    first = next(c for c in found if str(run.plan.position(c.stage)) == "iteration 1 · E-step")
    assumed = run.config.assumptions
    prompts = (assumed.prompts - 200) / 3
    tokens = prompts * (assumed.prompt_tokens + 5 * assumed.response_tokens)
    assert first.tokens == pytest.approx(tokens)
    rate = 8 * 312e12 * run.config.hardware.utilization.generate
    # The base policy is open already, from its sampling for the evaluation: nothing is loaded, no 120 s are waited.
    assert first.loads == 0
    assert first.seconds == pytest.approx(tokens * LLAMA.flops_per_token / rate)


def test_figure_3_asks_the_judge_about_its_own_prompts_only(tmp_path: Path) -> None:
    """Of two iterations: r_1 and r_2 against r_0, and r_2 against r_1, each in both orders."""
    judge = ["judge=openai", "judge.model=a-judge", "eval=[in_distribution]", "eval.in_distribution.prompts=500"]
    found = estimate(at_scale(f"store={tmp_path}", *judge))
    assert found["total"]["calls"] == 3 * 2 * 500


def test_a_run_of_two_iterations_loads_few_models(tmp_path: Path) -> None:
    """Beside the four trainings: three policies to sample, three for log-probabilities, three reward models, of which
    the first one is asked again after each of two trainings, and the second after one.
    """
    found = estimate(at_scale(f"store={tmp_path}"))
    by_name = {name: row["loads"] for name, row in found["stages"].items() if row["loads"]}
    assert by_name == {"sample": 3, "policy_diagnostics": 3, "score": 6, "train_policy": 2, "train_reward": 2}
    assert found["total"]["loads"] - 4 == 12
    judged = estimate(at_scale(f"store={tmp_path}", "judge=reward_model", "eval=[held_out,alpaca_eval,pairwise]"))
    assert judged["stages"]["judge"]["number"] == 6
    assert judged["total"]["loads"] == found["total"]["loads"], "r_0 is open when it judges"


@pytest.mark.parametrize("scale", ["laptop", "small_gpu", "llama3_8b", "llama3_8b_lora", "mistral_7b"])
def test_every_scale_is_priced_and_fits_its_hardware(scale: str, tmp_path: Path) -> None:
    run = compile_run(compose_runs([f"scale={scale}", f"store={tmp_path}"])[0].config)
    found = estimate([run])
    assert found["total"]["fits"]
    assert {"sample", "score", "reference_log_probs", "train_policy", "train_reward"} <= set(found["stages"])


def test_engines_in_this_process_use_one_device(tmp_path: Path) -> None:
    (run,) = at_scale(f"store={tmp_path}", "scorer=transformers")
    every = costs(run.plan, run.config, Store(tmp_path))
    found = {c.stage.name: c for c in every if c.loads}
    use = run.config.hardware.utilization.score * 312e12
    assert found["score"].seconds == pytest.approx(120 + found["score"].flops / use)
    reference = next(
        c for c in every if c.stage.name == "reference_log_probs"
    )  # of a policy that is open for its diagnostics
    assert (reference.loads, reference.seconds) == (0, pytest.approx(reference.flops / use / 8))
    few = found["policy_diagnostics"]  # too few for a second process
    assert few.seconds == pytest.approx(120 + few.flops / use)


def test_checkpoints_are_counted_as_the_trainer_keeps_them(tmp_path: Path) -> None:
    from mt.engines.training.checkpoints import KEPT

    assert KEPT == CHECKPOINTS_KEPT
    found = estimate(at_scale(f"store={tmp_path}"))
    assert found["total"]["scratch_bytes"] == pytest.approx(KEPT * 14 * 8.03e9, rel=0.002)
    adapters = estimate(at_scale(f"store={tmp_path}", "scale=llama3_8b_lora"))
    assert adapters["total"]["scratch_bytes"] == pytest.approx(KEPT * (2 * 8.03e9 + 8 * 41.9e6), rel=0.002)


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
    plan = compile_run(compose_runs([*arguments, "seed=7"])[0].config)
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
    for word in ("GPU-hours", "fits", "a100x8", "assumptions.response_tokens=400", "hardware.utilization.train=0.5"):
        assert word in printed
    assert "assumptions.prompts=61000" in printed and "assumptions.judge" not in printed
    table = printed.partition("total:")[0].splitlines()
    assert len(table) > 6 and max(map(len, table)) <= 100


def test_a_small_plan_has_small_units_no_gpu_hours_without_a_gpu_and_lines_that_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    command = [*small(tmp_path, "iterations=1"), "--cost"]
    assert main([*command, "--json"]) == 0
    total = json.loads(capsys.readouterr().out)["cost"]["total"]
    assert 1e6 < total["flops"] < 1e9 and 1e3 < total["disk_bytes"] < 1e6
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 and "GPU" not in "".join(lines)
    said = " ".join(lines)
    assert f" {total['flops'] / 1e6:.1f} MFLOP, " in said and f" {total['disk_bytes'] / 1e3:.1f} kB on disk" in said
    assert main([*command, "hardware=gpu24"]) == 0
    assert "GPU-hours" in capsys.readouterr().out


def test_every_stage_that_needs_a_gpu_says_which_model_it_uses_it_for() -> None:
    for module in pkgutil.iter_modules(mt.stages.__path__):
        importlib.import_module(f"mt.stages.{module.name}")
    kinds, waiting = list[type[Stage]](), [Stage]
    while waiting:
        waiting += (kind := waiting.pop()).__subclasses__()
        kinds.append(kind)
    needy = [kind for kind in kinds if kind.NEEDS == "gpu" and kind.__module__.startswith("mt.")]
    assert len(needy) >= 8
    assert [kind.__name__ for kind in needy if kind.use is Stage.use] == []


def test_the_rows_of_a_local_file_are_counted_and_steps_are_reported(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text("".join(f'{{"prompt": "tell me {i}"}}\n' for i in range(64)))
    models = f"policy.path={tiny_policy(tmp_path / 'policy')}", f"reward.path={tiny_reward(tmp_path / 'reward')}"
    own = ["data=jsonl", f"data.path={tmp_path}/prompts.jsonl", "data.held_out=4", f"store={tmp_path}/store", *models]
    runs = [compile_run(one.config) for one in compose_runs([*own, "policy.training.batch_size=8", "eval=[]"])]
    (prompts,) = {stage.count() for stage in runs[0].plan.order if isinstance(stage, LoadPrompts)}
    assert prompts == 60
    found = estimate(runs)
    assert found["stages"]["train_policy"]["steps"] == 3, "20 prompts of a part, 8 pairs a step"
    assert set(found["assumptions"]) == {"response_tokens", "text_bytes_per_token"}, "the rest is counted"
    # Two policies learn from 20 pairs each, of prompts of 9 or 10 letters and answers of 40 tokens.
    letters = 20 * (8 + 1 + 54 / 64)
    assert found["stages"]["train_policy"]["tokens"] == pytest.approx(2 * 2 * (letters / 4.5 + 20 * 40), rel=0.01)
    assert found["hardware"]["memory_gib"] == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
