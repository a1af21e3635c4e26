"""Whether a model's prompts can be read once for all of their responses, left-padded and in one batch."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicSlidingWindowLayer

from mt.config.engines import DecodingConfig
from mt.engines.generation.cache import SpareLayer, open_cache
from mt.engines.generation.decoding import Batch
from mt.engines.generation.prompts import Ready
from mt.engines.shrink import shrink
from mt.types import Prompt

_NEEDED = frozenset({"attention_mask", "position_ids", "past_key_values", "logits_to_keep"})
_LENGTHS = (8, 3)
_STEPS = 4
_TOLERANCE = 1e-4


def shares_prompts(model: Any) -> bool:
    """Say whether `Batch` decodes a model rightly: by what its forward takes, what its cache keeps, and a trial.

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
def _decodes_rightly(model: Any) -> bool:
    rows = [_row(model, start, length + _STEPS) for start, length in enumerate(_LENGTHS)]
    wanted = [model(input_ids=torch.tensor([row]), use_cache=False).logits[0].float() for row in rows]
    ready = [Ready(Prompt(str(i), []), rows[i][: _LENGTHS[i]], _STEPS) for i in range(len(rows))]
    greedy = DecodingConfig(samples=2, temperature=0.0, top_p=1.0, max_new_tokens=_STEPS, max_length=len(rows[0]))
    batch = Batch(model, ready, greedy, seed=0, copies=2)
    kept = torch.tensor([0, 0, 1, 1])  # which prompt each decoded row belongs to
    try:
        logits_RV = batch._read_prompts(pad_id=0)
        for step in range(_STEPS):
            for row, prompt in enumerate(kept.tolist()):
                if not _close(logits_RV[row].float(), wanted[prompt][_LENGTHS[prompt] - 1 + step]):
                    return False
            ids_R = torch.tensor([rows[prompt][_LENGTHS[prompt] + step] for prompt in kept.tolist()])
            if step == 1:
                batch.alive_R[1] = False
                ids_R, kept = batch._retire(ids_R), kept[batch.alive_R.new_tensor([True, False, True, True])]
            logits_RV = batch._step(ids_R)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return False
    return True


def _row(model: Any, start: int, length: int) -> list[int]:
    vocabulary = int(model.config.get_text_config().vocab_size)
    return [1 + (7 * start + 5 * place) % (vocabulary - 1) for place in range(length)]


def _close(found_V: Tensor, wanted_V: Tensor) -> bool:
    return bool((found_V - wanted_V).abs().max() <= _TOLERANCE * wanted_V.abs().max())
