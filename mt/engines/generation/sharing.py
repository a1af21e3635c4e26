"""How a model's responses can be decoded, found out by trials on a narrow copy of it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers.cache_utils import DynamicSlidingWindowLayer

from mt.engines.generation.cache import SpareLayer, open_cache
from mt.engines.generation.decoding import DecodingBatch
from mt.engines.generation.plain import Loop, decode_plainly
from mt.engines.generation.prompts import Ready
from mt.engines.settings import DecodingConfig
from mt.engines.shrink import shrink
from mt.types import Prompt

_NEEDED = frozenset({"attention_mask", "position_ids", "past_key_values", "logits_to_keep"})
_LENGTHS = (8, 3)
_STEPS = 4
_TOLERANCE, _HALF_TOLERANCE = 1e-4, 0.05
"""Shares of the largest number; half precision rounds two ways differently."""


def shares_prompts(model: Any) -> bool:
    """Say whether `DecodingBatch` decodes a model rightly: by what its forward takes, its cache keeps, and a trial.

    The trial decodes two prompts of different lengths on a narrow copy, drops a row on the way, and compares with
    passes over each row alone. Families with other state than keys and values fail one of the three.
    """
    if not set(inspect.signature(type(model).forward).parameters) >= _NEEDED:
        return False
    try:
        layers = open_cache(model.config).layers
    except (ValueError, KeyError, TypeError, AttributeError):  # families whose cache is their own
        return False
    if not all(type(layer) in (SpareLayer, DynamicSlidingWindowLayer) for layer in layers):
        return False
    small = shrink(type(model), model.config)
    return small is not None and _decodes_rightly(small)


@torch.inference_mode()
def plain_loop(model: Any) -> Loop:
    """Return which loop draws a model's tokens from its own distribution: the cached one, unless a trial fails.

    The trial draws responses to two prompts of one length, and compares their log-probabilities with those of passes
    over each row alone. It takes the model itself: Zamba 2 and Nemotron-H bound the steps of their recurrent layers
    in a whole pass only, which shows where the weights ask for shorter steps.
    """
    length = _LENGTHS[0]
    ready = [Ready(Prompt(str(start), []), _row(model, start, length), length) for start in range(2)]
    free = DecodingConfig(samples=1, temperature=1.0, top_p=1.0, max_new_tokens=length, max_length=2 * length)
    try:
        drawn = decode_plainly(model, ready, free, seed=0, copies=1, stop=[0], pad_id=0)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return "uncached"
    tolerance = _TOLERANCE if model.dtype == torch.float32 else _HALF_TOLERANCE
    for row, response in zip(ready, drawn, strict=True):
        ids_1T = torch.tensor([row.ids + response.ids], device=model.device)
        logps_TV = model(input_ids=ids_1T, use_cache=False).logits[0, length - 1 : -1].float().log_softmax(-1)
        logps_R = logps_TV.gather(1, ids_1T[0, length:, None])
        bound = tolerance * max(1.0, float(logps_R.abs().max()))
        if response.logprob is None or not abs(response.logprob - float(logps_R.sum())) <= bound:
            return "uncached"
    return "cached"


@torch.inference_mode()
def _decodes_rightly(model: Any) -> bool:
    rows = [_row(model, start, length + _STEPS) for start, length in enumerate(_LENGTHS)]
    wanted = [model(input_ids=torch.tensor([row]), use_cache=False).logits[0].float() for row in rows]
    ready = [Ready(Prompt(str(i), []), rows[i][: _LENGTHS[i]], _STEPS) for i in range(len(rows))]
    greedy = DecodingConfig(samples=2, temperature=0.0, top_p=1.0, max_new_tokens=_STEPS, max_length=len(rows[0]))
    batch = DecodingBatch(model, ready, greedy, seed=0, copies=2)
    kept = [0, 0, 1, 1]  # which prompt each decoded row belongs to
    try:
        logits_RV = batch.read_prompts(pad_id=0)
        for step in range(_STEPS):
            for row, prompt in enumerate(kept):
                wanted_V = wanted[prompt][_LENGTHS[prompt] - 1 + step]
                if not (logits_RV[row].float() - wanted_V).abs().max() <= _TOLERANCE * wanted_V.abs().max():
                    return False
            ids_R = torch.tensor([rows[prompt][_LENGTHS[prompt] + step] for prompt in kept])
            if step == 1:
                batch.alive_R[1] = False
                ids_R, kept = batch.retire(ids_R), [0, 1, 1]
            logits_RV = batch.step(ids_R)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return False
    return True


def _row(model: Any, start: int, length: int) -> list[int]:
    vocabulary = int(model.config.get_text_config().vocab_size)
    return [1 + (7 * start + 5 * place) % (vocabulary - 1) for place in range(length)]
