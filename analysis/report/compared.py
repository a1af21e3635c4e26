"""The variants of a sweep against its reference, as python -m mt.compare prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.report.metrics import verdict
from analysis.report.record import Run
from mt.errors import DataError
from mt.evaluation.catalogue import MODELS, Direction, quantity
from mt.evaluation.pairing import Difference
from mt.running.comparison import VariantComparison, compare
from mt.running.results import MetricKey
from mt.types import Metric

ComparedCell = tuple[str, str, str]
"""(number, interval, "better", "worse" or "")."""


@dataclass(frozen=True)
class ComparisonTable:
    """What one model measured: the reference's values, then the differences of the other variants to them."""

    model: str
    columns: Sequence[tuple[str, Direction]]
    rows: Sequence[tuple[str, int, Sequence[ComparedCell | None]]]
    """(variant, iteration, cells)."""


def tables(runs: Sequence[Run]) -> tuple[list[ComparisonTable], list[str], str]:
    """Return a table for each model, what was left out, and the finding; no table where no run is finished."""
    try:
        found = compare([run.folder for run in runs], named=False)
    except DataError:
        return [], [], ""
    made = []
    for model, heading in MODELS.items():
        if keys := [key for key in found.keys if key[0] == model]:
            columns = [(known.title, known.better) for known in (quantity(*key[1:]) for key in keys)]
            rows = [
                (name, t, [_cell(one, key) for one, key in zip(cells, keys, strict=True)])
                for name, t, cells in found.rows(keys)
            ]
            made.append(ComparisonTable(heading, columns, rows))
    return made, list(found.notes), _finding(found)


def _finding(found: VariantComparison) -> str:
    """Say in a sentence which variants differ from the reference in the first metric that has a better direction."""
    key = next((key for key in found.keys if quantity(*key[1:]).better), None)
    t = max(found.iterations, default=0)
    if key is None or len(found.variants) < 2:
        return f"The runs are repetitions of one variant: {found.reference.name}." if key else "Nothing is compared."
    signs: dict[str, list[str]] = {"better": [], "worse": [], "": []}
    for one in found.variants[1:]:
        change = one.minus(found.reference, t, key)
        signs[verdict(change, quantity(*key[1:]).better) if change else ""].append(one.name)
    words = {"better": "better", "worse": "worse", "": "not distinguishable"}
    said = "; ".join(f"{words[sign]}: {', '.join(names)}" for sign, names in signs.items() if names)
    return f"{quantity(*key[1:]).title} in iteration {t}, compared with {found.reference.name}: {said}."


def _cell(found: Metric | Difference | None, key: MetricKey) -> ComparedCell | None:
    if found is None:
        return None
    known = quantity(*key[1:])
    interval = known.format.interval(found.low, found.high)
    if isinstance(found, Metric):
        return known.format.text(found.value), interval, ""
    return known.format.difference(found.value), interval, verdict(found, known.better)
