"""How numbers are written: shares, differences of shares, percent, plain numbers and counts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """How a number is written; recorded values are multiplied by `scale`."""

    digits: int
    scale: float = 1.0
    suffix: str = ""
    change: str = ""
    """The unit of a difference."""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """The least and the largest value that there can be, as recorded."""

    def bounded(self, value: float) -> float:
        """Return the end of an interval kept within the limits, which Student's may leave."""
        return min(max(value, self.limits[0]), self.limits[1]) if math.isfinite(value) else value

    def text(self, value: float) -> str:
        """Return a value as text, such as "68.4%" or "−0.123"."""
        return f"{self.bare(value)}{self.suffix}"

    def bare(self, value: float) -> str:
        """Return a value without its unit; what rounds to zero has no sign, and large numbers need no third digit."""
        scaled = value * self.scale
        text = f"{scaled:,.{self.digits if abs(scaled) < 10 else min(self.digits, 1)}f}"
        return text.lstrip("-") if not re.search(r"[1-9a-z]", text) else text.replace("-", "−")

    def interval(self, low: float | None, high: float | None) -> str:
        """Return an interval as text, such as "[66.8, 70.1]"; empty where there is none."""
        return "" if low is None or high is None else f"[{self.bare(low)}, {self.bare(high)}]"

    def difference(self, value: float) -> str:
        """Return a difference as text with its sign and unit, such as "+1.8 points"."""
        text = self.bare(value)
        signed = f"+{text}" if value > 0 and re.search(r"[1-9]", text) else text
        return f"{signed} {self.change}".strip()


SHARE = Format(1, 100.0, "%", "points", (0.0, 1.0))
"""A share from 0 to 1, written in percent."""
GAIN = Format(1, 100.0, " points", "points", (-1.0, 1.0))
"""A difference of two shares."""
PERCENT = Format(1, 1.0, "%", "points", (0.0, 100.0))
"""A number from 0 to 100, as the benchmarks' own tools record it."""
NUMBER, ONE_DIGIT, COUNT = Format(3), Format(1), Format(0)
