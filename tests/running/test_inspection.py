"""What costs seconds is asked when a process starts to compute: once, of what will be read, before the first stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mt.config.compose import compose_runs
from mt.engines.template import TemplateConfig
from mt.errors import ConfigError, ModelError
from mt.methods.compile import CompiledRun, compile_run
from mt.running.checks import check
from mt.running.execution import run
from mt.running.rendered_prompts import open_model_chat
from mt.stages.models import ModelFolder
from mt.workflow.execute import execute
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import NullObserver
from tests.engines.tiny import tiny_policy, tiny_reward


class Watch(NullObserver):
    """Remembers what was inspected and started."""

    def __init__(self) -> None:
        self.inspected: list[str] = []
        self.begun: list[str] = []

    def inspecting(self, stage: Stage) -> None:
        self.inspected.append(stage.name)

    def started(self, stage: Stage) -> None:
        self.begun.append(stage.name)


def one_run(folder: Path, *more: str) -> CompiledRun:
    lines = [json.dumps({"prompt": f"tell me the colour of {word}"}) for word in ("fox", "owl", "cat", "dog")]
    (folder / "prompts.jsonl").write_text("\n".join(lines * 3))
    settings = [f"data.path={folder}/prompts.jsonl", f"policy.path={folder}/policy", f"reward.path={folder}/reward"]
    settings += [f"store={folder}/store", f"runs={folder}/runs", "data=jsonl", "eval=[]"]
    settings += ["sampling.max_length=64", "sampling.max_new_tokens=8"]
    return compile_run(compose_runs([*settings, *more])[0].config)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_policy(tmp_path / "policy")
    tiny_reward(tmp_path / "reward")
    return tmp_path


@pytest.mark.parametrize("kind", ["policy", "reward"])
def test_a_model_that_lacks_weights_stops_the_run_before_its_first_stage(folder: Path, kind: str) -> None:
    path = folder / kind / "model.safetensors"
    save_file({name: tensor for name, tensor in load_file(path).items() if "norm" not in name}, path, {"format": "pt"})
    one, watch = one_run(folder), Watch()
    check(one)  # planning reads headers only
    with pytest.raises(ModelError, match=rf"^{kind}\.path=.*: its files lack 5 of the model's weights"):
        run(one, folder / "runs" / "x", [watch])
    assert watch.inspected and not watch.begun


def test_extra_weights_stop_the_run_unless_a_setting_allows_them(folder: Path) -> None:
    path = folder / "policy" / "model.safetensors"
    save_file({**load_file(path), "v_head.weight": torch.ones(2)}, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"v_head\.weight.*policy\.allow_extra_weights=true"):
        run(one_run(folder), folder / "runs" / "x", [Watch()])
    allowed = one_run(folder, "policy.allow_extra_weights=true")
    assert [stage.key for stage in allowed.plan.order] == [stage.key for stage in one_run(folder).plan.order]
    policy = next(stage for stage in allowed.plan.order if isinstance(stage, ModelFolder) and stage.kind == "policy")
    policy.inspect()


def test_what_is_wrong_with_a_model_is_said_of_the_setting_that_names_it(folder: Path) -> None:
    (folder / "policy").rename(folder / "judge")
    config, tokenizer = folder / "judge" / "config.json", folder / "judge" / "tokenizer.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "vocab_size": 3}))
    model = ModelFolder("its hash", folder / "judge", "policy", setting="judge.path")
    with pytest.raises(ModelError, match=r"^judge\.path=.*have another shape"):
        model.inspect()
    tokenizer.write_text("{}")
    template = TemplateConfig(file=None, fingerprint=None, kwargs={}, date="2024-01-01")
    with pytest.raises(ModelError, match=r"^judge\.path=.*: its tokenizer cannot be loaded"):
        open_model_chat(model, template)


def test_adapters_on_tied_weights_stop_the_run_before_its_first_stage(folder: Path) -> None:
    pytest.importorskip("peft")
    watch = Watch()
    lora = "policy.training.lora={rank: 2, alpha: 4, targets: [lm_head]}"
    with pytest.raises(ConfigError, match=r"^policy\.training\.lora\.targets=lm_head: the weights of lm_head are tied"):
        run(one_run(folder, lora), folder / "runs" / "x", [watch])
    assert not watch.begun


def test_models_that_nothing_missing_reads_are_not_inspected(folder: Path) -> None:
    one, watch = one_run(folder), Watch()
    one.plan.targets.clear()
    execute(one.plan, Store(folder / "store"), watch)
    assert not watch.inspected
