"""One way to load judgments, for scoring and for comparing: one model, judge, baseline and category at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mt.errors import DataError, describe
from mt.evaluation.alpaca_eval import Annotation, read_annotations
from mt.evaluation.arena_hard import Games, Rule, read_judgments, unread_labels
from mt.evaluation.files import read_records
from mt.verdicts import LABELS

DEFAULT_CATEGORY = "hard_prompt"
"""What arena-hard-auto v2 scores unless it is asked for another category."""

BASELINES = {
    "arena-hard-v0.1": "gpt-4-0314",
    "hard_prompt": "o3-mini-2025-01-31",
    "coding": "o3-mini-2025-01-31",
    "math": "o3-mini-2025-01-31",
    "creative_writing": "gemini-2.0-flash-001",
}
"""The baseline that the benchmark's authors use, by category."""


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """AlpacaEval's rows of one model, and what a reader of their score should know."""

    rows: list[Annotation]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class JudgedGames:
    """Arena-Hard's games of one model in one category; names that the file does not give are None."""

    games: list[Games]
    model: str | None
    judge: str | None
    baseline: str | None
    category: str | None
    rule: Rule
    notes: list[str]


def holds_games(records: Sequence[Any]) -> bool:
    """Say whether a file's rows are Arena-Hard's (games) and not AlpacaEval's."""
    first = records[0]
    return isinstance(first, Mapping) and ("games" in first or "game1" in first)


def load_pairs(path: Path, outputs: Path | None = None) -> JudgedPairs:
    """Read AlpacaEval's annotations.

    Args:
        path: Rows in the format of `annotations.json`.
        outputs: The baseline's outputs in the benchmark's order; each row's instruction is looked up in them.

    Raises:
        DataError: a row cannot be used, or rows of several models, baselines or judges are mixed.
    """
    rows = read_annotations(read_records(path), str(path))
    if outputs is not None:
        rows = _indexed(rows, path, outputs)
    notes = []
    if repeated := _repeated((row.instruction, row.index) for row in rows):
        notes.append(f"{repeated} rows repeat an instruction; each counts.")
    notes += prompt_notes(rows[0].annotator)
    return JudgedPairs(rows, notes)


def load_games(path: Path, rule: Rule | None = None, category: str | None = None) -> JudgedGames:
    """Read Arena-Hard's judgments of one category: the one asked for, the only one, or else hard_prompt.

    Without a rule the category tells it: head for one of v2, 2024 otherwise.

    Raises:
        DataError: a row cannot be used, the category is not in the file, or rows of several models, baselines or
            judges are mixed within it.
    """
    records = read_records(path)
    for position, record in enumerate(records):
        if not isinstance(record, Mapping):
            where = f"{path} row {position} (from 0)"
            raise DataError(f"{where}: a {type(record).__name__} where an object with two games belongs.")
    chosen, notes = _category(records, category, str(path))
    kept = [at for at, record in enumerate(records) if chosen is None or _category_of(record) == chosen]
    games = read_judgments([records[at] for at in kept], str(path), positions=kept)
    names = {}
    for field in ("model", "judge", "baseline"):
        found = [records[at].get(field) for at in kept]
        names[field] = next((str(name) for name in found if name is not None), None)
        if names[field] is not None and (silent := found.count(None)):
            notes.append(f"{silent} of {len(found)} rows name no {field}; they are taken for {names[field]}'s.")
    usual = BASELINES.get(chosen or "")
    if usual is not None and names["baseline"] not in (None, usual):
        notes.append(f"baseline {names['baseline']}: the benchmark's own in {chosen} is {usual}.")
    second = chosen in BASELINES and chosen != "arena-hard-v0.1"
    if rule is None:
        rule = "head" if second else "2024"
    elif rule == "2024" and second:
        notes.append(f"category {chosen} is of Arena-Hard v2, which scores by --rule head.")
    if unread := Counter(unread_labels(games, rule)):
        shown = ", ".join(f"{label!r}" for label, _ in unread.most_common(4))
        notes.append(f"{unread.total()} stored labels are none of {', '.join(LABELS)} and are dropped: {shown}.")
    if repeated := _repeated(question.question_id for question in games):
        notes.append(f"{repeated} rows repeat a question_id; each counts, as in the original.")
    notes += prompt_notes(names["judge"])
    return JudgedGames(games, names["model"], names["judge"], names["baseline"], chosen, rule, notes)


def prompt_notes(judge: str | None) -> list[str]:
    """Say where this project's own prompt or a user's was read, as the version of a judge of ours tells."""
    found = re.search(r"/(own|file)-[0-9a-f]{8}$", judge or "")
    return [f"judge {judge}: own prompt, not comparable with published numbers."] if found else []


def position_notes(rows: Sequence[Annotation], instructions: int) -> list[str]:
    """Say that the difficulty of an instruction is looked up by the row's position, as the original does."""
    if rows[0].index is not None:
        return []
    counts = f"{len(rows)} annotations for {instructions} instructions"
    belong = "all" if len(rows) == instructions else "the first ones"
    return [
        f"{counts}: difficulty is looked up by row position, so the rows must be {belong} in canonical order, which "
        "the file does not show. Add --outputs with the baseline's outputs, or a field 'index', to find them by name."
    ]


def _category_of(record: Mapping[str, Any]) -> str:
    return str(record.get("category") or "")


def _category(records: Sequence[Mapping[str, Any]], asked: str | None, source: str) -> tuple[str | None, list[str]]:
    """Return the category to score (None where the file knows none), and notes about the others."""
    counts = Counter(map(_category_of, records))
    shown = ", ".join(f"{name or '(none)'} {n}" for name, n in counts.most_common(6))
    if asked is not None:
        if asked not in counts:
            raise DataError(describe("--category", asked, f"not in {source}", allowed=shown))
        chosen = asked
    elif len(counts) == 1:
        return next(iter(counts)) or None, []
    elif DEFAULT_CATEGORY in counts:
        chosen = DEFAULT_CATEGORY
    else:
        fix = "Choose one by --category"
        raise DataError(describe(f"{source}: category", shown, "several, which are never mixed", fix=fix))
    if len(counts) == 1:
        return chosen, []
    return chosen, [f"category {chosen}: {counts[chosen]} of {len(records)} rows ({shown}). Categories are not mixed."]


def _repeated(names: Iterable[object]) -> int:
    found = list(names)
    return len(found) - len(set(found))


def _indexed(rows: Sequence[Annotation], path: Path, outputs: Path) -> list[Annotation]:
    """Give each row its instruction's position in the baseline's outputs; repeated instructions in turn."""
    positions: dict[str, list[int]] = {}
    for at, record in enumerate(read_records(outputs)):
        if not isinstance(record, Mapping) or not isinstance(record.get("instruction"), str):
            raise DataError(f"{outputs} row {at} (from 0): field 'instruction' is missing; every output needs it.")
        positions.setdefault(record["instruction"], []).append(at)
    seen: Counter[str] = Counter()
    found = []
    for at, row in enumerate(rows):
        places = positions.get(row.instruction)
        if places is None:
            raise DataError(f"{path} row {at} (from 0): its instruction is not in {outputs}.")
        found.append(replace(row, index=places[seen[row.instruction] % len(places)]))
        seen[row.instruction] += 1
    return found
