"""Which responses entered preference pairs: pairs hold texts, the browser marks them where they were sampled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from analysis.report import tables
from analysis.report.record import StageRow
from analysis.report.roles import ancestors
from analysis.report.sets import SampleSet
from analysis.report.tables import StoredTable, TableKind

Mark = tuple[int, str, str]
"""(index of the response, "chosen" or "rejected", the pair's source)."""
Marks = dict[tuple[str, str], dict[Mark, set[str]]]
"""(key of the set, prompt) → mark → the runs that use the pair."""
Positions = Mapping[str, Mapping[tuple[str, str], int]]
"""Key of the set → (prompt, text) → index of the first such response."""


def find_marks(
    stages: Mapping[str, StageRow], found: Mapping[str, StoredTable], sets: Sequence[SampleSet], chosen: set[str]
) -> Marks:
    """Return the marks of the chosen prompts."""
    marks: Marks = defaultdict(lambda: defaultdict(set))
    positions = {one.key: _positions(one, chosen) for one in sets}
    derived = {key for key, table in found.items() if table.kind is not TableKind.SAMPLES}
    for table, runs in _original_pairs(found):
        reached = ancestors(table.stage.key, stages, through=derived)
        sources = sorted((one for one in sets if one.key in reached), key=lambda one: one.policy_place)
        for pair in tables.rows(table, ["prompt_id", "chosen", "rejected", "source"], chosen):
            # In a contrast pair the newer policy's response is chosen, the older one's rejected.
            _mark(marks, positions, reversed(sources), pair, "chosen", runs)
            _mark(marks, positions, sources, pair, "rejected", runs)
    return marks


def _original_pairs(found: Mapping[str, StoredTable]) -> Iterator[tuple[StoredTable, set[str]]]:
    """Yield the tables of pairs and the runs in which their order counts.

    Unions repeat their parts and are left out; where a run orders pairs anew (by gold), the new order counts.
    """
    pairs = {key: table for key, table in found.items() if table.kind is TableKind.PAIRS}
    runs = {key: set(table.stage.runs) for key, table in pairs.items()}
    parents = {key: [one for one in table.stage.upstream if one in pairs] for key, table in pairs.items()}
    for key, above in parents.items():
        if len(above) == 1:
            runs[above[0]] = runs[above[0]] - set(pairs[key].stage.runs)
    yield from ((table, runs[key]) for key, table in pairs.items() if len(parents[key]) < 2 and runs[key])


def _positions(one: SampleSet, chosen: set[str]) -> dict[tuple[str, str], int]:
    rows = tables.rows(one.table, ["prompt_id", "responses"], chosen)
    return {
        (row["prompt_id"], answer["text"]): position
        for row in rows
        for position, answer in reversed(list(enumerate(row["responses"])))
    }


def _mark(
    marks: Marks,
    positions: Positions,
    sources: Iterable[SampleSet],
    pair: Mapping[str, Any],
    part: str,
    runs: set[str],
) -> None:
    """Mark one side of a pair in the first of the sources that holds its text."""
    for one in sources:
        position = positions[one.key].get((pair["prompt_id"], pair[part]["text"]))
        if position is not None:
            marks[one.key, pair["prompt_id"]][position, part, pair["source"]] |= runs
            return
