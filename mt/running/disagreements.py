"""The pairs of responses on which the last reward model of a run without a gold judge and r_0 disagree most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt.evaluation.formats import Format
from mt.runtime.text import parse_json
from mt.stages.evaluate_without_gold import DISAGREEMENTS
from mt.workflow.position import Position

_MARGIN = Format(2)
_MODELS = {"current": "rₜ", "previous": "rₜ₋₁", "base": "r₀"}
MARGINS = "Margins are in units of each model's own spread, above 0 where it prefers the same response as rₜ."


@dataclass(frozen=True)
class ShownDisagreement:
    """Two responses to a prompt, the one that r_t prefers first, and what each model makes of them."""

    prompt: str
    preferred: str
    other: str
    margins: list[str]
    """By model, such as "r₀ −1.20"."""


def recorded_disagreements(record: Mapping[str, Any], folder: Path) -> list[ShownDisagreement]:
    """Return the pairs of the last iteration that has some; none where the artifact is gone or damaged."""
    stages = [stage for stage in record.get("stages") or [] if stage.get("stage") == "disagreements"]
    try:
        last = max(stages, key=Position.of)
        return [_shown(row) for row in parse_json((folder / last["path"] / DISAGREEMENTS).read_bytes())]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _shown(row: Mapping[str, Any]) -> ShownDisagreement:
    given = row["margins"]
    margins = [f"{name} {_MARGIN.difference(given[key])}" for key, name in _MODELS.items() if key in given]
    prompt = "\n".join(message["content"] for message in row["messages"])
    preferred, other = (row[name] if row[name].strip() else "(empty)" for name in ("preferred", "other"))
    return ShownDisagreement(prompt, preferred, other, margins)
