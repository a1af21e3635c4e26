"""The forward passes against the plain computation: whole logits, one sequence at a time, no padding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaForCausalLM,
    PhimoeConfig,
    PhimoeForCausalLM,
)

from mt.engines import logprobs
from mt.engines.training.batches import collate, filler
from mt.engines.training.data import Example
from mt.engines.training.losses import answer_by_log_probability, answer_by_reward, loss_of, pair_logps
from mt.engines.training.models import switch_off_dropout
from mt.reward_losses import BradleyTerry
from tests.engines.tiny import tiny_config

CHOSEN = [1, 3, 9, 8, 2, 4, 7, 7, 2]
REJECTED = [1, 3, 9, 8, 2, 4, 11, 6, 12, 10, 9, 2]
OTHER = [1, 3, 6, 2, 4, 13, 2]
ROWS = [
    Example("a", [(CHOSEN, 3), (REJECTED, 6)], 1.0),
    Example("b", [(OTHER, 2), (CHOSEN, 4)], 1.0),
]


def policy(folder: Path) -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(folder).train()


def naive(model: LlamaForCausalLM, ids: list[int], count: int) -> torch.Tensor:
    """Sum log π of the last `count` tokens from whole logits of one unpadded sequence."""
    logits = model(torch.tensor([ids])).logits[0, :-1]
    logps = logits.log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    return logps[-count:].sum()


@pytest.mark.parametrize("chunk", [1, 5, 1024])
@pytest.mark.parametrize("small", [0, 2**20])
def test_log_probabilities_equal_the_plain_computation(
    tiny_models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, chunk: int, small: int
) -> None:
    plain, efficient = policy(tiny_models[0]), policy(tiny_models[0])
    monkeypatch.setattr(logprobs.token_logprobs, "__defaults__", (chunk,))
    monkeypatch.setattr(logprobs, "SMALL_LOGITS", small)
    expected = torch.stack([naive(plain, *row.sequences[side]) for side in (0, 1) for row in ROWS])
    answer_by_log_probability(efficient)
    pairs = pair_logps(efficient, collate(ROWS, 0, pooled=False))
    found = torch.cat([pairs.chosen_B, pairs.rejected_B])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * 12)
    assert pairs.chosen_length_B.tolist() == [3, 2]
    factors = torch.tensor([1.0, -2.0, 3.0, 0.5])
    (expected * factors).sum().backward()
    (found * factors).sum().backward()
    for one, other in zip(plain.parameters(), efficient.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-5, atol=1e-6)


def test_padding_and_company_change_nothing(tiny_models: tuple[Path, Path]) -> None:
    model = policy(tiny_models[0])
    answer_by_log_probability(model)
    alone = [pair_logps(model, collate([row], 0, pooled=False)) for row in ROWS]
    for pad in (0, 2, 7):
        together = pair_logps(model, collate(ROWS, pad, pooled=False))
        torch.testing.assert_close(together.chosen_B, torch.cat([p.chosen_B for p in alone]), rtol=0, atol=2e-6)
        torch.testing.assert_close(together.rejected_B, torch.cat([p.rejected_B for p in alone]), rtol=0, atol=2e-6)


def test_rewards_are_read_at_the_last_token(tiny_models: tuple[Path, Path]) -> None:
    """Even where that token is the pad id, which a search for padding would skip."""
    model = AutoModelForSequenceClassification.from_pretrained(tiny_models[1])
    ends_in_pad = [*CHOSEN, 0]
    expected = torch.stack([model.score(model.model(torch.tensor([ids]))[0][0, -1])[0] for ids in (ends_in_pad, OTHER)])
    answer_by_reward(model)
    batch = collate([Example("a", [(ends_in_pad, 1), (OTHER, 1)], 1.0)], 0, pooled=True)
    found = model(batch.ids_ST, batch.positions_R, batch.targets_R)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_reward_loss_is_equation_1(tiny_models: tuple[Path, Path]) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_models[1])
    answer_by_reward(model)
    rows = [Example("a", [(CHOSEN, 1), (OTHER, 1)], 1.0), Example("b", [(OTHER, 1), (CHOSEN, 1)], 2.0)]
    batch = collate(rows, 0, pooled=True)
    rewards = model(batch.ids_ST, batch.positions_R, batch.targets_R)
    margin = (rewards[0] - rewards[2]).item()
    loss_B, metrics = loss_of(BradleyTerry())(model, batch)
    expected = torch.tensor([margin, -margin]).sigmoid().log().neg() * torch.tensor([1.0, 2.0])
    torch.testing.assert_close(loss_B, expected)
    assert metrics["margin"].tolist() == pytest.approx([margin, -margin], abs=1e-6)


def test_a_filler_weighs_nothing(tiny_models: tuple[Path, Path]) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_models[1])
    answer_by_reward(model)
    batch = filler(Example("a", [(CHOSEN, 1), (OTHER, 1)], 1.0), 0, pooled=True)
    loss_B, _ = loss_of(BradleyTerry())(model, batch)
    assert loss_B.tolist() == [0.0]
    assert (batch.is_padding, batch.tokens) == (True, 0)


def test_dropout_is_off_wherever_it_is_kept() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(tiny_config(attention_dropout=0.5)).train()
    ids = torch.tensor([CHOSEN])
    assert not torch.equal(model(ids).logits, model(ids).logits)
    switch_off_dropout(model)
    assert torch.equal(model(ids).logits, model(ids).logits)
    assert model.config.attention_dropout == 0.5


def test_training_draws_no_noise_and_still_recomputes_activations() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_local_experts": 4}
    heads, noise = {"num_attention_heads": 2, "num_key_value_heads": 2}, {"input_jitter_noise": 0.3}
    model = PhimoeForCausalLM(PhimoeConfig(vocab_size=64, **sizes, **heads, **noise)).eval()
    ids = torch.tensor([CHOSEN])
    wanted = model(ids).logits
    switch_off_dropout(model)
    model.gradient_checkpointing_enable()
    model.train()
    assert torch.equal(model(ids).logits, wanted)
    assert model.training
    assert all(layer.training and layer.gradient_checkpointing for layer in model.model.layers)
    assert not model.eval().training
