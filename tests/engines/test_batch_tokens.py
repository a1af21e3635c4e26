"""Where a setting leaves a batch's tokens to the device, the engine's device decides: not the machine that composed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mt.config.compose import compose_runs
from mt.engines import models
from mt.engines.generation import local as generation
from mt.engines.scoring import local as scoring
from mt.engines.scoring import logprobs
from mt.types import Prompt, Response
from tests.engines.settings import decoding_config, generator_config, logprobs_config, scorer_config
from tests.engines.tiny import tiny_policy, tiny_reward

MESSAGES = [{"role": "user", "content": "tell me the colour"}]
PROMPT, LONG = 8, 64
"""Tokens of the prompt as the template renders it, and of a conversation whose answer has 55 words and an end."""
CASES = [("auto", 1, False), ("cuda:0", 1, False), ("cpu", 1, True), ("auto", 0, True)]
"""The setting, how many GPUs the machine has, and whether it computes on the CPU then."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny_policy(folder / "policy"), tiny_reward(folder / "reward")


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} with {case[1]} GPUs")
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bool]:
    """Pretend to have a GPU: the engine chooses it, and its model computes on the CPU all the same."""
    device, gpus, on_cpu = request.param

    def load(folder: Path, kind: Any, dtype: torch.dtype, chosen: torch.device) -> Any:
        assert (chosen.type == "cpu") == on_cpu
        return models.load_model(folder, kind, dtype, torch.device("cpu"))

    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    for module in (generation, scoring, logprobs):
        monkeypatch.setattr(module, "load_model", load)
    return device, on_cpu


def sizes_of(monkeypatch: pytest.MonkeyPatch, module: Any) -> list[int]:
    """The rows of every batch that an engine makes from now on."""
    found: list[int] = []
    cut = module.token_batches

    def counted(*args: Any, **kwargs: Any) -> list[list[int]]:
        batches: list[list[int]] = cut(*args, **kwargs)
        found.extend(map(len, batches))
        return batches

    monkeypatch.setattr(module, "token_batches", counted)
    return found


def test_a_cpu_scores_and_reads_references_512_tokens_at_a_time_and_a_gpu_all(
    folders: tuple[Path, Path], case: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, on_cpu = case
    policy, reward = folders
    answer = " ".join(["red"] * (LONG - PROMPT - 1))
    expected = [512 // LONG] * 2 if on_cpu else [16]  # of 64 tokens each
    rows = sizes_of(monkeypatch, scoring)
    with scorer_config(device=device, batch_tokens=None).open(reward) as scorer:
        assert len(list(scorer.score([(MESSAGES, answer, True)] * 16))) == 16
        assert scorer.counts["tokens"] == 16 * LONG
    assert rows == expected
    rows = sizes_of(monkeypatch, logprobs)
    with logprobs_config(device=device, batch_tokens=None).open(policy) as engine:
        found = list(engine.logprobs([(MESSAGES, Response(answer, 0))] * 16, LONG))
    assert {tokens for _, _, tokens in found} == {LONG - PROMPT}
    assert rows == expected


def test_sampling_takes_32768_tokens_on_a_cpu_and_131072_on_a_gpu(
    folders: tuple[Path, Path], case: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, on_cpu = case
    rows = sizes_of(monkeypatch, generation)
    monkeypatch.setattr(generation.LocalPolicy, "_answer", lambda *args: [])
    prompts = [Prompt(str(number), MESSAGES, None) for number in range(200)]
    samples, room = 64, 56  # with a prompt of 8 tokens 4,096 tokens a prompt
    with generator_config(device=device, batch_tokens=None).open(folders[0]) as generator:
        list(generator.sample(prompts, decoding_config(samples=samples, max_new_tokens=room, max_length=LONG), 0))
    assert (samples * (PROMPT + room), max(rows)) == (4096, 8 if on_cpu else 32)


def test_composing_chooses_no_number_for_smollm2_and_the_world_s_stay() -> None:
    small, world = (compose_runs([scale])[0].config for scale in ("scale=smollm2", "scale=laptop"))
    for run, expected in ((small, None), (world, 16_384)):
        engines = run.model_dump()
        assert [engines[name]["batch_tokens"] for name in ("generator", "scorer", "logprobs")] == [expected] * 3
        assert engines["trainer"]["micro_batch_tokens"] == expected
