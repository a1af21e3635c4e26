"""Mutual-Taught from base models to evaluation on the engines of a cluster: vLLM and two training processes.

What they computed is computed again by transformers in this process, from the same inputs, in float32: greedy
responses are equal token for token, rewards within 1e-4, every reported loss within 1e-4.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mt.config.compose import compose_runs
from mt.engines.settings import DecodingConfig
from mt.methods.compile import compile_run
from mt.types import Prompt, Rewards, Samples
from mt.workflow import tables
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import CURVES, TABLE, NullObserver, Work
from tests.small import SMALL

WORLD = [
    *(line for line in SMALL if not line.startswith(("eval.alpaca_eval", "eval.reward_bench"))),
    "data.policy.hidden_size=64",  # two heads of 32: the narrowest that vLLM's CPU build knows
    "sampling.samples=5",
    "iterations=1",
    "eval=[held_out]",
]
ENGINES = ["generator=vllm", "scorer=vllm", "trainer=torchrun", "trainer.processes=2", "trainer.zero_stage=3"]

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    where = [f"store={folder}/store", f"runs={folder}/runs"]
    command = [sys.executable, "-m", "mt.run", *WORLD, *ENGINES, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def stages(*names: str) -> list[Any]:
    plan = compile_run(compose_runs([*WORLD, *ENGINES])[0].config).plan
    return [stage for stage in plan.order if stage.name in names]


def again(stage: Stage, store: Store, folder: Path) -> Path:
    """Compute a stage anew from the store's artifacts; returns the folder of its output."""
    output, scratch = folder / stage.key[:8], folder / f"{stage.key[:8]}-scratch"
    output.mkdir()
    scratch.mkdir()
    work = Work(stage, store, output, scratch, NullObserver())
    stage.run(work)
    work.publish_curves()
    return output


def local(choice: str) -> Any:
    return getattr(compose_runs(WORLD)[0].config, choice)


def test_the_record_is_complete(finished: Path) -> None:
    (path,) = (finished / "runs").rglob("record.json")
    record = json.loads(path.read_text())
    assert record["state"] == "finished"
    assert record["config"]["generator"]["name"] == record["config"]["scorer"]["name"] == "vllm"
    trained = [one["counts"]["devices"] for one in record["stages"] if one["stage"].startswith("train_")]
    assert trained and set(trained) == {2}
    measured = {(m["iteration"], m["model"], m["benchmark"], m["metric"]) for m in record["metrics"]}
    assert (1, "policy", "gold", "win_rate") in measured


def test_greedy_responses_of_the_trained_policy_are_equal(finished: Path) -> None:
    store, (trained,) = Store(finished / "store"), stages("train_policy")
    rows = tables.read(store.path(stages("sample")[0]) / TABLE, Samples)
    prompts = [Prompt(row.prompt_id, row.messages, row.section) for row in rows]
    decoding = DecodingConfig(samples=1, temperature=0, top_p=1.0, max_new_tokens=12, max_length=64)
    answers = []
    for config in (stages("sample")[0].generator, local("generator")):
        with config.open(store.path(trained)) as generator:
            answers.append({row.prompt_id: row.responses for row in generator.sample(prompts, decoding, 0)})
    assert answers[0] == answers[1]
    assert len({responses[0].text for responses in answers[0].values()}) > 1


def test_rewards_are_equal(finished: Path, tmp_path: Path) -> None:
    store = Store(finished / "store")
    for stage in stages("score"):
        other = again(dataclasses.replace(stage, scorer=local("scorer")), store, tmp_path)
        found, expected = (tables.read(path / TABLE, Rewards) for path in (store.path(stage), other))
        assert [row.prompt_id for row in found] == [row.prompt_id for row in expected]
        for one, two in zip(found, expected, strict=True):
            assert one.rewards == pytest.approx(two.rewards, abs=1e-4)


def test_losses_are_equal(finished: Path, tmp_path: Path) -> None:
    store = Store(finished / "store")
    for stage in stages("supervised_finetune", "train_reward", "train_policy"):
        other = again(dataclasses.replace(stage, trainer=local("trainer")), store, tmp_path)
        found, expected = (
            [json.loads(line) for line in (path / CURVES).read_text().splitlines()]
            for path in (store.path(stage), other)
        )
        assert [row["step"] for row in found] == [row["step"] for row in expected]
        losses = [[row["loss"] for row in curve] for curve in (found, expected)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-4), stage.name
