"""Processes that share a training, on the CPU by gloo: equal to one, resumable, loud, never left behind.

Starting processes takes its time: one test of them runs by default, the others with the heavy engines.
"""

from __future__ import annotations

import importlib.util
import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from mt.engines.training.models import start_is_rounded
from mt.engines.training.task import step_folders
from mt.engines.training.torchrun import TorchrunTrainer
from mt.engines.training.zero import zero_config
from mt.errors import ConfigError, DataError, EngineError
from mt.types import Response
from tests.engines.tiny import WORDS
from tests.engines.training.agreement import assert_close, weights
from tests.engines.training.conftest import TRAINER, TRAINING, Lab, changed, make_pairs
from tests.engines.training.test_train import KTO

TWO = TorchrunTrainer(
    **{**TRAINER.model_dump(), "name": "torchrun"},
    processes=2,
    zero_stage=0,
    offload_optimizer=False,
    timeout_minutes=2,
)
ALONE = changed(TRAINER, micro_batch_tokens=60)
SHARED = changed(TWO, micro_batch_tokens=60)


def compare(lab: Lab, kind: str, trainer: TorchrunTrainer, tolerance: float, **more: Any) -> None:
    curves: dict[str, list[dict[str, float]]] = {"alone": [], "shared": []}
    alone, shared = lab.task(kind, trainer=ALONE, **more), lab.task(kind, trainer=trainer, **more)
    first = lab.train(alone, lambda step, total, metrics: curves["alone"].append(metrics))
    second = lab.train(shared, lambda step, total, metrics: curves["shared"].append(metrics))
    assert (first.devices, second.devices) == (1, 2)
    assert (first.steps, first.tokens, first.used) == (second.steps, second.tokens, second.used)
    assert_close(alone, shared, tolerance)
    for one, other in zip(curves["alone"], curves["shared"], strict=True):
        assert one["learning_rate"] == other["learning_rate"]
        for name in ("loss", "accuracy", "margin", "nll"):
            assert one.get(name) == pytest.approx(other.get(name), abs=1e-4), name


def test_two_processes_equal_one(lab: Lab) -> None:
    """Even where an objective couples the pairs of a batch, and the last batch has one row for two devices."""
    compare(lab, "policy", SHARED, 5e-6, rows=make_pairs(17), objective=KTO)
    tokenised = sorted(lab.folder.glob("*/tokens/*.safetensors"))
    assert [len(load_file(file)["sequences"]) for file in tokenised] == [9, 8], "each process tokenises its part"


@pytest.mark.engines
def test_two_processes_publish_models_on_the_way_as_one_does(lab: Lab) -> None:
    alone, shared = (lab.task(trainer=trainer, every_steps=2) for trainer in (ALONE, SHARED))
    lab.train(alone)
    lab.train(shared)
    models = [step_folders(Path(task.output)) for task in (alone, shared)]
    assert [list(one) for one in models] == [[2, 3], [2, 3]]
    for step in (2, 3):
        one, other = (load_file(found[step] / "model.safetensors") for found in models)
        assert all(torch.allclose(one[name], other[name], rtol=0, atol=5e-6) for name in one)


def test_more_processes_than_rows_are_refused(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="more than the 8 rows"):
        lab.train(lab.task(trainer=changed(TWO, processes=9)))


@pytest.mark.engines
@pytest.mark.parametrize("kind", ["policy", "reward", "sft"])
def test_two_processes_equal_one_for_every_kind(lab: Lab, kind: str) -> None:
    compare(lab, kind, SHARED, 5e-6, rows=make_pairs(21))


@pytest.mark.engines
def test_errors_come_back_as_they_were(lab: Lab) -> None:
    with pytest.raises(DataError, match="20 of 20 dropped"):
        lab.train(lab.task(trainer=TWO, training=changed(TRAINING, max_length=6)))


@pytest.mark.engines
def test_a_killed_worker_is_an_error_and_the_rest_resumes(lab: Lab) -> None:
    trainer, longer = changed(SHARED, checkpoint_minutes=0), changed(TRAINING, epochs=5)
    whole, killed = (lab.task(trainer=trainer, training=longer) for _ in range(2))
    lab.train(whole)

    def kill(step: int, total: int, metrics: dict[str, float]) -> None:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # one that ends meanwhile
                if (
                    "mt.engines.training.torchrun_worker" in child.cmdline()
                    and "torch.distributed.run" not in child.cmdline()
                ):
                    child.kill()
                    return

    with pytest.raises(EngineError, match=r"ended with code|a training process failed"):
        lab.train(killed, kill)
    lab.train(killed)
    assert_close(whole, killed, 0.0)


@pytest.mark.engines
def test_a_crash_while_a_worker_is_taken_down_costs_no_training(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries abort now and then when the interpreter ends, after the model has been published."""
    crash = "import atexit, os\nif 'RANK' in os.environ:\n    atexit.register(os.abort)\n"
    (tmp_path / "sitecustomize.py").write_text(crash)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert lab.train(lab.task(trainer=TWO)).devices == 2


@pytest.mark.engines
def test_an_interrupt_leaves_no_process_behind(lab: Lab) -> None:
    def interrupt(step: int, total: int, metrics: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.train(lab.task(trainer=TWO, training=changed(TRAINING, epochs=50)), interrupt)
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if "mt.engines.training.torchrun_worker" in child.cmdline()
    ]


def test_deepspeed_that_is_missing_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="zero_stage=2: DeepSpeed is not installed"):
        lab.train(lab.task(trainer=changed(TWO, zero_stage=2)))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_deepspeed_sums_micro_batches_in_float32_and_takes_our_schedule(lab: Lab, stage: int) -> None:
    found = zero_config(lab.task(trainer=changed(TWO, zero_stage=stage, dtype="bfloat16")))
    assert found is not None
    assert found["bf16"] == {"enabled": True}
    assert found["data_types"] == {"grad_accum_dtype": "fp32"}
    assert "scheduler" not in found and "optimizer" not in found


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_a_start_in_bfloat16_loses_nothing_whatever_wrote_its_config(lab: Lab, tmp_path: Path, name: str) -> None:
    task = replace(lab.task(trainer=changed(TWO, zero_stage=2, dtype="bfloat16")), model=str(tmp_path))
    for dtype in ("bfloat16", "float32"):
        (tmp_path / "config.json").write_text(json.dumps({name: dtype}))
        assert start_is_rounded(task) == (dtype == "float32")


@pytest.mark.engines
@pytest.mark.parametrize(("kind", "stage"), [("policy", 1), ("reward", 2), ("policy", 3), ("reward", 3), ("sft", 3)])
def test_deepspeed_equals_one_process(lab: Lab, kind: str, stage: int) -> None:
    pytest.importorskip("deepspeed")
    compare(lab, kind, changed(SHARED, zero_stage=stage), 1e-5, rows=make_pairs(21))


@pytest.mark.engines
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_deepspeed_adds_up_the_gradients_of_many_micro_batches(lab: Lab, stage: int) -> None:
    """512 equal rows a device, one by one: a sum in bfloat16 stops growing at about 256 of them."""
    pytest.importorskip("deepspeed")
    (pair,) = make_pairs(1)
    rows = [replace(pair, prompt_id=f"p{i}") for i in range(1024)]
    spread = changed(SHARED, zero_stage=stage, dtype="bfloat16", micro_batch_tokens=1)
    norms = []
    for trainer in (TRAINER, spread):
        task = lab.task(rows=rows, training=changed(TRAINING, batch_size=1024), trainer=trainer)
        lab.train(task, lambda step, total, metrics: norms.append(metrics["gradient_norm"]))
    assert norms[1] == pytest.approx(norms[0], rel=0.05)


@pytest.mark.engines
def test_spread_weights_may_meet_unequal_shares(lab: Lab) -> None:
    """One device reads thousands of response tokens, the other tens: many chunks of logits, and one."""
    pytest.importorskip("deepspeed")
    words = " ".join(WORDS * 3)
    rows = make_pairs(80, longest=2)
    rows[:40] = [replace(row, chosen=Response(words, 0), rejected=Response(words, 0)) for row in rows[:40]]
    trainer = changed(SHARED, zero_stage=3, micro_batch_tokens=40 * 2 * 75, timeout_minutes=0.5)
    training = changed(TRAINING, batch_size=80, epochs=3, max_length=128)
    compare(lab, "policy", trainer, 1e-4, rows=rows, training=training)


@pytest.mark.engines
@pytest.mark.parametrize(("stage", "dtype"), [(1, "bfloat16"), (2, "float32"), (3, "bfloat16")])
def test_deepspeed_resumes_to_the_bit(lab: Lab, stage: int, dtype: str) -> None:
    pytest.importorskip("deepspeed")
    trainer = changed(SHARED, zero_stage=stage, dtype=dtype, checkpoint_minutes=0)
    whole, killed = lab.task(trainer=trainer), lab.task(trainer=trainer)
    lab.train(whole)

    def interrupt(step: int, total: int, metrics: dict[str, float]) -> None:
        checkpoint = Path(killed.scratch, "checkpoints", "checkpoint-1")
        if (checkpoint / "whole").is_file():
            assert not list(checkpoint.glob("*.safetensors")), "DeepSpeed's own files hold the weights already"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.train(killed, interrupt)
    lab.train(killed)
    assert_close(whole, killed, 0.0)


@pytest.mark.engines
def test_deepspeed_in_bfloat16_gives_an_ordinary_folder(lab: Lab) -> None:
    pytest.importorskip("deepspeed")
    task = lab.task(trainer=changed(SHARED, zero_stage=3, dtype="bfloat16", gradient_checkpointing=True))
    losses: list[float] = []
    lab.train(task, lambda step, total, metrics: losses.append(metrics["loss"]))
    precise: list[float] = []
    lab.train(lab.task(trainer=ALONE), lambda step, total, metrics: precise.append(metrics["loss"]))
    assert losses == pytest.approx(precise, abs=3e-2)
    model = AutoModelForCausalLM.from_pretrained(task.output)
    start = load_file(lab.policy / "model.safetensors")
    assert weights(task).keys() == start.keys()
    assert model.dtype == torch.float32


@pytest.mark.engines
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_deepspeed_publishes_its_float32_master_weights(lab: Lab, tmp_path: Path, stage: int) -> None:
    """A start that bfloat16 cannot hold stays what it is but for the update, small as that is."""
    pytest.importorskip("deepspeed")
    start = load_file(lab.policy / "model.safetensors")
    assert any((value != value.bfloat16()).any() for value in start.values())
    small, rows = changed(TRAINING, learning_rate=1e-6, batch_size=20), make_pairs(20)
    trainer = changed(SHARED, zero_stage=stage, dtype="bfloat16")
    precise = lab.task(rows=rows, training=small, trainer=trainer)
    rounded = lab.task(rows=rows, training=small, trainer=changed(trainer, publish_dtype="bfloat16"))
    assert lab.train(precise).update_kept == 1.0
    moved = weights(precise)
    for name, value in start.items():
        torch.testing.assert_close(moved[name], value, rtol=0, atol=3e-6, msg=name)
    share = lab.train(rounded).update_kept
    changes = sum(int((moved[name] != value).sum()) for name, value in start.items())
    kept = sum(int((moved[name].bfloat16() != value.bfloat16()).sum()) for name, value in start.items())
    assert share == pytest.approx(kept / changes, abs=1e-9)
    assert 0 < share < 0.1


class Code:
    """What a pickle can do: call anything."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.engines
def test_code_in_a_checkpoint_is_not_run(lab: Lab) -> None:
    pytest.importorskip("deepspeed")
    task = lab.task(trainer=changed(SHARED, zero_stage=2, checkpoint_minutes=0))
    lab.train(task)
    (states,) = Path(task.scratch).glob("checkpoints/checkpoint-2/global_step2/zero_pp_rank_0_*")
    torch.save(Code(lab.folder / "touched"), states)
    with pytest.raises(EngineError, match="Weights only load failed"):
        lab.train(task)
    assert not (lab.folder / "touched").exists()
