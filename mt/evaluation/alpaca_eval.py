"""AlpacaEval 2: win rate, its standard error and the discrete win rate of judged pairs (Li et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mt.errors import DataError, describe
from mt.evaluation.files import number, within
from mt.evaluation.statistics import ROUNDS, Array, Interval, bootstrap_interval, standard_error

DRAW = 1.5
_ALLOWED = "0, 1, 1.5, 2, a weighted preference in [1, 2], or null where the judgment is missing"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One judged pair: output 1 is the baseline's, output 2 the model's.

    `preference` lies in [1, 2] (2: the model is better), None where the judgment is missing. `index` is the
    instruction's position in the benchmark, None where the row's own position says it.
    """

    instruction: str
    output_1: str
    output_2: str
    generator_1: str
    generator_2: str
    preference: float | None
    annotator: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class WinRate:
    """Win rates in percent of n judged pairs; `average_length` is the model's, in characters, truncated."""

    n: int
    missing: int
    win_rate: float
    standard_error: float | None
    win_rate_interval: Interval
    discrete_win_rate: float
    discrete_win_rate_interval: Interval
    average_length: int


def win_rate(annotations: Sequence[Annotation], *, rounds: int = ROUNDS, seed: int = 0) -> WinRate:
    """Return the win rate 100·mean(preference − 1), missing judgments left out and counted.

    Raises:
        DataError: not one pair has a preference.
    """
    judged = np.array([row.preference for row in annotations if row.preference is not None])
    if not len(judged):
        raise DataError(f"preference=null in all of {len(annotations)} rows: nothing was judged.")
    wins, discrete = judged - 1, discrete_outcomes(judged)
    error = standard_error(wins)
    return WinRate(
        n=len(judged),
        missing=len(annotations) - len(judged),
        win_rate=100 * float(wins.mean()),
        standard_error=None if error is None else 100 * error,
        win_rate_interval=bootstrap_interval(wins, rounds=rounds, seed=seed).scaled(100),
        discrete_win_rate=100 * float(discrete.mean()),
        discrete_win_rate_interval=bootstrap_interval(discrete, rounds=rounds, seed=seed).scaled(100),
        average_length=average_length([row.output_2 for row in annotations]),
    )


def discrete_outcomes(preferences_N: Sequence[float] | Array) -> Array:
    """Return 1 where the model is preferred, ½ for a draw, 0 otherwise."""
    preferences = np.asarray(preferences_N, dtype=float)
    return np.asarray((np.sign(preferences - DRAW) + 1) / 2)


def average_length(texts: Sequence[str]) -> int:
    """Return the mean length in Unicode characters, truncated."""
    return sum(map(len, texts)) // len(texts)


def length_differences(annotations: Sequence[Annotation]) -> Array:
    """Return Δ = len(baseline) − len(model) of each row, in Unicode characters."""
    return np.array([len(row.output_1) - len(row.output_2) for row in annotations], dtype=float)


def read_annotations(records: Iterable[Mapping[str, Any]], source: str) -> list[Annotation]:
    """Check rows in the format of `annotations.json` and return them typed; `source` names them in errors.

    Raises:
        DataError: a field is missing or has a value that it cannot have, or rows of several models, baselines or
            judges are mixed.
    """
    rows = [_annotation(record, f"{source} row {position} (from 0)") for position, record in enumerate(records)]
    if not rows:
        raise DataError(f"{source}: no annotations. A list of at least one judged pair is needed.")
    _require_one(source, "generator_1", {row.generator_1 for row in rows}, "baselines")
    _require_one(source, "generator_2", {row.generator_2 for row in rows}, "models")
    _require_one(source, "annotator", {row.annotator for row in rows}, "judges")
    absent = [position for position, row in enumerate(rows) if row.index is None]
    if absent and len(absent) < len(rows):
        raise DataError(
            f"{source} row {absent[0]} (from 0): 'index' is missing, but other rows have one. Give all or none."
        )
    return rows


def annotation_records(annotations: Iterable[Annotation]) -> list[dict[str, Any]]:
    """Return rows in the shape of alpaca_eval's `annotations.json`."""
    fields = ("instruction", "output_1", "generator_1", "output_2", "generator_2", "annotator", "preference")
    return [{name: getattr(row, name) for name in fields} for row in annotations]


def _annotation(record: Mapping[str, Any], where: str) -> Annotation:
    if not isinstance(record, Mapping):
        raise DataError(f"{where}: a {type(record).__name__} where an object with the fields of a judged pair belongs.")
    fields = ("instruction", "output_1", "output_2", "generator_1", "generator_2")
    texts = {field: _text(record, field, where) for field in fields}
    if "preference" not in record:
        raise DataError(f"{where}: field 'preference' is missing. Write null where there is no judgment.")
    written = number(record["preference"], f"{where}: preference", _ALLOWED)
    if written == 0:  # the older notation of a draw
        written = DRAW
    preference = None if written is None else within(written, 1.0, 2.0)
    if preference is None and written is not None:
        raise DataError(describe(f"{where}: preference", record["preference"], "out of range", allowed=_ALLOWED))
    index = number(record.get("index"), f"{where}: index", "0, 1, 2, …")
    if index is not None and (index % 1 != 0 or index < 0):
        raise DataError(describe(f"{where}: index", record["index"], "not a position", allowed="0, 1, 2, …"))
    annotator = None if record.get("annotator") is None else str(record["annotator"])
    position = None if index is None else int(index)
    return Annotation(**texts, preference=preference, annotator=annotator, index=position)


def _text(record: Mapping[str, Any], field: str, where: str) -> str:
    if field not in record:
        raise DataError(f"{where}: field '{field}' is missing; every judged pair needs it.")
    value = record[field]
    if not isinstance(value, str):
        raise DataError(describe(f"{where}: {field}", value, "not a text", allowed="a string, which may be empty"))
    return value


def _require_one(source: str, field: str, values: set[Any], what: str) -> None:
    if len(values) > 1:
        names = ", ".join(sorted(map(str, values))[:4])
        raise DataError(f"{source}: {field} names {len(values)} {what} ({names}). One file holds one; split it.")
