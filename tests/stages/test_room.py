"""A model that is larger than one GPU is refused before anything is computed, by the stages that hold it whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from mt.config.compose import compose_runs
from mt.errors import ModelError
from mt.methods.compile import compile_run
from mt.workflow.stage import Stage
from tests.engines.tiny import tiny_policy, tiny_reward
from tests.small import small

LORA = "policy.training.lora={rank:2,alpha:4,targets:[all-linear]}"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, int]:
    """A policy and a reward model on the disk, and the policy's weights."""
    policy = tiny_policy(tmp_path / "policy")
    tiny_reward(tmp_path / "reward")
    return tmp_path, sum(value.numel() for value in load_file(policy / "model.safetensors").values())


def gpu(monkeypatch: pytest.MonkeyPatch, memory: float, count: int = 1) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(total_memory=memory))


def stage(folder: Path, name: str, *overrides: str) -> Stage:
    """The second iteration's stage, whose policy has been trained from the folder."""
    paths = [f"policy.path={folder}/policy", f"reward.path={folder}/reward"]
    (run,) = compose_runs(small(folder, *paths, *overrides))
    return [one for one in compile_run(run.config).plan.order if one.name == name][-1]


@pytest.mark.parametrize(
    ("name", "overrides", "width", "fix"),
    [
        ("reference_log_probs", ["logprobs.dtype=bfloat16"], 2, "more memory"),
        ("reference_log_probs", ["logprobs.dtype=float32"], 4, r"logprobs\.dtype=bfloat16"),
        ("policy_diagnostics", [], 4, "more memory"),
        ("sample", ["generator.dtype=bfloat16"], 2, r"generator=vllm generator\.tensor_parallel=N"),
        ("sample", ["generator=vllm", "generator.dtype=bfloat16", "generator.tensor_parallel=2"], 1, "Raise generator"),
        ("train_policy", [], 16, "zero_stage=3"),
        ("train_policy", ["trainer.dtype=bfloat16", LORA], 2, "zero_stage=3"),
        ("train_policy", ["trainer=torchrun", "trainer.zero_stage=2", "trainer.dtype=bfloat16"], 2, "zero_stage=3"),
    ],
)
def test_the_weights_of_one_gpu_are_compared_with_its_memory(
    folders: tuple[Path, int],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    overrides: list[str],
    width: int,
    fix: str,
) -> None:
    folder, weights = folders
    asked = stage(folder, name, *overrides)
    gpu(monkeypatch, width * weights)
    asked.inspect()
    gpu(monkeypatch, width * weights - 1)
    with pytest.raises(ModelError, match=rf"policy\.path={folder}/policy: has .* billion weights.*{fix}"):
        asked.inspect()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    asked.inspect()


@pytest.mark.parametrize("overrides", [["trainer=torchrun", "trainer.zero_stage=3"], ["trainer.device=cpu"]])
def test_what_is_spread_or_elsewhere_is_not_refused(
    folders: tuple[Path, int], monkeypatch: pytest.MonkeyPatch, overrides: list[str]
) -> None:
    gpu(monkeypatch, 1)
    stage(folders[0], "train_policy", *overrides).inspect()
