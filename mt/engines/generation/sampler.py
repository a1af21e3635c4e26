"""Random draws that depend on what is drawn, never on the batch it is drawn in.

A token is drawn by the Gumbel-max rule: argmax of logit / temperature + noise, over the nucleus. The noise is a
hash of (seed, prompt, sample, step, token), so that neither batch size nor order nor the company of other prompts
changes a draw. Rounding still differs between batch shapes: in float32 that moves about one token in a million.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from mt.errors import EngineError, describe

if TYPE_CHECKING:
    from torch import Tensor

_FIRST_CANDIDATES, _WIDEN = 64, 16
"""Most likely tokens looked at first, and how many times more where they hold less than the nucleus."""
_BLOCK = 64
"""Neighbouring tokens that are looked at together."""


def stream_key(seed: int, prompt_id: str, sample: int) -> int:
    """Return the 64-bit key of one response's random stream."""
    digest = hashlib.blake2b(f"{seed}\x1f{sample}\x1f{prompt_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def prompt_seed(seed: int, prompt_id: str, samples: int) -> int:
    """Return a seed for engines that draw sample k from seed + k, spaced so that no two prompts overlap."""
    digest = hashlib.blake2b(f"{seed}\x1f{prompt_id}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "little") * samples


def draw(logits_RV: Tensor, keys_R: Tensor, step: int, temperature: float, top_p: float) -> Tensor:
    """Return one token id a row, drawn at `temperature` from the nucleus `top_p`; greedy at temperature 0."""
    logits_RV = logits_RV.float()
    if temperature == 0:
        top_R, ids_R = logits_RV.max(-1)
        _check_finite(top_R)
        return ids_R
    values_RM, ids_RM = nucleus(logits_RV / temperature, top_p)
    choice_R = (values_RM + gumbel(keys_R, step, ids_RM)).argmax(-1, keepdim=True)
    return ids_RM.gather(-1, choice_R)[:, 0]


def raw_logprobs(logits_RV: Tensor, ids_R: Tensor) -> Tensor:
    """Return log π(token) of one token a row (float64) from raw logits: temperature 1 and no nucleus."""
    logits_RV = logits_RV.float()
    return (logits_RV.gather(-1, ids_R[:, None])[:, 0] - logits_RV.logsumexp(-1)).double()


def nucleus(logits_RV: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Return (logits, token ids) of each row's nucleus, most likely first; shorter rows are filled with -inf.

    The nucleus is the smallest set of most likely tokens whose probabilities sum to `top_p` or more. Raises
    `EngineError` where a row's logits are not finite numbers.
    """
    logz_R1 = logits_RV.logsumexp(-1, keepdim=True)
    _check_finite(logz_R1)
    return _nucleus(logits_RV, logz_R1, top_p, _FIRST_CANDIDATES if top_p < 1 else logits_RV.shape[-1])


def _nucleus(logits_RV: Tensor, logz_R1: Tensor, top_p: float, candidates: int) -> tuple[Tensor, Tensor]:
    """Look for each row's nucleus among its most likely tokens, and among more of them where it is larger."""
    candidates = min(candidates, logits_RV.shape[-1])
    values_RC, ids_RC = largest(logits_RV, candidates)
    mass_RC = (values_RC - logz_R1).exp()
    before_RC = mass_RC.cumsum(-1) - mass_RC
    inside_RC = (before_RC < top_p) | (top_p >= 1)
    wider_R = inside_RC[:, -1] & (candidates < logits_RV.shape[-1])
    values_RC = values_RC.masked_fill(~inside_RC, -torch.inf)
    if not bool(wider_R.any()):
        width = int(inside_RC.sum(-1).max())
        return values_RC[:, :width], ids_RC[:, :width]
    rest = logits_RV[wider_R], logz_R1[wider_R]
    wide_RM, wide_ids_RM = _nucleus(*rest, top_p, candidates * _WIDEN)
    values_RM = wide_RM.new_full((len(logits_RV), wide_RM.shape[1]), -torch.inf)
    ids_RM = wide_ids_RM.new_zeros(values_RM.shape)
    values_RM[:, :candidates], ids_RM[:, :candidates] = values_RC, ids_RC
    values_RM[wider_R], ids_RM[wider_R] = wide_RM, wide_ids_RM
    return values_RM, ids_RM


def largest(values_RV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest values of each row and their places, in falling order.

    The largest of a long row lie in the blocks with the largest maxima, of which there are as few: one pass for the
    maxima, and a short sort. Among equal values at the edge it may choose others than `topk` of the whole row.
    """
    rows, length = values_RV.shape
    blocks = length // _BLOCK
    if count >= blocks or blocks * _BLOCK < length:
        return values_RV.topk(count)
    values_RBW = values_RV.view(rows, blocks, _BLOCK)
    block_RC = values_RBW.amax(-1).topk(count, sorted=False).indices
    near_RCW = values_RBW.gather(1, block_RC[:, :, None].expand(-1, -1, _BLOCK))
    found_RC, place_RC = near_RCW.flatten(1).topk(count)
    return found_RC, block_RC.gather(1, place_RC // _BLOCK) * _BLOCK + place_RC % _BLOCK


def gumbel(keys_R: Tensor, step: int, ids_RM: Tensor) -> Tensor:
    """Return standard Gumbel noise (float64) for the given tokens, a pure function of (key, step, token)."""
    states_R1 = _mix(keys_R + _signed(_GOLDEN * (step + 1)))[:, None]
    bits_RM = _shift_right(_mix(states_R1 + (ids_RM + 1) * _signed(_GOLDEN)), 11)
    uniform_RM = (bits_RM.double() + 0.5) * 2.0**-53
    return -(-uniform_RM.log()).log()


_GOLDEN = 0x9E3779B97F4A7C15  # the increments and multipliers of the SplitMix64 generator (Steele et al. 2014)
_MULTIPLIERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def _mix(x: Tensor) -> Tensor:
    for shift, multiplier in _MULTIPLIERS:
        x = (x ^ _shift_right(x, shift)) * _signed(multiplier)
    return x ^ _shift_right(x, 31)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Shift as if unsigned: torch's int64 shift drags the sign along."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _check_finite(values: Tensor) -> None:
    if not bool(torch.isfinite(values).all()):
        fix = "Train with a lower learning rate, or generate with dtype=float32"
        raise EngineError(describe("logits", "nan or inf", "the policy gives no probabilities", fix=fix))
