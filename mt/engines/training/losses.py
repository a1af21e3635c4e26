"""From a micro-batch to one loss per row: the forward passes of policy and reward model, and their objectives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from mt.engines.heads import OutputHead
from mt.engines.logprobs import row_sums, token_logprobs
from mt.engines.rotary import row_positions
from mt.engines.training.batches import MicroBatch
from mt.objectives import Losses, Objective, PairLogps, ResponseLogps
from mt.reward_losses import RewardLoss

Loss = Callable[[Any, MicroBatch], Losses]
"""loss(model, micro-batch): one loss per row, weights included, and metrics of the same shape."""
_COUPLED = (
    *("chosen_B", "rejected_B", "chosen_length_B", "rejected_length_B"),
    *("reference_chosen_B", "reference_rejected_B"),
)


def answer_by_log_probability(model: Any) -> None:
    """Make the policy's forward return log π of the targets (float32, shape R) instead of logits over them all.

    The methods stay on the model, so that DDP, DeepSpeed and the Trainer wrap, save and load it like any other. The
    head is called once, and cuts its work itself: ZeRO-3 gathers a module's weights whenever it is called, and
    devices that call it unequally often, as their responses are long, would wait for each other forever.
    """
    head = OutputHead(model)

    def head_forward(self: Any, hidden_RD: Tensor, targets_R: Tensor) -> Tensor:
        return token_logprobs(hidden_RD, head.logits, targets_R, vocabulary=head.vocabulary)

    def forward(self: Any, ids_ST: Tensor, positions_R: Tensor, targets_R: Tensor) -> Tensor:
        own = row_positions(self.config, ids_ST, positions_R + 1)
        hidden_STD = self.base_model(input_ids=ids_ST, use_cache=False, **own).last_hidden_state
        logps_R: Tensor = head.module(hidden_STD.flatten(0, 1)[positions_R], targets_R)
        return logps_R

    head.module.forward = MethodType(head_forward, head.module)
    model.forward = MethodType(forward, model)


def answer_by_reward(model: Any) -> None:
    """Make the reward model's forward return the reward at the given positions (float32, shape S).

    The place of the last token is given, never searched for: a search for padding fails where a pad id is read.
    """

    def forward(self: Any, ids_ST: Tensor, positions_R: Tensor, targets_R: Tensor) -> Tensor:
        own = row_positions(self.config, ids_ST, positions_R)
        hidden_STD = self.base_model(input_ids=ids_ST, use_cache=False, **own).last_hidden_state
        pooled_SD = hidden_STD.flatten(0, 1)[positions_R]
        with torch.autocast(pooled_SD.device.type, enabled=False):  # a reward in bfloat16 has two digits
            rewards_S1 = self.score(pooled_SD.to(next(self.score.parameters()).dtype))
        return rewards_S1[:, 0].float()

    model.forward = MethodType(forward, model)


def loss_of(objective: Objective | RewardLoss) -> Loss:
    """Return the loss of a micro-batch under a policy's objective or a reward model's loss."""
    if isinstance(objective, RewardLoss):

        def reward_loss(model: Any, batch: MicroBatch) -> Losses:
            chosen_B, rejected_B = model(batch.ids_ST, batch.positions_R, batch.targets_R).chunk(2)
            return objective(chosen_B, rejected_B, batch.weight_B, batch.margin_B)

        return reward_loss
    if objective.learns_from == "demonstrations":
        return lambda model, batch: objective(response_logps(model, batch))
    return lambda model, batch: objective(pair_logps(model, batch))


def response_logps(model: Any, batch: MicroBatch) -> ResponseLogps:
    """Return what an objective wants to know about a micro-batch of demonstrations."""
    policy_B = row_sums(model(batch.ids_ST, batch.positions_R, batch.targets_R), batch.lengths)
    return ResponseLogps(policy_B, policy_B.new_tensor(batch.lengths), batch.weight_B)


def pair_logps(model: Any, batch: MicroBatch) -> PairLogps:
    """Return what an objective wants to know about a micro-batch of pairs, from one forward pass over both."""
    logps_S = row_sums(model(batch.ids_ST, batch.positions_R, batch.targets_R), batch.lengths)
    chosen_B, rejected_B = _halves(logps_S)
    chosen_length_B, rejected_length_B = _halves(logps_S.new_tensor(batch.lengths))
    reference_chosen_B, reference_rejected_B = _halves(batch.reference_S)
    chosen_wins_B, rejected_wins_B = _halves(batch.win_probability_S)
    return PairLogps(
        chosen_B=chosen_B,
        rejected_B=rejected_B,
        chosen_length_B=chosen_length_B,
        rejected_length_B=rejected_length_B,
        reference_chosen_B=reference_chosen_B,
        reference_rejected_B=reference_rejected_B,
        chosen_win_probability_B=chosen_wins_B,
        rejected_win_probability_B=rejected_wins_B,
        weight_B=batch.weight_B,
        whole_batch=batch.whole_batch,
    )


def couple(objective: Objective | RewardLoss, devices: int) -> Callable[..., list[MicroBatch]] | None:
    """Return what makes a coupled objective (KTO) independent of how a batch is cut, or None where none is needed.

    It computes what the objective needs of all pairs of the global batch, by a forward pass of their own.
    """
    if isinstance(objective, RewardLoss) or not objective.couples_pairs:
        return None

    def prepare(model: Any, batches: list[MicroBatch]) -> list[MicroBatch]:
        if len(batches) * devices == 1:
            return batches
        seen = [pair_logps(model, batch) for batch in batches]
        kept = [pairs for pairs, batch in zip(seen, batches, strict=True) if not batch.is_padding]
        device = batches[0].ids_ST.device
        whole = PairLogps(**{name: _gathered(kept, name, devices).to(device) for name in _COUPLED})
        needed = objective.whole_batch(whole)
        return [replace(batch, whole_batch=needed) for batch in batches]

    return prepare


def _gathered(pairs: list[PairLogps], name: str, devices: int) -> Tensor:
    """Return one column of the pairs of all devices, in the order of the devices."""
    values: list[float] = [value for part in pairs for value in getattr(part, name).tolist()]
    everyone: list[list[float]] = [values] * devices
    if devices > 1:
        torch.distributed.all_gather_object(everyone, values)
    return torch.tensor([value for part in everyone for value in part])


def _halves(values_S: Tensor | None) -> Any:
    return (None, None) if values_S is None else values_S.chunk(2)
