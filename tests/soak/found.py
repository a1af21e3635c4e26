"""What a part of the soak found: numbers by name, and a line for each fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Found:
    """Numbers that add up over the steps of a part, and its faults in words."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Found:
        """Return what was written as JSON."""
        return cls(Counter(values["counts"]), values["faults"])

    def add(self, other: Found) -> None:
        """Take in what another step found."""
        self.counts.update(other.counts)
        self.faults += other.faults
