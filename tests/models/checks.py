"""What holds of every finished run, by plain transformers: samples, reference, rewards, both trainings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid

from tests.models import plain
from tests.models.driven import BETA, TEMPERATURE, TOP_P, Artifact, Run
from tests.models.plain import Plain

NEAR = 1e-4
"""In float32; log-probabilities are sums over a response."""


@torch.no_grad()
def check_samples(run: Run, near: float = NEAR) -> None:
    """Check that every sampled token is one that its policy may sample, and that text and end follow from the ids.

    `near` bounds how far the sampler's own log-probabilities, computed through a cache, may be from those of one pass.
    """
    trained = run.only("train_policy")
    models = {True: run.policy_at(trained.folder), False: run.policy_at(run.policy)}
    ends = set()
    for samples in run.artifacts("sample"):
        model = models[samples.input("policy") == trained.key]
        stops = model.stops()
        for messages, response in responses(samples):
            ids = response["ids"]
            assert response["finished"] == (ids[-1] in stops)
            assert not set(ids[:-1]) & set(stops)
            assert response["n_tokens"] == len(ids) - response["finished"]
            assert response["text"] == model.text(messages, ids)
            ends.add(response["finished"])
            logits = model.sampling_logits(messages, ids)
            assert plain.outside_nucleus(logits, ids, TEMPERATURE, TOP_P) < near
            own = float(plain.summed(logits, ids))
            assert response["logprob"] == pytest.approx(own, abs=near, rel=2e-5)
    assert ends == {True, False}


def responses(samples: Artifact) -> Iterator[tuple[list[dict[str, str]], dict[str, Any]]]:
    """Yield every response of a table with its conversation."""
    for row in samples.rows():
        for response in row["responses"]:
            yield row["messages"], response


@torch.no_grad()
def check_reference(run: Run) -> None:
    """Check the reference log-probabilities: of ids that were sampled, and of those ids as they were."""
    reference, base = run.only("reference_log_probs"), run.policy_at(run.policy)
    sampled = {
        (row["prompt_id"], tuple(response["ids"]))
        for samples in run.artifacts("sample")
        for row in samples.rows()
        for response in row["responses"]
    }
    pairs, found = run.by_key(reference.input("pairs")).rows(), reference.rows()
    assert len(pairs) == len(found) > 0
    for pair, row in zip(pairs, found, strict=True):
        for answer in ("chosen", "rejected"):
            ids = pair[answer]["ids"]
            assert (pair["prompt_id"], tuple(ids)) in sampled
            assert row[answer] == pytest.approx(float(base.logprob(pair["messages"], ids)), abs=NEAR)


@torch.no_grad()
def check_rewards(run: Run, near: float = NEAR) -> None:
    """Check every reward against the reward model's own of that conversation alone."""
    reward, scored = run.reward_at(run.reward), run.artifacts("score")
    assert scored
    for scores in scored:
        samples = run.by_key(scores.input("samples")).rows()
        for row, sample in zip(scores.rows(), samples, strict=True):
            expected = [float(reward.reward(sample["messages"], one["text"])) for one in sample["responses"]]
            assert row["rewards"] == pytest.approx(expected, abs=near)


def check_policy_step(run: Run) -> None:
    """Check the policy's only step: loss, gradient and weights are those of the sampled ids."""
    artifact, own = run.only("train_policy"), run.policy_at(run.policy)
    pairs = run.by_key(artifact.input("selected")).rows()
    with torch.no_grad():
        references = [[own.logprob(pair["messages"], pair[answer]["ids"]) for answer in ANSWERS] for pair in pairs]

    def dpo(index: int) -> torch.Tensor:
        pair, reference = pairs[index], references[index]
        chosen, rejected = (own.logprob(pair["messages"], pair[answer]["ids"]) for answer in ANSWERS)
        return -logsigmoid(BETA * ((chosen - reference[0]) - (rejected - reference[1])))

    step = check_step(artifact, own, run.policy_at(artifact.folder), [lambda i=i: dpo(i) for i in range(len(pairs))])
    means = [float(torch.stack(column).mean()) for column in zip(*references, strict=True)]
    assert [step["log_prob_chosen"], step["log_prob_rejected"]] == pytest.approx(means, abs=NEAR)


def check_reward_step(run: Run) -> None:
    """Check the reward model's only step: loss, gradient and weights are those of its pairs' conversations."""
    artifact, own = run.only("train_reward"), run.reward_at(run.reward)
    pairs = run.by_key(artifact.input("pairs")).rows()

    def bradley_terry(pair: dict[str, Any]) -> torch.Tensor:
        chosen, rejected = (own.reward(pair["messages"], pair[answer]["text"]) for answer in ANSWERS)
        return -logsigmoid(chosen - rejected)

    check_step(artifact, own, run.reward_at(artifact.folder), [lambda pair=pair: bradley_terry(pair) for pair in pairs])


ANSWERS = ("chosen", "rejected")


def check_step(artifact: Artifact, own: Plain, published: Plain, losses: list[Any]) -> dict[str, float]:
    """Compare a training of one step with the same step of `own`; returns what the training reported.

    The first step of AdamW moves a weight by the learning rate in its gradient's direction, so that rounding shows
    where a gradient is nearly 0: the two updates are compared as a whole.
    """
    (step,) = artifact.curve()
    assert step["learning_rate"] > 0
    start = {name: weight.clone() for name, weight in own.model.state_dict().items()}
    loss, norm = plain.train_step(own.model, losses, step["learning_rate"])
    assert step["loss"] == pytest.approx(loss, abs=NEAR)
    assert step["gradient_norm"] == pytest.approx(norm, rel=1e-3)
    found, expected = published.model.state_dict(), own.model.state_dict()
    assert plain.largest_change(start, found) > 0.5 * step["learning_rate"]
    assert plain.agreement(start, found, expected) > 0.99
    return step
