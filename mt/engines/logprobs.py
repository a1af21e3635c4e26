"""Log-probabilities of response tokens: the one convention that training and reference passes share.

Sequences are padded on the right and go through the backbone without an attention mask: under causal attention no
real token sees what stands to its right. The output head is applied to the positions that predict response tokens
only, in chunks, so that the full logits over the vocabulary never exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_ROWS = 1024
"""Positions whose logits over the whole vocabulary exist at the same time."""
SMALL_LOGITS = 2**25
"""Logits (128 MiB of them) that are kept for the backward pass all the same: of SmolLM2's training on a CPU, computing
them again takes 4%."""


def token_logprobs(
    hidden_RD: Tensor,
    head: Callable[[Tensor], Tensor],
    targets_R: Tensor,
    chunk_rows: int = CHUNK_ROWS,
    *,
    vocabulary: int,
) -> Tensor:
    """Return log π(target) of R positions (float32), given the hidden states that predict them.

    `head` maps hidden states to logits over the `vocabulary`. With gradients a chunk's logits are recomputed in
    the backward pass instead of being kept.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    small = len(targets_R) <= chunk_rows and len(targets_R) * vocabulary <= SMALL_LOGITS
    parts = zip(hidden_RD.split(chunk_rows), targets_R.split(chunk_rows), strict=True)
    if torch.is_grad_enabled() and not small:
        logps = [checkpoint(_chunk_logprobs, *part, head, use_reentrant=False) for part in parts]
    else:
        logps = [_chunk_logprobs(*part, head) for part in parts]
    return torch.cat(logps) if logps else hidden_RD.new_zeros(0, dtype=torch.float32)


def predicting_positions(prompt_lengths: Sequence[int], response_lengths: Sequence[int], width: int) -> Tensor:
    """Return, in a flattened batch of rows of `width` tokens, the positions that predict each response token.

    The response token at position t is predicted at t - 1; a row's prompt has at least one token.
    """
    starts = np.arange(len(prompt_lengths)) * width + np.asarray(prompt_lengths, dtype=np.int64) - 1
    return _runs(starts, response_lengths)


def row_sums(values_R: Tensor, lengths: Sequence[int]) -> Tensor:
    """Sum consecutive runs of values, one run a row (deterministic on every device)."""
    rows, width = len(lengths), max(lengths, default=0)
    slots = _runs(np.arange(rows) * width, lengths).to(values_R.device)
    return values_R.new_zeros(rows * width).scatter(0, slots, values_R).view(rows, width).sum(1)


def _runs(starts: np.ndarray, lengths: Sequence[int]) -> Tensor:
    """Return the indices start, start + 1, … of every run, one run after the other."""
    import torch

    sizes = np.asarray(lengths, dtype=np.int64)
    offsets = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
    return torch.from_numpy(np.repeat(starts, sizes) + offsets)


def _chunk_logprobs(hidden_RD: Tensor, targets_R: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    logits_RV = head(hidden_RD).float()
    return logits_RV.gather(-1, targets_R[:, None])[:, 0] - logits_RV.logsumexp(-1)
