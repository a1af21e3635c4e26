"""Decoding for every other family: the model's own cache and its own loop, one prompt pass for each response.

Recurrent states and convolutions (Mamba, linear attention) read padding like any token, and cannot be repeated or
thinned out as keys and values can. So rows of one batch have prompts of one length, without padding, and stay to
the end. Draws are those of the other loop: a row's response depends on no other row.

Where the model's own loop fails or draws from other numbers than one pass gives (hybrids without an attention
layer, RWKV, some state-space models), nothing is cached: every token takes a pass over all tokens before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from mt.engines.generation.decoding import Drawn, cut
from mt.engines.generation.prompts import Ready
from mt.engines.generation.sampler import draw, raw_logprobs, stream_key
from mt.engines.heads import OutputHead
from mt.engines.rotary import batch_regime
from mt.engines.settings import DecodingConfig

Loop = Literal["cached", "uncached"]


@torch.inference_mode()
def decode_plainly(
    model: Any,
    ready: Sequence[Ready],
    decoding: DecodingConfig,
    seed: int,
    copies: int,
    stop: Sequence[int],
    pad_id: int,
    loop: Loop = "cached",
) -> list[Drawn]:
    """Return what was drawn for `copies` responses of each prompt, in order; all prompts have one length."""
    room = max(row.room for row in ready)
    keys = [stream_key(seed, row.prompt.prompt_id, sample) for row in ready for sample in range(copies)]
    rows = [row.ids for row in ready for _ in range(copies)]
    ids_RT = torch.tensor(rows, device=model.device)
    prompt_length = ids_RT.shape[1]
    drawing = _Drawing(torch.tensor(keys, device=model.device), prompt_length, decoding, stop)
    read = _generate if loop == "cached" else _read_everything_anew
    ids_RT = read(model, ids_RT, room, drawing, pad_id)
    rooms = [row.room for row in ready for _ in range(copies)]
    sums = drawing.logprob_R.tolist() if decoding.temperature > 0 else [None] * len(rooms)
    drawn = zip(ids_RT[:, prompt_length:].tolist(), rooms, sums, strict=True)
    return [Drawn(*cut(ids[:length], stop), logprob) for ids, length, logprob in drawn]


def _generate(model: Any, ids_RT: Tensor, room: int, drawing: _Drawing, pad_id: int) -> Tensor:
    """Return the rows with what was drawn for them, by the model's own loop and cache."""
    before, model.generation_config = model.generation_config, GenerationConfig()  # nothing of the folder's settings
    places = range(ids_RT.shape[1], ids_RT.shape[1] + room)
    try:
        for _, lengths in groupby(places, partial(batch_regime, model.config)):
            # What was cached under other rotary factors is read anew under the present ones.
            settings = GenerationConfig(
                do_sample=False,
                max_new_tokens=len(list(lengths)),
                eos_token_id=drawing.stop_E.tolist(),
                pad_token_id=pad_id,
                use_cache=True,
            )
            ids_RT = model.generate(
                input_ids=ids_RT,
                attention_mask=torch.ones_like(ids_RT),
                generation_config=settings,
                logits_processor=LogitsProcessorList([drawing]),
            )
            if bool(drawing.ended(ids_RT).all()):
                break
    finally:
        model.generation_config = before
    return ids_RT


def _read_everything_anew(model: Any, ids_RT: Tensor, room: int, drawing: _Drawing, pad_id: int) -> Tensor:
    """Return the rows with what was drawn for them, by one pass over the whole rows for each token."""
    head = OutputHead(model)
    for _ in range(room):
        hidden_RTD = model.base_model(input_ids=ids_RT, use_cache=False).last_hidden_state
        drawn_RV = drawing(ids_RT, head.logits(hidden_RTD[:, -1]))
        ids_RT = torch.cat([ids_RT, drawn_RV.argmax(-1, keepdim=True)], dim=1)
        if bool(drawing.ended(ids_RT).all()):
            break
    return ids_RT


class _Drawing(LogitsProcessor):
    """Draws each row's token, and leaves the loop no other."""

    def __init__(self, keys_R: Tensor, prompt_length: int, decoding: DecodingConfig, stop: Sequence[int]):
        self.keys_R, self.prompt_length, self.decoding = keys_R, prompt_length, decoding
        self.stop_E = torch.tensor(list(stop), device=keys_R.device)
        self.logprob_R = torch.zeros(len(keys_R), dtype=torch.float64, device=keys_R.device)

    def __call__(self, ids_RT: Tensor, logits_RV: Tensor) -> Tensor:
        step = ids_RT.shape[1] - self.prompt_length
        ids_R = draw(logits_RV, self.keys_R, step, self.decoding.temperature, self.decoding.top_p)
        if self.decoding.temperature > 0:
            self.logprob_R += raw_logprobs(logits_RV, ids_R).where(~self.ended(ids_RT), 0.0)
        return torch.full_like(logits_RV, -torch.inf).scatter(1, ids_R[:, None], 0.0)

    def ended(self, ids_RT: Tensor) -> Tensor:
        """Say which rows hold an end token after their prompt."""
        return torch.isin(ids_RT[:, self.prompt_length :], self.stop_E).any(1)
