"""The samples that the browser of the report shows, with their rewards and their parts in pairs."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from analysis.report import tables
from analysis.report.marks import find_marks
from analysis.report.record import StageRow
from analysis.report.sets import SampleSet, sample_sets
from analysis.report.tables import StoredTable, characters_per_prompt, responses_per_prompt

MAX_RESPONSES = 10_000
"""Responses that a report holds of a run; the rest stay in the store."""
MAX_RUNS = 3
"""A report of several runs holds so many times as much at most."""
MAX_CHARACTERS = 16_000_000
"""Characters of text that a report holds, so that long responses do not make a page that no browser opens."""


def browser(stages: Mapping[str, StageRow], found: Mapping[str, StoredTable], runs: Sequence[str]) -> dict[str, Any]:
    """Return the data of the samples browser: sets, prompts with their responses, and what was left out."""
    sets = sample_sets(stages, found)
    chosen, total = _select(sets, MAX_RESPONSES * min(len(runs), MAX_RUNS))
    number = {one.key: index for index, one in enumerate(sets)}
    ages = sorted({one.policy_place for one in sets})
    marks = find_marks(stages, found, sets, chosen)
    prompts: dict[str, dict[str, Any]] = {}
    for one in sets:
        for row in _responses(one, chosen):
            messages = [[message["role"], message["content"]] for message in row["messages"]]
            new = {"id": row["prompt_id"], "section": row["section"], "messages": messages, "in": []}
            entry = prompts.setdefault(json.dumps([row["prompt_id"], messages]), new)
            marked = marks.get((one.key, row["prompt_id"]), {})
            given = [[*mark, [runs.index(run) for run in sorted(by)]] for mark, by in marked.items()]
            entry["in"].append([number[one.key], row["packed"], given])
    return {
        "runs": list(runs),
        "sets": [_describe(one, runs, ages.index(one.policy_place)) for one in sets],
        "prompts": list(prompts.values()),
        "total_prompts": total,
    }


def _select(sets: Sequence[SampleSet], max_responses: int) -> tuple[set[str], int]:
    """Choose prompts evenly over the ways in which they were answered, until the report is full.

    The choice hashes prompt ids: it is the same in every report of the same samples.
    """
    answered: dict[str, list[int]] = defaultdict(list)
    weights = []
    for index, one in enumerate(sets):
        for prompt_id in one.table.read(["prompt_id"])["prompt_id"].to_pylist():
            answered[prompt_id].append(index)
        weights.append((responses_per_prompt(one.table), characters_per_prompt(one.table)))
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for prompt_id in sorted(answered, key=lambda one: hashlib.sha256(one.encode()).digest()):
        groups[tuple(answered[prompt_id])].append(prompt_id)
    chosen: set[str] = set()
    responses = characters = 0.0
    for row in zip_longest(*groups.values()):
        for prompt_id in filter(None, row):
            responses += sum(weights[index][0] for index in answered[prompt_id])
            characters += sum(weights[index][1] for index in answered[prompt_id])
            if responses > max_responses or characters > MAX_CHARACTERS:
                return chosen, len(answered)
            chosen.add(prompt_id)
    return chosen, len(answered)


def _responses(one: SampleSet, chosen: set[str]) -> list[dict[str, Any]]:
    """Return the chosen prompts of a set; `packed` holds [text, tokens, finished, rewards by scorer] a response."""
    given = [tables.rewards_by_prompt(scores.table, chosen) for scores in one.scores]
    rows = tables.rows(one.table, ["prompt_id", "messages", "section", "responses"], chosen)
    for row in rows:
        rewards = [by_prompt.get(row["prompt_id"], []) for by_prompt in given]
        row["packed"] = [
            [one["text"], one["n_tokens"], int(one["finished"]), [_at(values, index) for values in rewards]]
            for index, one in enumerate(row["responses"])
        ]
    return rows


def _at(values: Sequence[float | None], index: int) -> float | None:
    value = values[index] if index < len(values) else None
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def _describe(one: SampleSet, runs: Sequence[str], age: int) -> dict[str, Any]:
    return {
        "key": one.key[:12],
        "policy": one.name,
        "age": age,
        "where": str(one.table.stage.position),
        "round": one.place.round,
        "iteration": one.place.iteration,
        "step": one.place.step or one.table.stage.name,
        "scorers": [scores.name for scores in one.scores],
        "runs": [runs.index(run) for run in one.table.stage.runs],
    }
