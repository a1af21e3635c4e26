"""The samples that the browser of the report shows, with their rewards and their parts in pairs."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from analysis.report import tables
from analysis.report.charts import rounded
from analysis.report.record import StageRow, ancestors
from analysis.report.sets import SampleSet, sample_sets
from analysis.report.tables import StoredTable, TableKind, characters_per_prompt, responses_per_prompt

MAX_RESPONSES = 10_000
"""Responses that a report holds of a run; the rest stay in the store."""
MAX_RUNS = 3
"""A report of several runs holds so many times as much at most."""
MAX_CHARACTERS = 16_000_000
"""Characters of text that a report holds, so that long responses do not make a page that no browser opens."""
Mark = tuple[int, str, str]
"""(index of the response, "chosen" or "rejected", the pair's source)."""
Marks = dict[tuple[str, str], dict[Mark, set[str]]]
"""(key of the set, prompt) → mark → the runs that use the pair."""


def browser(stages: Mapping[str, StageRow], found: Mapping[str, StoredTable], runs: Sequence[str]) -> dict[str, Any]:
    """Return the data of the samples browser: sets, prompts with their responses, and what was left out."""
    sets = sample_sets(stages, found)
    chosen, total = _select(sets, MAX_RESPONSES * min(len(runs), MAX_RUNS))
    number = {one.key: index for index, one in enumerate(sets)}
    ages = sorted({one.policy_place for one in sets})
    marks = _find_marks(stages, found, sets, chosen)
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


def _responses(samples: SampleSet, chosen: set[str]) -> list[dict[str, Any]]:
    """Return the chosen prompts of a set; `packed` holds [text, tokens, finished, rewards by scorer] a response."""
    given = [tables.rewards_by_prompt(scores.table, chosen) for scores in samples.scores]
    rows = tables.rows(samples.table, ["prompt_id", "messages", "section", "responses"], chosen)
    for row in rows:
        rewards = [rounded(by_prompt.get(row["prompt_id"], []), 5) for by_prompt in given]
        row["packed"] = []
        for index, one in enumerate(row["responses"]):
            own = [values[index] if index < len(values) else None for values in rewards]
            row["packed"].append([one["text"], one["n_tokens"], int(one["finished"]), own])
    return rows


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


def _find_marks(
    stages: Mapping[str, StageRow], found: Mapping[str, StoredTable], sets: Sequence[SampleSet], chosen: set[str]
) -> Marks:
    """Return which responses to the chosen prompts entered pairs: pairs hold texts, which are looked for here."""
    marks: Marks = defaultdict(lambda: defaultdict(set))
    positions = {one.key: _positions(one, chosen) for one in sets}
    derived = {key for key, table in found.items() if table.kind is not TableKind.SAMPLES}
    for table, runs in _original_pairs(found):
        reached = ancestors(table.stage.key, stages, through=derived)
        sources = sorted((one for one in sets if one.key in reached), key=lambda one: one.policy_place)
        for pair in tables.rows(table, ["prompt_id", "chosen", "rejected", "source"], chosen):
            # In a contrast pair the newer policy's response is chosen, the older one's rejected.
            for part, asked in (("chosen", sources[::-1]), ("rejected", sources)):
                place = pair["prompt_id"], pair[part]["text"]
                one = next((one for one in asked if place in positions[one.key]), None)
                if one is not None:
                    mark = positions[one.key][place], part, pair["source"]
                    marks[one.key, pair["prompt_id"]][mark] |= runs
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
    """Return (prompt, text) → index of the first such response."""
    rows = tables.rows(one.table, ["prompt_id", "responses"], chosen)
    return {
        (row["prompt_id"], answer["text"]): position
        for row in rows
        for position, answer in reversed(list(enumerate(row["responses"])))
    }
