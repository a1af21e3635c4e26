"""A folder's generation settings, made such that transformers saves them: it loads what it refuses to write."""

from __future__ import annotations

import re
from typing import Any


def normalise_generation(model: Any) -> None:
    """Make a loaded model's generation settings valid, in place; values that mean something are kept.

    Llama 2's chat models and Vicuna give temperature and top_p without do_sample, old folders give them in
    config.json: both can be loaded, and neither can be saved.
    """
    misplaced = model.config._get_generation_parameters()
    for name in misplaced:
        delattr(model.config, name)
    generation = getattr(model, "generation_config", None)
    if generation is None:  # a reward model generates nothing
        return
    for name, value in misplaced.items():
        if getattr(generation, name, None) is None:
            setattr(generation, name, value)
    complaints, mode = _complaints(generation), generation.do_sample
    if complaints and generation.temperature != 0:  # 0 is other libraries' word for greedy decoding
        generation.do_sample = True
        if _complaints(generation) == complaints:  # they are not about sampling
            generation.do_sample = mode
    for name in _complaints(generation):  # values without effect in that mode
        setattr(generation, name, None)


def _complaints(generation: Any) -> list[str]:
    """Return the settings for which transformers refuses to save, as its message names them."""
    try:
        generation.validate(strict=True)
    except ValueError as error:
        return re.findall(r"^- `(\w+)`:", str(error), re.MULTILINE)
    return []
