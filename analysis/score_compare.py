"""Two models judged on the same prompts: paired bootstrap and exact sign test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from analysis.score_output import NamedScores
from mt.errors import DataError
from mt.evaluation.arena_hard import Rule, question_rows
from mt.evaluation.files import read_records
from mt.evaluation.judgment_files import holds_games, load_games, load_pairs
from mt.evaluation.statistics import paired_difference

T = TypeVar("T")
Occurrence = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Judged:
    """One model's points (and rows) by prompt; a prompt that was not judged has None."""

    benchmark: str
    model: str
    judge: str | None
    baseline: str | None
    category: str | None
    rule: Rule | None
    notes: list[str]
    outcomes: dict[Occurrence, tuple[float, float] | None]


def compare(
    first: Path, second: Path, *, rule: Rule | None = None, category: str | None = None, rounds: int, seed: int
) -> NamedScores:
    """Compare two files of the same benchmark, category, judge and baseline on the prompts that both judged.

    Raises:
        DataError: the files differ in benchmark, category, judge or baseline, or share no judged prompt.
    """
    a, b = _load(first, rule, category), _load(second, rule, category)
    for field in ("benchmark", "category", "judge", "baseline"):
        x, y = (getattr(side, field) or "not said" for side in (a, b))
        if x != y:
            raise DataError(
                f"{field}: {x} in {first}, {y} in {second}. "
                "Only models under the same benchmark, category, judge and baseline can be compared."
            )
    shared = [key for key in a.outcomes if key in b.outcomes]
    both = [(x, y) for key in shared if (x := a.outcomes[key]) is not None and (y := b.outcomes[key]) is not None]
    if not both:
        raise DataError(f"prompts: {first} and {second} share none that both judged. The same prompts are needed.")
    points_1, rows_1 = zip(*(x for x, _ in both), strict=True)
    points_2, rows_2 = zip(*(y for _, y in both), strict=True)
    test = paired_difference(points_1, points_2, rows_1, rows_2, rounds=rounds, seed=seed)
    interval = test.interval.scaled(100)
    values: dict[str, Any] = {
        "n": test.n,
        "missing": len(shared) - len(both),
        "unmatched": len(a.outcomes) + len(b.outcomes) - 2 * len(shared),
        "a": a.model,
        "b": b.model,
        "win_rate_a": 100 * test.first,
        "win_rate_b": 100 * test.second,
        "difference": 100 * test.difference,
        "low": interval.low,
        "high": interval.high,
        "bootstrap_p_value": test.bootstrap_p_value,
        "wins": test.sign_test.wins,
        "ties": test.sign_test.ties,
        "losses": test.sign_test.losses,
        "sign_test_p_value": test.sign_test.p_value,
        "judge": a.judge,
        "baseline": a.baseline,
        "category": a.category,
        "rule": a.rule,
    }
    read = [f"{path}: {note}" for path, side in ((first, a), (second, b)) for note in side.notes]
    return NamedScores(f"{a.model} against {b.model} ({a.benchmark})", values, [*read, *_notes(values)])


def _load(path: Path, rule: Rule | None, category: str | None) -> _Judged:
    if holds_games(read_records(path)):
        return _arena_hard(path, rule, category)
    if category is not None:
        raise DataError(f"--category={category}: {path} holds no games of Arena-Hard, which alone has categories.")
    return _alpaca_eval(path)


def _alpaca_eval(path: Path) -> _Judged:
    loaded = load_pairs(path)
    outcomes = ((row.instruction, None if row.preference is None else (row.preference - 1, 1.0)) for row in loaded.rows)
    first = loaded.rows[0]
    names = (first.generator_2, first.annotator, first.generator_1)
    return _Judged("alpaca_eval", *names, None, None, loaded.notes, _by_occurrence(outcomes))


def _arena_hard(path: Path, rule: Rule | None, category: str | None) -> _Judged:
    loaded = load_games(path, rule, category)
    rows = [question_rows(games, loaded.rule) for games in loaded.games]
    outcomes = ((row.question_id, (row.points, float(row.rows)) if row.rows else None) for row in rows)
    names = (loaded.model or path.name, loaded.judge, loaded.baseline, loaded.category)
    return _Judged("arena_hard", *names, loaded.rule, loaded.notes, _by_occurrence(outcomes))


def _by_occurrence(rows: Iterable[tuple[str, T]]) -> dict[Occurrence, T]:
    """Key rows by prompt and how often it has come up before, so that a repeated prompt meets its like."""
    seen: Counter[str] = Counter()
    keyed = {}
    for prompt, outcome in rows:
        keyed[prompt, seen[prompt]] = outcome
        seen[prompt] += 1
    return keyed


def _notes(values: dict[str, Any]) -> list[str]:
    notes = []
    if values["unmatched"]:
        notes.append(f"{values['unmatched']} prompts stand in one file only and are left out.")
    if values["missing"]:
        notes.append(f"{values['missing']} prompts lack a judgment of one of the models and are left out.")
    return notes
