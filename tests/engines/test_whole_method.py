"""Mutual-Taught from base models to evaluation on the engines of a cluster: vLLM and two training processes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small import SMALL

ENGINES = [
    "generator=vllm",
    "scorer=vllm",
    "trainer=torchrun",
    "trainer.processes=2",
    "trainer.zero_stage=3",
    "data.policy.hidden_size=64",  # two heads of 32: the narrowest that vLLM's CPU build knows
    "iterations=1",
    "eval=[held_out]",
]


@pytest.mark.engines
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed")
def test_mutual_taught_runs_on_vllm_and_deepspeed(tmp_path: Path) -> None:
    overrides = [line for line in SMALL if not line.startswith(("eval.alpaca_eval", "eval.reward_bench"))]
    command = [sys.executable, "-m", "mt.run", *overrides, *ENGINES]
    where = [f"store={tmp_path}/store", f"runs={tmp_path}/runs"]
    finished = subprocess.run([*command, *where], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    (path,) = (tmp_path / "runs").rglob("record.json")
    record = json.loads(path.read_text())
    assert record["state"] == "finished"
    assert record["config"]["generator"]["name"] == record["config"]["scorer"]["name"] == "vllm"
    stages = [stage["stage"] for stage in record["stages"]]
    assert {"sample", "score", "train_policy", "train_reward"} <= set(stages)
    measured = {(m["iteration"], m["model"], m["benchmark"], m["metric"]) for m in record["metrics"]}
    assert (1, "policy", "gold", "win_rate") in measured
