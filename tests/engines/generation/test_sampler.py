"""Draws follow the nucleus of the softmax, and nothing but their own key decides them."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.stats import chisquare, kstest

from mt.engines.generation.sampler import draw, gumbel, largest, nucleus, stream_key
from mt.errors import EngineError


def keys(count: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor([stream_key(seed, f"prompt {i}", i % 5) for i in range(count)])


def nucleus_by_hand(probabilities: list[float], top_p: float) -> list[float]:
    """Renormalise the most likely tokens up to and including the one that reaches `top_p`."""
    kept, total = [0.0] * len(probabilities), 0.0
    for token in sorted(range(len(probabilities)), key=lambda i: -probabilities[i]):
        if total < top_p:
            kept[token] = probabilities[token]
        total += probabilities[token]
    return [p / sum(kept) for p in kept]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.8, 0.95), (1.3, 0.6)])
def test_draws_follow_the_nucleus_of_the_softmax(temperature: float, top_p: float) -> None:
    draws = 20_000
    logits = torch.randn(12, generator=torch.Generator().manual_seed(3)) * 1.5
    expected = nucleus_by_hand((logits / temperature).softmax(-1).tolist(), top_p)
    ids = draw(logits.repeat(draws, 1), keys(draws), step=4, temperature=temperature, top_p=top_p)
    counts = torch.bincount(ids, minlength=12).tolist()
    assert all(count == 0 for count, p in zip(counts, expected, strict=True) if p == 0)
    drawn = [(count, p * draws) for count, p in zip(counts, expected, strict=True) if p > 0]
    assert chisquare(*zip(*drawn, strict=True)).pvalue > 0.001


def test_steps_of_one_response_are_independent() -> None:
    steps, logits = 1_600, torch.zeros(1, 4)
    ids = [int(draw(logits, keys(1), step, 1.0, 1.0)) for step in range(steps)]
    following = [0] * 16
    for before, after in itertools.pairwise(ids):
        following[4 * before + after] += 1
    assert chisquare(following).pvalue > 0.001


def test_noise_is_standard_gumbel_and_pure() -> None:
    tokens = torch.arange(50_000)[None]
    noise = gumbel(keys(1), 7, tokens)
    assert kstest(noise[0].numpy(), "gumbel_r").pvalue > 0.001
    assert torch.equal(gumbel(keys(3)[:1], 7, tokens[:, 100:200]), noise[:, 100:200])


def test_streams_differ_by_seed_prompt_and_sample() -> None:
    streams = {stream_key(s, p, k) for s in range(20) for p in ("a", "b", "1", "11") for k in range(20)}
    assert len(streams) == 20 * 4 * 20


def test_a_row_draws_the_same_alone_and_in_company() -> None:
    logits = torch.randn(40, 300, generator=torch.Generator().manual_seed(0))
    together = draw(logits, keys(40), 2, 0.8, 0.95)
    alone = [int(draw(logits[i : i + 1], keys(40)[i : i + 1], 2, 0.8, 0.95)) for i in range(40)]
    assert together.tolist() == alone


def test_a_flat_distribution_reaches_beyond_the_first_candidates() -> None:
    logits = torch.zeros(2, 2000)
    logits[0, :3] = 20.0
    values, ids = nucleus(logits, 0.90025)
    assert torch.isfinite(values).sum(-1).tolist() == [3, 1801]
    assert set(ids[0, :3].tolist()) == {0, 1, 2}


def test_greedy_takes_the_largest_logit() -> None:
    assert draw(torch.tensor([[0.0, 3.0, 1.0]]), keys(1), 0, 0.0, 0.95).tolist() == [1]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_logits_that_are_not_numbers_are_an_error(temperature: float) -> None:
    with pytest.raises(EngineError, match="no probabilities"):
        draw(torch.tensor([[0.0, float("nan")]]), keys(1), 0, temperature, 0.95)


def test_rows_with_narrow_and_wide_nuclei_share_a_batch() -> None:
    torch.manual_seed(0)
    scale = torch.tensor([[12.0], [0.3], [5.0], [0.0]])
    logits = torch.randn(4, 6400) * scale + torch.randn(4, 6400) * 1e-3  # no two are equal
    values, ids = nucleus(logits, 0.9)
    for row in range(4):
        probability, order = logits[row].double().softmax(-1).sort(descending=True)
        count = int((probability.cumsum(-1) - probability < 0.9).sum())
        kept = values[row].isfinite()
        assert abs(int(kept.sum()) - count) <= 1, "rounding may move the edge by one token"
        assert ids[row][kept].tolist()[: count - 1] == order[: count - 1].tolist()
        assert torch.equal(values[row][kept], logits[row][ids[row][kept]])


@pytest.mark.parametrize("length", [640, 6400, 6401, 49152])
def test_the_largest_by_blocks_are_the_largest(length: int) -> None:
    torch.manual_seed(length)
    values = torch.randn(5, length)
    values[0] = values[0].sort().values  # all of the largest lie in neighbouring blocks
    found, places = largest(values, 64)
    expected = values.topk(64)
    assert torch.equal(found, expected.values)
    assert torch.equal(places, expected.indices)
