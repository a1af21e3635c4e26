"""The decoding loop: prompts read once and shared by their K responses, finished responses retired early.

Against `generate(num_return_sequences=K)` of transformers this saves K - 1 of K prompt passes and the steps that
finished rows would wait for the longest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mt.engines.generation.cache import joined, open_cache
from mt.engines.generation.prompts import Ready
from mt.engines.generation.sampler import draw, raw_logprobs, stream_key
from mt.engines.settings import DecodingConfig

if TYPE_CHECKING:
    from torch import Tensor

_RETIRE_SHARE = 1 / 8
"""Share of finished rows at which a batch is made smaller: each time costs one copy of the key-value cache."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn of one response: token ids up to and including the end token, and their log-probability.

    `logprob` is None for greedy responses: their draw needs no sum over the vocabulary.
    """

    ids: list[int]
    finished: bool
    logprob: float | None


class DecodingBatch:
    """R = N·K responses that are decoded together; a row leaves when it is finished."""

    def __init__(
        self,
        model: Any,
        ready: Sequence[Ready],
        decoding: DecodingConfig,
        seed: int,
        copies: int,
        prompt_tokens: int | None = None,
    ):
        """Lay out `copies` rows a prompt, next to each other; one pass reads `prompt_tokens` of prompts, or all."""
        self.model, self.ready, self.decoding, self.copies = model, ready, decoding, copies
        self.prompt_tokens = prompt_tokens
        keys = [stream_key(seed, row.prompt.prompt_id, sample) for row in ready for sample in range(copies)]
        device = model.device
        self.keys_R = torch.tensor(keys, device=device)
        self.room_R = torch.tensor([row.room for row in ready], device=device).repeat_interleave(copies)
        self.rows_R = torch.arange(len(keys), device=device)
        longest = max(row.room for row in ready)
        self.logprob_R = torch.zeros(len(keys), dtype=torch.float64, device=device)
        self.tokens_RS = torch.full((len(keys), longest), -1, dtype=torch.long, device=device)

    @torch.inference_mode()
    def decode(self, stop: Sequence[int], pad_id: int) -> list[Drawn]:
        """Return what was drawn for each row, in order."""
        logits_RV = self.read_prompts(pad_id)
        stop_E = torch.tensor(list(stop), device=self.model.device)
        for step in range(self.tokens_RS.shape[1]):
            ids_R = draw(logits_RV, self.keys_R, step, self.decoding.temperature, self.decoding.top_p)
            self.tokens_RS[self.rows_R, step] = ids_R
            if self.decoding.temperature > 0:  # finished rows draw on until they are retired
                self.logprob_R[self.rows_R] += raw_logprobs(logits_RV, ids_R).where(self.alive_R, 0.0)
            self.alive_R &= ~torch.isin(ids_R, stop_E) & (self.room_R > step + 1)
            alive = int(self.alive_R.sum())
            if not alive:
                break
            if len(ids_R) - alive >= _RETIRE_SHARE * len(ids_R):
                ids_R = self.retire(ids_R)
            logits_RV = self.step(ids_R)
        rooms = [row.room for row in self.ready for _ in range(self.copies)]
        sums = self.logprob_R.tolist() if self.decoding.temperature > 0 else [None] * len(rooms)
        drawn = zip(self.tokens_RS.tolist(), rooms, sums, strict=True)
        return [Drawn(*cut(ids[:room], stop), logprob) for ids, room, logprob in drawn]

    def read_prompts(self, pad_id: int) -> Tensor:
        """Pass the prompts (N rows, padded on the left), some at a time, and repeat what is kept of them K times."""
        device, width = self.model.device, max(len(row.ids) for row in self.ready)
        padded = [[pad_id] * (width - len(row.ids)) + row.ids for row in self.ready]
        lengths_N = torch.tensor([len(row.ids) for row in self.ready], device=device)
        mask_NP = (torch.arange(width, device=device) >= width - lengths_N[:, None]).long()
        rows = torch.tensor(padded, device=device), mask_NP, (mask_NP.cumsum(-1) - 1).clamp(min=0)
        at_once = len(padded) if self.prompt_tokens is None else max(1, self.prompt_tokens // width)
        logits, caches = [], []
        for part in zip(*(values_NP.split(at_once) for values_NP in rows), strict=True):
            self.cache = open_cache(self.model.config)
            logits.append(self._forward(*part))
            caches.append(self.cache)
        self.cache = joined(caches)
        self.cache.batch_repeat_interleave(self.copies)
        self.mask_RP = mask_NP.repeat_interleave(self.copies, 0)
        self.next_R = lengths_N.repeat_interleave(self.copies)
        self.alive_R = torch.ones_like(self.next_R, dtype=torch.bool)
        return torch.cat(logits).repeat_interleave(self.copies, 0)

    def step(self, ids_R: Tensor) -> Tensor:
        """Read one token of each row and return the logits of the next one."""
        self.mask_RP = torch.cat([self.mask_RP, self.mask_RP.new_ones(len(ids_R), 1)], dim=1)
        logits_RV = self._forward(ids_R[:, None], self.mask_RP, self.next_R[:, None])
        self.next_R = self.next_R + 1
        return logits_RV

    def retire(self, ids_R: Tensor) -> Tensor:
        """Keep the rows that are not finished; what a finished row drew after its end is cut off later."""
        kept = self.alive_R.nonzero()[:, 0]
        self.cache.batch_select_indices(kept)
        for name in ("keys_R", "room_R", "rows_R", "mask_RP", "next_R", "alive_R"):
            setattr(self, name, getattr(self, name)[kept])
        return ids_R[kept]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits_RV: Tensor = out.logits[:, -1]
        return logits_RV


def cut(ids: list[int], stop: Sequence[int]) -> tuple[list[int], bool]:
    """Return the ids up to and including the first end token, and whether there is one."""
    end = next((index for index, token in enumerate(ids) if token in stop or token < 0), len(ids))
    finished = end < len(ids) and ids[end] >= 0
    return ids[: end + 1] if finished else ids[:end], finished
