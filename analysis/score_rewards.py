"""RewardBench and RewardBench 2 from the result files of reward models."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.score_output import NamedScores, with_interval
from mt.evaluation.files import read_records
from mt.evaluation.metrics import slug
from mt.evaluation.reward_bench import PAIRS, SECTIONS, RewardBenchScore, ScoredPair, score_accuracies, score_pairs
from mt.evaluation.reward_bench_2 import SUBSETS, RankedPrompt, score_prompts, score_subsets
from mt.evaluation.reward_bench_files import (
    Accuracies,
    holds_scores,
    read_accuracies,
    read_pairs,
    read_prompts,
    repeated_rows,
    rows_of,
)
from mt.evaluation.statistics import ROUNDS
from mt.runtime.text import shortened


def score_reward_bench(arguments: argparse.Namespace) -> NamedScores:
    """Return the sections of a file of accuracies or of scored pairs."""
    source = str(arguments.file)
    rows = rows_of(read_records(arguments.file), source)
    unit, notes = None, []
    if holds_scores(rows):
        pairs = read_pairs(rows, source)
        rounds = arguments.rounds or ROUNDS
        score = score_pairs(pairs, arguments.convention, rounds=rounds, seed=arguments.seed)
        notes += _count_notes(rows, pairs, PAIRS, "pairs")
    else:
        accuracies = read_accuracies(rows, source, unit=arguments.unit)
        unit = accuracies.unit
        score = score_accuracies(accuracies.values, arguments.convention)
        notes.append(_unit_note(accuracies))
    if score.missing_subsets:
        notes.append(_absence(score))
    values: dict[str, Any] = {}
    for name, value in score.sections.items():
        values |= with_interval(slug(name), value, score.section_intervals[name])
    values |= with_interval("average", score.average, score.average_interval)
    values |= {"ties": score.ties, "n": score.n, "convention": score.convention, "unit": unit, "model": _model(rows)}
    values["subsets"] = {name: 100 * value for name, value in score.subsets.items()}
    return NamedScores("RewardBench", values, notes)


def score_reward_bench_2(arguments: argparse.Namespace) -> NamedScores:
    """Return the subsets of a file of accuracies or of scored prompts."""
    source = str(arguments.file)
    rows = rows_of(read_records(arguments.file), source)
    unit, notes = None, []
    if holds_scores(rows):
        prompts = read_prompts(rows, source)
        score = score_prompts(prompts, rounds=arguments.rounds or ROUNDS, seed=arguments.seed)
        notes += _count_notes(rows, prompts, SUBSETS, "prompts")
    else:
        accuracies = read_accuracies(rows, source, generation=2, unit=arguments.unit)
        unit = accuracies.unit
        score = score_subsets(accuracies.values)
        notes.append(_unit_note(accuracies))
    if score.missing_subsets:
        notes.append(f"{len(score.missing_subsets)} of 6 subsets are missing: {', '.join(score.missing_subsets)}.")
    values: dict[str, Any] = {}
    for name, value in score.subsets.items():
        values |= with_interval(slug(name), value, score.subset_intervals[name])
    values |= with_interval("average", score.average, score.average_interval)
    values |= {"shared_best": score.shared, "n": score.n, "unit": unit, "model": _model(rows)}
    return NamedScores("RewardBench 2", values, notes)


def _unit_note(accuracies: Accuracies) -> str:
    meaning = {"share": "shares (0 to 1)", "percent": "percent (0 to 100)"}[accuracies.unit]
    return f"the file's {len(accuracies.values)} accuracies are read as {meaning}."


def _count_notes(
    rows: Sequence[Mapping[str, Any]], items: Sequence[ScoredPair | RankedPrompt], sizes: Mapping[str, int], what: str
) -> list[str]:
    """Say where rows are repeated, subsets have another number of items than the benchmark, and scores are absent."""
    notes = []
    if repeated := repeated_rows(rows):
        notes.append(f"{repeated} rows repeat one of the {what}; each counts.")
    counts = Counter(item.subset for item in items)
    other = [f"{name} {n} of {sizes[name]}" for name, n in counts.items() if n != sizes[name]]
    if other:
        shown = ", ".join(shortened(other, 4))
        notes.append(f"{len(other)} subsets have another number of {what} than the benchmark: {shown}.")
    if given := sum(item.result is not None for item in items):
        notes.append(f"{given} {what} have no scores; their results are taken from the file.")
    return notes


def _absence(score: RewardBenchScore) -> str:
    """Say which subsets are missing, and which numbers lack them."""
    absent = set(score.missing_subsets)
    partial = [
        slug(name) for name, value in score.sections.items() if value is not None and absent & set(SECTIONS[name])
    ]
    partial += ["average"] if score.average is not None else []
    said = f" {', '.join(partial)} are computed from the others." if partial else ""
    return f"{len(absent)} of 23 subsets are missing: {', '.join(score.missing_subsets)}.{said}"


def _model(rows: Sequence[Mapping[str, Any]]) -> str | None:
    return next((str(row["model"]) for row in rows if row.get("model") is not None), None)
