"""TRL's own losses on given log-probabilities: its trainers' loss methods, on trainers that were never set up."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from mt.objectives import PairLogps


class _Accelerator:
    device = torch.device("cpu")

    def gather(self, tensor: Tensor) -> Tensor:
        return tensor

    gather_for_metrics = gather


class _Model:
    """Answers forward passes with given per-token log-probabilities, in turn."""

    training = True

    def __init__(self, *log_probs: Tensor) -> None:
        self.answers = list(log_probs)

    def __call__(self, **_inputs: Any) -> SimpleNamespace:
        log_probs = self.answers.pop(0)
        ones = torch.ones_like(log_probs)
        return SimpleNamespace(
            log_probs=log_probs, entropy=ones, mean_logits=ones, is_top1=ones.bool(), log_sum_sq_probs=ones
        )


def _trainer(kind: type, model: Any, **attributes: Any) -> Any:
    trainer = object.__new__(kind)
    common = {
        "accelerator": _Accelerator(),
        "aux_loss_enabled": False,
        "precompute_ref_logps": True,
        "_metrics": {"train": defaultdict(list)},
        "_total_train_tokens": 0,
        "_tp_size": 1,
        "model": model,
    }
    trainer.__dict__.update(common | attributes)
    return trainer


def _sequences(totals: Tensor, lengths: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Spread summed log-probabilities over tokens, after a prompt of one token; pad on the right."""
    positions = torch.arange(int(lengths.max()) + 1)
    mask = ((positions > 0) & (positions <= lengths[:, None])).long()
    log_probs = mask[:, 1:] * (totals / lengths)[:, None]
    return log_probs, {"input_ids": torch.ones_like(mask), "attention_mask": torch.ones_like(mask), "mask": mask}


def dpo_loss(pairs: PairLogps, loss_type: str, *, beta: float, label_smoothing: float = 0.0) -> float:
    """Mean loss of TRL's DPOTrainer over the pairs."""
    from trl import DPOTrainer

    totals = torch.cat([pairs.chosen_B, pairs.rejected_B])
    log_probs, inputs = _sequences(totals, torch.cat([pairs.chosen_length_B, pairs.rejected_length_B]))
    inputs |= {
        "completion_mask": inputs.pop("mask"),
        "ref_chosen_logps": pairs.reference_chosen_B,
        "ref_rejected_logps": pairs.reference_rejected_B,
    }
    model = _Model(log_probs)
    settings = {
        "beta": beta,
        "label_smoothing": label_smoothing,
        "loss_types": [loss_type],
        "loss_weights": [1.0],
        "f_divergence_type": "reverse_kl",
        "ld_alpha": None,
        "use_weighting": False,
    }
    return _trainer(DPOTrainer, model, **settings)._compute_loss(model, inputs, False).item()


def kto_loss(
    pairs: PairLogps,
    mismatched_B: Tensor,
    reference_mismatched_B: Tensor,
    *,
    beta: float,
    weights: tuple[float, float],
) -> float:
    """Mean loss of TRL's KTOTrainer over both halves of the pairs, with given mismatched log-probabilities."""
    from trl import KTOTrainer

    totals = torch.cat([pairs.chosen_B, pairs.rejected_B])
    log_probs, inputs = _sequences(totals, torch.cat([pairs.chosen_length_B, pairs.rejected_length_B]))
    kl_log_probs, kl_inputs = _sequences(mismatched_B, torch.full(mismatched_B.shape, 3))
    inputs |= {"completion_mask": inputs.pop("mask"), "KL_completion_mask": kl_inputs.pop("mask")}
    inputs |= {f"KL_{name}": value for name, value in kl_inputs.items()}
    inputs |= {
        "label": torch.arange(len(totals)) < len(pairs.chosen_B),
        "ref_logps": torch.cat([pairs.reference_chosen_B, pairs.reference_rejected_B]),
        "ref_KL_logps": reference_mismatched_B,
    }
    model = _Model(kl_log_probs, log_probs)
    settings = {
        "beta": beta,
        "loss_type": "kto",
        "desirable_weight": weights[0],
        "undesirable_weight": weights[1],
        "calculate_KL": True,
    }
    return _trainer(KTOTrainer, model, **settings)._compute_loss(model, inputs, False).item()


def simpo_loss(pairs: PairLogps, *, beta: float, gamma: float) -> Tensor:
    """Loss per pair of TRL's CPOTrainer with SimPO's loss."""
    from trl.experimental.cpo import CPOTrainer

    trainer = _trainer(
        CPOTrainer, None, alpha=0.0, loss_type="simpo", simpo_gamma=gamma, beta=beta, label_smoothing=0.0
    )
    return trainer.cpo_loss(pairs.chosen_mean_B, pairs.rejected_mean_B)[0]


def odds_ratio_term(pairs: PairLogps, *, beta: float) -> Tensor:
    """Odds-ratio term per pair of TRL's ORPOTrainer (which computes it in single precision)."""
    from trl.experimental.orpo import ORPOTrainer

    return _trainer(ORPOTrainer, None, beta=beta).odds_ratio_loss(pairs.chosen_mean_B, pairs.rejected_mean_B)[0]


def reward_loss(chosen_B: Tensor, rejected_B: Tensor) -> float:
    """Mean loss of TRL's RewardTrainer."""
    from trl import RewardTrainer

    def model(**_inputs: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=torch.cat([chosen_B, rejected_B])[:, None])

    model.training = True  # type: ignore[attr-defined]
    trainer = _trainer(RewardTrainer, model, args=SimpleNamespace(center_rewards_coefficient=None))
    inputs = {"attention_mask": torch.ones(2 * len(chosen_B), 3)}
    return trainer.compute_loss(model, inputs).item()
