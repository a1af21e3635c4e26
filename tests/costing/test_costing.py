from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.costing.estimate import costs
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
    assert LLAMA.flops_per_token == pytest.approx(2 * (LLAMA.parameters - 128256 * 4096))


def test_a_config_tells_the_same_shape() -> None:
    config = {
        "hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 14336, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
    }  # fmt: skip
    assert shape_of_config(config) == LLAMA
    assert shape_of_config({**config, "torch_dtype": "float32"}) == replace(LLAMA, bytes_per_weight=4)


def at_scale(*overrides: str):
    return [blueprint(run.config) for run in compose_runs(["scale=llama3_8b", *overrides], multirun=True)]


def test_sampling_a_third_of_ultrafeedback_by_hand(tmp_path: Path) -> None:
    (run,) = at_scale(f"store={tmp_path}")
    found = [c for c in costs(run.plan, run.config, Store(tmp_path)) if c.stage.name == "sample"]
    first = next(c for c in found if run.plan.label(c.stage) == "iteration 1 · E-step")
    assumed = run.config.assumptions
    prompts = (assumed.prompts - 200) / 3
    tokens = prompts * (assumed.prompt_tokens + 5 * assumed.response_tokens)
    assert first.tokens == pytest.approx(tokens)
    rate = 8 * 312e12 * run.config.hardware.utilization.generate
    assert first.seconds == pytest.approx(120 + tokens * LLAMA.flops_per_token / rate)


def test_eight_billion_fit_eight_a100s_with_zero_3_and_not_without(tmp_path: Path) -> None:
    (sharded,) = at_scale(f"store={tmp_path}")
    (plain,) = at_scale(f"store={tmp_path}", "trainer.zero_stage=0")
    fits = [
        {c.memory.fits for c in costs(run.plan, run.config, Store(tmp_path)) if c.kind == "train" and c.memory}
        for run in (sharded, plain)
    ]
    assert fits == [{True}, {False}]
    assert "zero_stage=3" in estimate([plain])["stages"]["train_policy"]["advice"]


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
    for word in ("GPU-hours", "fits", "a100x8", "response tokens 400", "Override"):
        assert word in printed
