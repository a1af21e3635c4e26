"""Engines that are not installed, and trainers that cannot train, are refused before anything is computed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError
from mt.methods.blueprint import blueprint
from mt.running.checks import check
from tests.small import small

LORA = "policy.training.lora={rank:4,alpha:8,targets:[all-linear]}"


def refused(folder: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        check(blueprint(compose_runs(small(folder, *overrides))[0].config))
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["generator=vllm"], "vLLM is not installed"),
        (["scorer=vllm"], "vLLM is not installed"),
        (["trainer=torchrun", "trainer.zero_stage=3"], "trainer.zero_stage=3: DeepSpeed is not installed"),
        ([LORA], "training.lora=4: peft is not installed"),
    ],
)
def test_what_is_not_installed_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], said: str
) -> None:
    absent, find = ("vllm", "deepspeed", "peft"), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    assert said in refused(tmp_path, *overrides)


def test_more_processes_than_rows_are_told_first(tmp_path: Path) -> None:
    said = refused(tmp_path, "trainer=torchrun", "trainer.processes=17", "policy.training.batch_size=16")
    assert "trainer.processes=17: more than the 16 rows of a batch. Start fewer" in said


def test_lengths_that_leave_no_prompt_are_told_first(tmp_path: Path) -> None:
    said = refused(tmp_path, "sampling.max_length=4", "generator.min_response_tokens=4")
    assert "generator.min_response_tokens=4: leaves no prompt within max_length=4. Allowed: 1 to 3" in said


def test_adapters_and_scattered_weights_are_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    said = refused(tmp_path, LORA, "trainer=torchrun", "trainer.zero_stage=3")
    assert "trainer.zero_stage=3: adapters cannot be merged" in said
