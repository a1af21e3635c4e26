"""What no engine, model or row can be is refused before anything is computed, by the setting that was typed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError
from mt.methods.compile import compile_run
from mt.running.checks import check
from mt.stages.train import TrainReward
from tests.small import small

LORA = "policy.training.lora={rank:4,alpha:8,targets:[all-linear]}"


def refused(folder: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        check(compile_run(compose_runs(small(folder, *overrides))[0].config))
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["generator=vllm"], "generator=vllm: vLLM is not installed"),
        (["scorer=vllm"], "scorer=vllm: vLLM is not installed"),
        (["trainer=torchrun", "trainer.zero_stage=3"], "trainer.zero_stage=3: DeepSpeed is not installed"),
        ([LORA], "training.lora=4: peft is not installed"),
    ],
)
def test_what_is_not_installed_is_reported_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], said: str
) -> None:
    absent, find = ("vllm", "deepspeed", "peft"), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    assert said in refused(tmp_path, *overrides)


def test_more_processes_than_rows_are_reported_first(tmp_path: Path) -> None:
    said = refused(tmp_path, "trainer=torchrun", "trainer.processes=17", "policy.training.batch_size=16")
    assert "trainer.processes=17: more than the 16 rows of a batch. Start fewer" in said


def test_lengths_that_leave_no_prompt_are_reported_first(tmp_path: Path) -> None:
    said = refused(tmp_path, "sampling.max_length=4", "generator.min_response_tokens=4")
    assert "generator.min_response_tokens=4: leaves no prompt within max_length=4. Allowed: 1 to 3" in said


def test_adapters_and_scattered_weights_are_reported_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    said = refused(tmp_path, LORA, "trainer=torchrun", "trainer.zero_stage=3")
    assert "trainer.zero_stage=3: adapters cannot be merged" in said


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sampling.max_length=129"], "sampling.max_length=129: longer than the context of the world's models"),
        (["policy.training.max_length=129"], "policy.training.max_length=129: longer than the context"),
        (["reward.training.max_length=129"], "reward.training.max_length=129: longer than the context"),
        (["scorer.max_length=129"], "scorer.max_length=129: longer than the context"),
        (["data.reward_training.max_length=129"], "data.reward_training.max_length=129: longer than the context"),
        (["eval.held_out.decoding.max_length=129"], "eval.held_out.decoding.max_length=129: longer than"),
        (["method=meta_rewarding", "method.judgment_length=129"], "method.judgment_length=129: longer than"),
        (
            ["data.policy.context=63"],
            "data.policy_training.max_length=64: longer than the context of the world's models",
        ),
    ],
)
def test_lengths_beyond_a_context_are_named_as_they_were_typed(tmp_path: Path, overrides: list[str], said: str) -> None:
    assert said in refused(tmp_path, *overrides)


# The world's shortest question is "<bos> <user> what <end> <assistant>": five tokens, and a response has one at least.
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["policy.training.max_length=5"], "policy.training.max_length=5: the shortest prompt has 5 tokens"),
        (["data.policy_training.max_length=2"], "data.policy_training.max_length=2: the shortest prompt has 5 tokens"),
        (
            ["method=meta_rewarding", "method.eft_training.max_length=5"],
            "method.eft_training.max_length=5: the shortest",
        ),
        (
            ["sampling.max_length=8", "generator.min_response_tokens=4"],
            "sampling.max_length=8: the shortest prompt has 5",
        ),
    ],
)
def test_lengths_below_any_row_are_refused(tmp_path: Path, overrides: list[str], said: str) -> None:
    told = refused(tmp_path, *overrides)
    assert said in told and "leaves no room for a response. Allowed: at least" in told


def test_lengths_that_fit_a_row_are_taken(tmp_path: Path) -> None:
    fitting = ["policy.training.max_length=6", "sampling.max_length=9", "generator.min_response_tokens=4"]
    check(compile_run(compose_runs(small(tmp_path, *fitting))[0].config))


def test_batches_that_no_iteration_fills_are_refused(tmp_path: Path) -> None:
    # 45 prompts in three parts are 15 in an iteration, each with one pair; by margins, with two.
    drop = ["policy.training.drop_last=true", "policy.training.batch_size=16"]
    assert "policy.training.batch_size=16: an iteration has 15 rows at most" in refused(tmp_path, *drop)
    check(compile_run(compose_runs(small(tmp_path, *drop, "selection=margin", "selection.max_pairs=2"))[0].config))


def test_devices_of_a_judge_are_asked_for_at_the_start(tmp_path: Path) -> None:
    judge = [
        "judge=reward_model",
        "judge.scorer={name:transformers,dtype:float32,max_length:64,strip_bos:false,device:tpu,threads:1,batch_tokens:64}",
    ]
    assert refused(tmp_path, *judge).startswith("judge.scorer.device=tpu: not a device. Allowed: auto, cpu")


def test_adapters_beside_layers_that_the_worlds_model_lacks_are_refused() -> None:
    plan = compile_run(compose_runs(["reward.training.lora={rank:4,alpha:8,targets:[nope]}"])[0].config).plan
    stage = next(one for one in plan.order if isinstance(one, TrainReward) and one.training.lora)
    with pytest.raises(
        ConfigError, match=r"reward\.training\.lora\.targets=nope: the model has no such layers.*q_proj"
    ):
        stage.inspect()
