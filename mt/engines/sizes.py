"""How large a model is, read from the headers of its weights: no model library is needed."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

from mt.engines.models import weight_shapes
from mt.errors import ModelError

FAMILIES = {20_000_000: "world", 700_000_000: "smollm2", 3_000_000_000: "small_gpu"}
"""Weights that a model of each family has fewer of; what is larger is the paper's (our choice)."""


def count_weights(path: str | None) -> int | None:
    """Return how many weights the local model folder at `path` has, or None where that cannot be known here.

    A hub name's are not known: what a run is must not depend on what a cache holds. Nor are those of a folder that
    cannot be read: what is wrong with it is reported where models are checked.
    """
    folder = Path(path).expanduser() if path else None
    with contextlib.suppress(ModelError, OSError):
        if folder is not None and folder.is_dir():
            return sum(math.prod(shape) for shape in weight_shapes(folder, "policy.path").values())
    return None


def family_of(weights: int | None, otherwise: str) -> str:
    """Return which hyper-parameters suit a model of this size; `otherwise` where it is not known."""
    if weights is None:
        return otherwise
    return next((family for most, family in FAMILIES.items() if weights < most), "paper")
