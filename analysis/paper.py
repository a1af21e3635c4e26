"""The numbers that the paper reports, as facts: one value per table, row and metric, each with its source.

Win rates and accuracies in percent; AlpacaEval lengths in characters, Arena-Hard lengths in tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PaperColumn = tuple[str, str]
"""(benchmark, metric), or for a figure's arms (column, metric)."""
PaperValues = Mapping[str, Mapping[PaperColumn, float]]
"""Numbers by row and metric."""


@dataclass(frozen=True)
class PaperVersion:
    """One version of the paper; numbers of two versions are never mixed."""

    name: str
    cite: str
    tables: Mapping[str, PaperValues] = field(repr=False)

    def value(self, table: str, row: str, key: PaperColumn) -> float | None:
        """Return a reported number, or None."""
        return self.tables.get(table, {}).get(row, {}).get(key)


LC, WR, LENGTH = ("alpaca_eval", "lc_win_rate"), ("alpaca_eval", "win_rate"), ("alpaca_eval", "avg_length")
ARENA, ARENA_LENGTH = ("arena_hard", "score"), ("arena_hard", "avg_length")
SECTIONS = tuple(("reward_bench", name) for name in ("chat", "chat_hard", "safety", "reasoning", "average"))
REWARD = SECTIONS[-1]


def _rows(keys: Sequence[PaperColumn], rows: Mapping[str, Sequence[float]]) -> PaperValues:
    return {row: dict(zip(keys, values, strict=True)) for row, values in rows.items()}


_TABLE1 = _rows(
    (LC, WR, LENGTH, ARENA, ARENA_LENGTH),
    {
        "π_0": (23.1, 23.1, 1899, 20.6, 585),
        "SimPO": (47.9, 46.3, 1934, 32.5, 552),
        "IPO": (43.7, 42.1, 1899, 34.5, 569),
        "DPO": (44.7, 42.7, 1945, 33.1, 557),
        "Meta-rewarding 1": (34.2, 32.6, 1893, 27.7, 531),
        "Meta-rewarding 2": (36.4, 34.5, 1876, 27.0, 530),
        "Meta-rewarding 3": (37.5, 35.2, 1868, 27.9, 530),
        "SPPO 1": (39.4, 39.5, 2021, 30.6, 570),
        "SPPO 2": (41.0, 44.4, 2396, 34.4, 653),
        "SPPO 3": (46.4, 48.5, 2128, 33.6, 542),
        "DPO 1": (33.6, 33.8, 1989, 30.3, 559),
        "DPO 2": (43.4, 42.3, 1961, 33.3, 587),
        "DPO 3": (47.2, 48.7, 1930, 34.7, 571),
        "Mutual-Taught 1": (37.1, 36.5, 1957, 33.5, 553),
        "Mutual-Taught 2": (52.0, 56.0, 2214, 37.5, 692),
    },
)
_TABLE2 = _rows(
    SECTIONS,
    {
        "GPT-4o-2024-08-06": (96.10, 76.10, 88.10, 86.60, 86.70),
        "r_0": (99.40, 65.10, 87.80, 86.40, 84.70),
        "Mutual-Taught 1": (98.32, 62.61, 84.86, 96.60, 85.60),
        "Mutual-Taught 2": (98.32, 65.90, 87.26, 95.69, 86.80),
    },
)
_TABLE3 = _rows(
    (LC, WR),
    {
        "π_0": (19.39, 15.75),
        "with r_0": (41.96, 42.77),
        "with r_1": (44.81, 43.29),
        "with r_2": (45.73, 50.02),
    },
)
_TABLE4 = _rows(
    (LC, WR, LENGTH),
    {
        "SimPO": (47.94, 46.25, 1934),
        "IPO": (43.72, 42.11, 1899),
        "SimPO-MT": (49.78, 49.61, 2147),
        "IPO-MT": (50.73, 50.29, 2029),
    },
)
_TABLE5 = _rows(
    (LC, ARENA, REWARD),
    {
        "Round 1, iteration 1": (37.1, 33.5, 85.6),
        "Round 1, iteration 2": (52.0, 37.5, 86.8),
        "Round 2, iteration 1": (39.5, 34.8, 86.0),
        "Round 2, iteration 2": (53.1, 39.0, 88.0),
    },
)
# Of the figures only what the text states in numbers: Table 1 and 2 for `both`, and a drop of 5.32 for `pm` (§5.3).
_FIGURE4: PaperValues = {"both": {LC: 52.0, REWARD: 86.8}, "pm": {LC: 52.0 - 5.32}}

PREPRINT = PaperVersion(
    "preprint",
    "Mutual-Taught for Boosting Policy and Reward Models, before publication; LLaMA-3-8B, judged by GPT-4",
    {
        "table1": _TABLE1, "table2": _TABLE2, "table3": _TABLE3, "table4": _TABLE4, "table5": _TABLE5,
        "figure4": _FIGURE4,
    },
)  # fmt: skip
PUBLISHED = PaperVersion(
    "published",
    "arXiv 2506.06292; LLaMA-3-8B, judged by GPT-4",
    {
        "table1": {"Mutual-Taught 2": {LC: 54.1, ARENA: 38.4}},
        "published": {"Mutual-Taught": {LC: 54.1, ARENA: 38.4}},
    },
)
SOURCES = (PREPRINT, PUBLISHED)
