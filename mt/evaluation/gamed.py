"""The verbose and concise baselines that anchor AlpacaEval's length control, and the difficulty of instructions."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mt.errors import DataError, describe
from mt.evaluation.alpaca_eval import Annotation, length_differences
from mt.evaluation.files import number, within
from mt.evaluation.statistics import Array

GAMED_FIELDS = ("model", "preference", "index", "std_delta_len", "instruction_difficulty", "not_gamed_baseline")


@dataclass(frozen=True, slots=True)
class GamedRow:
    """A row of `df_gamed.csv`: the baseline asked to be verbose or concise, judged against the plain baseline.

    `preference` lies in [0, 1], None where it is missing; `std_delta_len` is Δ/s, infinite where all Δ are equal;
    `index` is the instruction's position in the benchmark.
    """

    model: str
    preference: float | None
    index: int
    std_delta_len: float
    instruction_difficulty: float


def standardised(delta_N: Array, count_N: Array | None = None) -> Array:
    """Return Δ/s with s = std(Δ, ddof = 1), uncentred; ±∞ where all Δ are equal and not 0.

    With counts, row i stands for `count_N[i]` rows (a resample).
    """
    count = np.ones_like(delta_N) if count_N is None else count_N
    total = count.sum()
    centred = delta_N - (count @ delta_N) / total
    variance = (count @ centred**2) / (total - 1) if total > 1 else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(delta_N == 0, 0.0, delta_N / np.sqrt(variance))


def difficulties(annotations: Sequence[Annotation], gamed: Sequence[GamedRow]) -> Array:
    """Return the difficulty of each annotation's instruction, looked up by `index` or else by the row's position.

    Raises:
        DataError: an instruction has no difficulty in the gamed rows.
    """
    known: dict[int, float] = {}
    for row in gamed:
        known.setdefault(row.index, row.instruction_difficulty)
    positions = [at if row.index is None else row.index for at, row in enumerate(annotations)]
    unknown = [position for position in positions if position not in known]
    if unknown:
        raise DataError(
            f"index={unknown[0]}: the gamed rows hold no difficulty for it ({len(known)} instructions, "
            f"{len(annotations)} annotations). Annotations must be all of the benchmark's, in its canonical order."
        )
    return np.array([known[position] for position in positions])


def gamed_rows(variants: Sequence[Sequence[Annotation]], difficulty_N: Sequence[float]) -> list[GamedRow]:
    """Return the gamed rows of baseline variants (verbose, concise) judged against the plain baseline.

    Each variant's annotations are in the benchmark's order; `difficulty_N` gives each instruction's difficulty.
    """
    rows: list[GamedRow] = []
    for variant in variants:
        if len(variant) != len(difficulty_N):
            raise DataError(
                f"difficulty: {len(difficulty_N)} values for {len(variant)} annotations of a baseline variant. "
                "One value for each instruction is needed."
            )
        delta = standardised(length_differences(variant))
        for index, row in enumerate(variant):
            label = None if row.preference is None else row.preference - 1
            rows.append(GamedRow(row.generator_2, label, index, float(delta[index]), float(difficulty_N[index])))
    return rows


def instruction_difficulty(preferences_MN: Sequence[Sequence[float | None]]) -> list[float]:
    """Return each instruction's difficulty from M reference models' preferences in [1, 2] on N instructions.

    The logit of the models' mean win rate, shrunk by half a win and half a loss and standardised over instructions:
    high where models beat the baseline. The regression fits its own scale and sign.
    """
    logits = []
    for column in zip(*preferences_MN, strict=True):
        judged = [value - 1 for value in column if value is not None]
        share = (sum(judged) + 0.5) / (len(judged) + 1)
        logits.append(math.log(share / (1 - share)))
    values = np.array(logits) - np.mean(logits)
    spread = float(values.std())
    return [float(value) for value in (values / spread if spread > 0 else values)]


def read_gamed(records: Sequence[Mapping[str, object]], source: str) -> list[GamedRow]:
    """Check rows in the format of `df_gamed.csv` (values may be texts) and return them typed."""
    rows = [_gamed_row(record, f"{source} row {position} (from 0)") for position, record in enumerate(records)]
    if not rows:
        raise DataError(f"{source}: no rows. The gamed baselines' judgments are needed.")
    return rows


def gamed_csv(rows: Sequence[GamedRow]) -> str:
    """Return the rows as the text of a `df_gamed.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(GAMED_FIELDS)
    for row in rows:
        preference = "" if row.preference is None else repr(row.preference)
        writer.writerow([row.model, preference, row.index, row.std_delta_len, row.instruction_difficulty, False])
    return text.getvalue()


def _gamed_row(record: Mapping[str, object], where: str) -> GamedRow:
    missing = [name for name in GAMED_FIELDS[1:5] if name not in record]
    if missing:
        raise DataError(f"{where}: column '{missing[0]}' is missing. Needed: {', '.join(GAMED_FIELDS)}.")
    if str(record.get("not_gamed_baseline", False)).strip().lower() not in ("false", "0", "0.0", ""):
        value = record["not_gamed_baseline"]
        raise DataError(describe(f"{where}: not_gamed_baseline", value, "not a gamed baseline", allowed="False"))
    written = number(record["preference"], f"{where}: preference", "[0, 1], or empty")
    preference = None if written is None else within(written, 0.0, 1.0)
    if preference is None and written is not None:
        raise DataError(describe(f"{where}: preference", written, "out of range", allowed="[0, 1], or empty"))
    index = _required(record["index"], f"{where}: index")
    if index % 1 != 0 or index < 0:
        raise DataError(describe(f"{where}: index", index, "not a position", allowed="0, 1, 2, …"))
    difficulty = _required(record["instruction_difficulty"], f"{where}: instruction_difficulty")
    if math.isinf(difficulty):
        raise DataError(describe(f"{where}: instruction_difficulty", difficulty, "not finite", allowed="a number"))
    delta = _required(record["std_delta_len"], f"{where}: std_delta_len")
    return GamedRow(str(record.get("model", "")), preference, int(index), delta, difficulty)


def _required(value: object, where: str) -> float:
    found = number(value, where, "a number")
    if found is None:
        raise DataError(describe(where, repr(value), "no number", allowed="a number"))
    return found
