"""Every family through the product, compared with plain transformers one row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid

from tests.models import plain
from tests.models.attention import LLAMA3
from tests.models.driven import BETA, TEMPERATURE, TOP_P, Artifact, Run, run
from tests.models.families import FAMILIES
from tests.models.family import Family
from tests.models.plain import Plain

pytestmark = pytest.mark.models

NEAR = 1e-4


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def finished(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a family; where transformers has no reward model of it, with one of Llama 3."""
    place = tmp_path_factory.mktemp("family")
    reward_family = family if family.reward else LLAMA3
    return run(family, family.policy(place / "policy"), reward_family.reward_model(place / "reward"), place)


@pytest.fixture(scope="module")
def base(family: Family, finished: Run) -> Plain:
    return Plain(finished.policy, family.template_kwargs)


@pytest.fixture(scope="module")
def trained(family: Family, finished: Run) -> Plain:
    return Plain(finished.only("train_policy").folder, family.template_kwargs)


def reward_of(family: Family, folder: Path) -> Plain:
    return Plain(folder, family.template_kwargs if family.reward else {}, reward=True)


def responses(samples: Artifact) -> Iterator[tuple[list[dict[str, str]], dict[str, Any]]]:
    for row in samples.rows():
        for response in row["responses"]:
            yield row["messages"], response


@torch.no_grad()
def test_samples_come_from_the_models_own_distribution(finished: Run, base: Plain, trained: Plain) -> None:
    stops = base.stops()
    for samples in finished.artifacts("sample"):
        model = trained if samples.input("policy") == finished.only("train_policy").key else base
        seen = {"finished": 0, "unfinished": 0}
        for messages, response in responses(samples):
            ids = response["ids"]
            assert response["finished"] == (ids[-1] in stops)
            assert not set(ids[:-1]) & set(stops)
            assert response["n_tokens"] == len(ids) - response["finished"]
            assert response["text"] == model.tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            seen["finished" if response["finished"] else "unfinished"] += 1
            if not crosses(model, messages, ids):
                logits = model.response_logits(messages, ids)
                assert plain.outside_nucleus(logits, ids, TEMPERATURE, TOP_P) < NEAR
                if response["logprob"] is not None:
                    assert response["logprob"] == pytest.approx(float(model.logprob(messages, ids)), abs=NEAR)
        assert min(seen.values()) > 0


def crosses(model: Plain, messages: list[dict[str, str]], ids: list[int]) -> bool:
    """Say whether a row passes, while it is sampled, the length from which on other rotary factors hold."""
    rope = getattr(model.model.config, "rope_parameters", None) or {}
    if rope.get("rope_type") != "longrope":
        return False
    prompt = len(model.render(messages, prompt=True))
    return prompt <= rope["original_max_position_embeddings"] < prompt + len(ids)


@torch.no_grad()
def test_reference_log_probabilities_are_of_the_sampled_ids(finished: Run, base: Plain) -> None:
    reference = finished.only("reference_log_probs")
    sampled = {
        (row["prompt_id"], tuple(response["ids"]))
        for samples in finished.artifacts("sample")
        for row in samples.rows()
        for response in row["responses"]
    }
    pairs, found = finished.by_key(reference.input("pairs")).rows(), reference.rows()
    assert len(pairs) == len(found) > 0
    for pair, row in zip(pairs, found, strict=True):
        for answer in ("chosen", "rejected"):
            ids = pair[answer]["ids"]
            assert (pair["prompt_id"], tuple(ids)) in sampled
            assert row[answer] == pytest.approx(float(base.logprob(pair["messages"], ids)), abs=NEAR)


@torch.no_grad()
def test_rewards_equal_those_of_one_row_at_a_time(family: Family, finished: Run) -> None:
    reward = reward_of(family, finished.reward)
    scored = finished.artifacts("score")
    assert scored
    for scores in scored:
        samples = finished.by_key(scores.input("samples")).rows()
        for row, sample in zip(scores.rows(), samples, strict=True):
            expected = [float(reward.reward(sample["messages"], one["text"])) for one in sample["responses"]]
            assert row["rewards"] == pytest.approx(expected, abs=NEAR)


def test_the_policy_takes_the_step_of_the_sampled_ids(family: Family, finished: Run, trained: Plain) -> None:
    artifact = finished.only("train_policy")
    (step,) = artifact.curve()
    assert step["learning_rate"] > 0
    own = Plain(finished.policy, family.template_kwargs)
    start = {name: weight.clone() for name, weight in own.model.state_dict().items()}
    pairs = finished.by_key(artifact.input("selected")).rows()
    with torch.no_grad():
        references = [
            [own.logprob(pair["messages"], pair[answer]["ids"]) for answer in ("chosen", "rejected")] for pair in pairs
        ]

    def dpo(pair: dict[str, Any], reference: list[torch.Tensor]) -> torch.Tensor:
        chosen, rejected = (own.logprob(pair["messages"], pair[answer]["ids"]) for answer in ("chosen", "rejected"))
        return -logsigmoid(BETA * ((chosen - reference[0]) - (rejected - reference[1])))

    losses = [lambda pair=pair, reference=reference: dpo(pair, reference) for pair, reference in zip(pairs, references)]
    loss, norm = plain.train_step(own.model, losses, step["learning_rate"])
    assert step["loss"] == pytest.approx(loss, abs=NEAR)
    assert step["gradient_norm"] == pytest.approx(norm, rel=1e-3)
    means = [float(torch.stack(column).mean()) for column in zip(*references, strict=True)]
    assert [step["log_prob_chosen"], step["log_prob_rejected"]] == pytest.approx(means, abs=NEAR)
    updated(start, trained, own, step["learning_rate"])


def test_the_reward_model_takes_the_step_of_its_pairs(family: Family, finished: Run) -> None:
    artifact = finished.only("train_reward")
    (step,) = artifact.curve()
    assert step["learning_rate"] > 0
    own, published = reward_of(family, finished.reward), reward_of(family, artifact.folder)
    start = {name: weight.clone() for name, weight in own.model.state_dict().items()}

    def bradley_terry(pair: dict[str, Any]) -> torch.Tensor:
        chosen, rejected = (own.reward(pair["messages"], pair[answer]["text"]) for answer in ("chosen", "rejected"))
        return -logsigmoid(chosen - rejected)

    pairs = finished.by_key(artifact.input("pairs")).rows()
    losses = [lambda pair=pair: bradley_terry(pair) for pair in pairs]
    loss, norm = plain.train_step(own.model, losses, step["learning_rate"])
    assert step["loss"] == pytest.approx(loss, abs=NEAR)
    assert step["gradient_norm"] == pytest.approx(norm, rel=1e-3)
    updated(start, published, own, step["learning_rate"])


def updated(start: dict[str, torch.Tensor], published: Plain, own: Plain, learning_rate: float) -> None:
    """Check that published weights moved as those of the plain step did.

    The first step of AdamW moves a weight by the learning rate in its gradient's direction, so that rounding shows
    where a gradient is nearly 0: the two updates are compared as a whole.
    """
    found, expected = published.model.state_dict(), own.model.state_dict()
    assert plain.largest_change(start, found) > 0.5 * learning_rate
    assert plain.agreement(start, found, expected) > 0.99
