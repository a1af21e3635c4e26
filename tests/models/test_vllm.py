"""SmolLM2-135M-Instruct sampled and scored by vLLM's CPU build, compared with plain transformers."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from mt.types import Prompt
from tests.engines.settings import decoding_config, vllm_generator_config
from tests.models import checks
from tests.models.driven import Run, conversations, run
from tests.models.real import GENTLE, shallow_reward, smollm2

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

NEAR = 1e-3
"""vLLM's kernels sum in another order than transformers' do."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("vllm")
    policy = smollm2()
    planned = Run(policy, shallow_reward(policy, place / "reward"), place)
    return run(planned, *GENTLE, "generator=vllm", "scorer=vllm", "generator.cache_mib=64", "scorer.cache_mib=64")


def test_samples_come_from_the_models_own_distribution(finished: Run) -> None:
    checks.check_samples(finished, NEAR)


def test_reference_log_probabilities_are_of_the_sampled_ids(finished: Run) -> None:
    checks.check_reference(finished)


def test_rewards_equal_those_of_one_row_at_a_time(finished: Run) -> None:
    checks.check_rewards(finished, NEAR)


def test_the_policy_takes_the_step_of_the_sampled_ids(finished: Run) -> None:
    checks.check_policy_step(finished)


@torch.no_grad()
def test_greedy_ids_are_those_of_transformers(finished: Run) -> None:
    model = finished.policy_at(finished.policy)
    prompts = [Prompt(str(i), messages) for i, messages in enumerate(conversations(system=True)[:6])]
    decoding = decoding_config(samples=1, temperature=0, top_p=1.0, max_new_tokens=24, max_length=320)
    with vllm_generator_config().open(finished.policy) as generator:
        found = {row.prompt_id: row.responses[0].ids for row in generator.sample(prompts, decoding, 0)}
    for prompt in prompts:
        asked = torch.tensor([model.render(prompt.messages, prompt=True)])
        own = model.model.generate(
            asked, attention_mask=torch.ones_like(asked), do_sample=False, max_new_tokens=24, pad_token_id=0
        )
        assert found[prompt.prompt_id] == own[0, asked.shape[1] :].tolist()
