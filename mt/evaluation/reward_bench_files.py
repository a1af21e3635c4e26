"""RewardBench's result files, of both generations: what the original tools write, and tables of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mt.errors import DataError, describe, nearest
from mt.evaluation.files import ROUNDING, number, rows_of_columns, within
from mt.evaluation.reward_bench import SECTIONS, ScoredPair
from mt.evaluation.reward_bench_2 import SUBSETS, TIES, RankedPrompt
from mt.runtime.text import parse_json

Unit = Literal["share", "percent"]

_SUBSET = ("subset", "subsets")
_CHOSEN, _REJECTED = ("score_chosen", "scores_chosen"), ("score_rejected", "scores_rejected")
_RESULT = "results"
_IDENTITY = ("subset", "subsets", "id", "prompt", "text", "text_chosen", "text_rejected")
# Numbers beside a file's subsets: what the originals' tables add, and subsets that no longer belong to the benchmark.
_BESIDE = {"average", "score", "accuracy", "num_prompts", "xstest", "Chat", "Chat Hard", "Reasoning"}
_BESIDE |= {"Prior Sets (0.5 weight)", "anthropic", "summarize_prompted", "pku_better", "pku_safer"}
_KNOWN = {1: [subset for subsets in SECTIONS.values() for subset in subsets], 2: list(SUBSETS)}
_COMMAND = {1: "reward_bench", 2: "reward_bench_2"}


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Accuracies in [0, 1] by subset, and the unit in which the file gives them."""

    values: dict[str, float]
    unit: Unit


def rows_of(records: Sequence[Any], source: str) -> list[dict[str, Any]]:
    """Return a file's rows as objects, a lone object of columns among them; one reward model's only.

    Raises:
        DataError: a row is no object, or rows of several models are mixed.
    """
    for position, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise DataError(f"{source} row {position} (from 0): a {type(record).__name__} where an object belongs.")
    rows = [dict(record) for record in records]
    if len(rows) == 1 and any(isinstance(rows[0].get(name), list | Mapping) for name in _SUBSET):
        rows = rows_of_columns(rows[0], source)
    models = {str(row["model"]) for row in rows if row.get("model") is not None}
    if len(models) > 1:
        shown = ", ".join(sorted(models)[:4])
        raise DataError(f"{source}: model names {len(models)} models ({shown}). One file holds one; split it.")
    return rows


def holds_scores(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether rows hold rewards or results of single prompts, and not accuracies."""
    return any(name in rows[0] for name in (*_CHOSEN, *_REJECTED, _RESULT, "scores"))


def repeated_rows(rows: Iterable[Mapping[str, Any]]) -> int:
    """Return how many rows are another row's prompt over again; rows that name no prompt are never counted."""
    named = [
        tuple(repr(row.get(name)) for name in _IDENTITY)
        for row in rows
        if any(row.get(name) is not None for name in _IDENTITY[2:])
    ]
    return len(named) - len(set(named))


def read_pairs(records: Iterable[Mapping[str, Any]], source: str) -> list[ScoredPair]:
    """Check rows of a subset with the rewards of chosen and rejected, or with a result, and return them typed.

    Raises:
        DataError: a column is missing, or a reward is not a finite number.
    """
    pairs = []
    for position, record in enumerate(records):
        where = f"{source} row {position} (from 0)"
        subset = _subset(record, where)
        chosen, rejected = _first(record, _CHOSEN), _first(record, _REJECTED)
        if chosen is None and rejected is None and record.get(_RESULT) is not None:
            pairs.append(ScoredPair(subset, math.nan, math.nan, _result(record[_RESULT], where)))
        else:
            pairs.append(ScoredPair(subset, _score(record, _CHOSEN, where), _score(record, _REJECTED, where)))
    if not pairs:
        raise DataError(f"{source}: no pairs. At least one scored pair is needed.")
    return pairs


def read_prompts(records: Iterable[Mapping[str, Any]], source: str) -> list[RankedPrompt]:
    """Check rows of RewardBench 2 (subset, id, scores, num_correct, or a result) and return them typed.

    Raises:
        DataError: a column is missing, or a score is not a finite number.
    """
    prompts = []
    for position, record in enumerate(records):
        where = f"{source} row {position} (from 0)"
        subset = _subset(record, where)
        scores, correct = _list(record.get("scores")), number(record.get("num_correct"), f"{where}: num_correct")
        if not isinstance(scores, list):
            if subset == TIES or record.get(_RESULT) is None:
                raise DataError(f"{where}: field 'scores' is missing: a list, the correct answers' scores first.")
            prompts.append(RankedPrompt(subset, str(record.get("id")), (), 1, _result(record[_RESULT], where)))
            continue
        if correct is None and subset == TIES:
            raise DataError(f"{where}: field 'num_correct' is missing: how many of the first scores are correct ones.")
        correct = 1.0 if correct is None else correct
        if correct % 1 or not 1 <= correct < len(scores):
            allowed = f"1 to {len(scores) - 1}, for {len(scores)} scores"
            raise DataError(describe(f"{where}: num_correct", correct, "not a number of answers", allowed=allowed))
        read = tuple(_finite(value, f"{where}: scores") for value in scores)
        prompts.append(RankedPrompt(subset, str(record.get("id")), read, int(correct)))
    if not prompts:
        raise DataError(f"{source}: no prompts. At least one scored prompt is needed.")
    return prompts


def read_accuracies(
    rows: Sequence[Mapping[str, Any]], source: str, *, generation: Literal[1, 2] = 1, unit: Unit | None = None
) -> Accuracies:
    """Return the accuracies of one object of subsets, of a result of the `rewardbench` command, or of a table.

    All are shares (0 to 1) or all are percent (0 to 100). Fields beside the subsets that are empty, hold a text or
    are known to be the originals' other numbers are left out.

    Args:
        rows: One object, or rows of subset and accuracy.
        source: How errors name the file.
        generation: 1 for RewardBench, 2 for RewardBench 2.
        unit: What the file gives; None tells it from all of the values together.

    Raises:
        DataError: a name is no subset of this benchmark, a value is no accuracy, or the values do not agree on a unit.
    """
    known, by_subset = _KNOWN[generation], _by_subset(rows, source)
    # A table of RewardBench may hold its sections, too, one of which is named as a subset of version 2.
    first = generation == 1 and any(name in known or name in SECTIONS for name in by_subset if name != "Safety")
    beside = _BESIDE | ({"Safety"} if first else set())
    values = {name: _accuracy(name, value, source, known, beside) for name, value in by_subset.items()}
    found = {name: value for name, value in values.items() if value is not None}
    other = _KNOWN[3 - generation]
    for name in found:
        if name not in known:
            fix = f" The other version has it: use {_COMMAND[3 - generation]}." if name in other else ""
            raise DataError(
                f"{source}: subset={name}: not one of the {len(known)} subsets.{fix or nearest(name, known)}"
            )
    if not found:
        only = " of subsets, but of sections" if any(name in SECTIONS for name in by_subset) else ""
        raise DataError(f"{source}: no accuracies{only}. Subset names with a number each are needed.")
    unit = _unit(found, source) if unit is None else unit
    return Accuracies({name: _share(name, value, unit, source) for name, value in found.items()}, unit)


def _by_subset(rows: Sequence[Mapping[str, Any]], source: str) -> dict[str, Any]:
    if "extra_results" in rows[0]:  # the result of the `rewardbench` command
        found = rows[0]["extra_results"]
        if len(rows) > 1 or not isinstance(found, Mapping):
            raise DataError(
                f"{source}: extra_results holds no accuracies by subset. Only RewardBench's own data has them."
            )
        return {str(name).strip(): value for name, value in found.items()}
    if _first(rows[0], _SUBSET) is None:
        if len(rows) > 1:
            raise DataError(f"{source}: {len(rows)} rows without a column 'subset'. Needed: subset, accuracy.")
        return {str(name).strip(): value for name, value in rows[0].items()}
    values: dict[str, Any] = {}
    for position, row in enumerate(rows):
        where = f"{source} row {position} (from 0)"
        name = str(_first(row, _SUBSET) or "").strip()
        if "accuracy" not in row or not name:
            raise DataError(f"{where}: subset and accuracy (or score_chosen and score_rejected) are needed.")
        if name in values:
            raise DataError(f"{where}: subset={name} stands there twice.")
        values[name] = row["accuracy"]
    return values


def _unit(values: Mapping[str, float], source: str) -> Unit:
    """Return the unit on which all values agree; 0 agrees with both."""
    as_percent = [name for name, value in values.items() if value > _highest(name) + ROUNDING]
    as_share = [name for name, value in values.items() if 0 < value <= _highest(name) + ROUNDING]
    if as_percent and as_share:
        one, other = as_share[0], as_percent[0]
        raise DataError(
            f"{source}: {one}={values[one]} and {other}={values[other]}: one is a share (0 to 1), the other percent. "
            "Write all in one unit, or say which it is by --unit."
        )
    return "percent" if as_percent else "share"


def _highest(name: str) -> float:
    return 1.01 if name == TIES else 1.0  # the margin's term may add a hundredth


def _share(name: str, value: float, unit: Unit, source: str) -> float:
    share = value / 100 if unit == "percent" else value
    lowest, highest = (-0.01 if name == TIES else 0.0), _highest(name)
    if not lowest <= share <= highest + ROUNDING:
        allowed = "0 to 100" if unit == "percent" else "0 to 1"
        raise DataError(describe(f"{source}: {name}", value, f"not an accuracy as a {unit}", allowed=allowed))
    return min(share, highest)


def _accuracy(name: str, value: object, source: str, known: Sequence[str], beside: set[str]) -> float | None:
    """Return a subset's value; None where it is empty, or where the field is no subset and is not meant to be."""
    if name not in known and (name in beside or not isinstance(value, int | float | str)):
        return None
    try:
        return number(value, f"{source}: {name}", "0 to 1, or 0 to 100, or empty")
    except DataError:
        if isinstance(value, str) and name not in known:
            return None
        raise


def _subset(record: Mapping[str, Any], where: str) -> str:
    subset = str(_first(record, _SUBSET) or "").strip()
    if not subset:
        raise DataError(f"{where}: field 'subset' is missing. Needed: subset, score_chosen, score_rejected.")
    return subset


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _score(record: Mapping[str, Any], names: Sequence[str], where: str) -> float:
    name = next((name for name in names if name in record), None)
    if name is None:
        raise DataError(f"{where}: field '{names[0]}' is missing. Needed: subset, score_chosen, score_rejected.")
    return _finite(record[name], f"{where}: {name}")


def _list(value: object) -> object:
    """Return the list that a cell of a CSV table holds as a text, and any other value as it is."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            return parse_json(value)
        except ValueError:
            return value
    return value


def _finite(value: object, where: str) -> float:
    """Return a finite score; custom pipelines write it as a list of one."""
    listed = _list(value)
    held = listed[0] if isinstance(listed, list) and len(listed) == 1 else value
    score = number(held, where, "a finite number")
    if score is None or math.isinf(score):
        fix = "Score the pair again, or leave its row out"
        raise DataError(describe(where, repr(value), "no score", allowed="a finite number", fix=fix))
    return score


def _result(value: object, where: str) -> float:
    written = number(value, f"{where}: results")
    result = None if written is None else within(written, 0.0, 1.0)
    if result is None:
        raise DataError(describe(f"{where}: results", repr(value), "not a result", allowed="0 (lost) to 1 (won)"))
    return result
