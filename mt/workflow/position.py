"""The position of a stage in its method, as data; its words and its slug are made from that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

BASE, EVALUATION = "base", "evaluation"
"""The steps before the first training and beside the method."""
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LETTERS = {"policy": "π", "reward": "r"}


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """A place in a method, sorted by time; iteration 0 is where it starts, and every round counts its own."""

    round: int = 1
    iteration: int = 0
    step: str = ""
    """The part of an iteration ("E-step", "M-step", "evaluation"), or what comes before the first ("base", "EFT")."""
    model: str = ""
    """The model that the stage makes: "policy" (π), "reward" (r), or nothing."""
    rounds: int = 1
    """Rounds that the method has; a single round is not named."""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Position:
        """Return the position of a record's stage; a record without positions gives its label as the step."""
        known = entry.get("position")
        return cls(**known) if known else cls(step=str(entry.get("label") or ""))

    @property
    def model_name(self) -> str:
        """The paper's name of the model that is made here, such as "π₂" or "r₁ (round 2)"; empty where none is."""
        if not self.model:
            return ""
        name = f"{_LETTERS[self.model]}{self.iteration}".translate(_SUBSCRIPTS)
        return f"{name} (round {self.round})" if self.round > 1 else name

    @property
    def slug(self) -> str:
        """The place as a name that sorts as it happens: "round-01-iteration-02-e-step"."""
        words = re.findall(r"[a-z0-9]+", str(self).lower())
        return "-".join(word.zfill(2) if word.isdigit() else word for word in words)

    def data(self) -> dict[str, Any]:
        """Return the position as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the place in words: "round 1 · iteration 2 · E-step"."""
        if not self.iteration:
            return f"{BASE} · {EVALUATION}" if self.step == EVALUATION else self.step
        round_ = f"round {self.round}" if self.rounds > 1 else ""
        return " · ".join(filter(None, (round_, f"iteration {self.iteration}", self.step)))
