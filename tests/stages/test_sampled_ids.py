"""Sampled token ids on their way from the sampler through the tables to the reference pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mt.stages.implicit import ImplicitRewards
from mt.stages.sample import Sample
from mt.stages.score import ReferenceLogProbs
from mt.stages.select import ContrastPairs, MixPairs
from mt.types import Pair, PairLogProbs, Response, Rewards, Samples
from mt.workflow import tables
from mt.workflow.stage import External
from mt.workflow.work import TABLE, Work
from tests.engines.settings import decoding_config, generator_config, logprobs_config
from tests.engines.tiny import tiny_policy
from tests.stages.bench import TEMPLATE, Bench, given, pair, prompt


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> External:
    return External("policy", tiny_policy(tmp_path_factory.mktemp("policy"), initializer_range=0.3))


def sampled(policy: External, seed: int = 0, kind: type[Sample] = Sample) -> Sample:
    prompts = given(prompt("a", "tell me the colour of fox"), prompt("b", "count from one"), prompt("c", "red"))
    return kind(policy, prompts, decoding_config(), generator_config(), seed, TEMPLATE)


def own_logprob(folder: Path, row: Pair, response: Response) -> float:
    """Plain transformers on the rendered prompt and the ids, one row at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    asked = tokenizer.apply_chat_template(row.messages, add_generation_prompt=True, return_dict=False)
    ids = response.ids
    assert ids
    with torch.no_grad():
        logps = model(torch.tensor([asked + ids])).logits[0].log_softmax(-1)
    return sum(float(logps[len(asked) + t - 1, token]) for t, token in enumerate(ids))


def test_ids_reach_the_reference_pass_unchanged(bench: Bench, policy: External) -> None:
    new, old = sampled(policy, 0), sampled(policy, 1)
    contrast = ContrastPairs(new, old, 0)
    reference = ReferenceLogProbs(policy, contrast, logprobs_config(), 64, "left", TEMPLATE)
    pairs, found = bench.rows(contrast, Pair), bench.rows(reference, PairLogProbs)
    drawn = {
        tuple(one.ids or ()) for stage in (new, old) for row in bench.rows(stage, Samples) for one in row.responses
    }
    assert len(pairs) == 3
    for row, logps in zip(pairs, found, strict=True):
        for response, logp in ((row.chosen, logps.chosen), (row.rejected, logps.rejected)):
            assert tuple(response.ids or ()) in drawn
            assert logp == pytest.approx(own_logprob(policy.location, row, response), abs=1e-4)


def test_a_reference_that_sampled_says_how_far_it_is_from_the_sampler(bench: Bench, policy: External) -> None:
    contrast = ContrastPairs(sampled(policy, 0), sampled(policy, 1), 0)
    engine = logprobs_config()
    counts = bench.counts(ReferenceLogProbs(policy, contrast, engine, 64, "left", TEMPLATE))
    assert counts["sampler_compared"] == 6
    assert 0 <= counts["sampler_gap_mean"] <= counts["sampler_gap_largest"] < 1e-4
    assert counts["sampler_gap_per_token_largest"] <= counts["sampler_gap_largest"]
    assert bench.notes.texts == []
    mixed = MixPairs(contrast, given(pair("d", "red fox", "blue")), 0.3, 0)  # foreign text has nothing to compare
    assert bench.counts(ReferenceLogProbs(policy, mixed, engine, 64, "left", TEMPLATE))["sampler_compared"] == 6
    other = External("other", tiny_policy(bench.store.root.parent / "other", seed=3, initializer_range=0.3))
    assert "sampler_compared" not in bench.counts(ReferenceLogProbs(other, contrast, engine, 64, "left", TEMPLATE))


@dataclass(frozen=True, eq=False)
class Disagreeing(Sample):
    """Samples of an engine whose log-probabilities are off by one nat a response."""

    def run(self, work: Work) -> None:
        Sample.run(self, work)
        rows = tables.read(work.folder / TABLE, Samples)
        moved = [[replace(one, logprob=(one.logprob or 0.0) - 1) for one in row.responses] for row in rows]
        work.write([replace(row, responses=some) for row, some in zip(rows, moved, strict=True)], Samples)


def test_a_sampler_that_disagrees_is_noted(bench: Bench, policy: External) -> None:
    stage = ContrastPairs(sampled(policy, 0, Disagreeing), sampled(policy, 1, Disagreeing), 0)
    counts = bench.counts(ReferenceLogProbs(policy, stage, logprobs_config(), 64, "left", TEMPLATE))
    assert counts["sampler_gap_mean"] == pytest.approx(1.0, abs=1e-3)
    assert "nats a token" in bench.notes.texts[-1]


def test_implicit_rewards_read_the_ids_that_were_sampled(bench: Bench, policy: External) -> None:
    other = External("other", tiny_policy(bench.store.root.parent / "other", seed=3, initializer_range=0.3))
    stage = sampled(policy)
    samples = bench.rows(stage, Samples)
    rewards = bench.rows(ImplicitRewards(policy, other, stage, 0.5, logprobs_config(), 64, TEMPLATE), Rewards)
    for row, scored in zip(samples, rewards, strict=True):
        for response, value in zip(row.responses, scored.rewards, strict=True):
            asked = Pair(row.prompt_id, row.messages, None, response, response)
            own = [own_logprob(one.location, asked, response) for one in (policy, other)]
            assert value == pytest.approx(0.5 * (own[0] - own[1]), abs=1e-4)
