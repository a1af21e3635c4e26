"""Checkpoints: a training goes on from the newest whole one, to the same weights."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
)

from mt.engines.training.checkpoints import drop_damaged
from mt.engines.training.settings import LoraConfig
from mt.engines.training.task import step_folders
from mt.errors import EngineError
from tests.engines.training.agreement import KINDS, assert_close, assert_equal, same, weights
from tests.engines.training.conftest import TRAINER, TRAINING, Lab, changed


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
