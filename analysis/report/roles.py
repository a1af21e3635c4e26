"""Which policy, which reward model and which step of the algorithm an artifact belongs to, read off the graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.report.facts import said
from analysis.report.record import StageRow

_ITERATION = re.compile(r"iteration (\d+)")
_ROUND = re.compile(r"round (\d+)")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True, order=True)
class Place:
    """Where in the algorithm a stage belongs, parsed from its label ("round 1 · iteration 2 · M-step")."""

    round: int
    iteration: int
    step: str


def place(label: str) -> Place:
    """Parse a label, the step last; what names no iteration belongs to iteration 0."""
    round_, iteration = _ROUND.search(label), _ITERATION.search(label)
    step = label.split("·")[-1].strip()
    return Place(int(round_[1]) if round_ else 1, int(iteration[1]) if iteration else 0, step)


def model_name(key: str, stages: Mapping[str, StageRow], letter: str) -> str:
    """Return the paper's name of a model: π₀ or r₀ for one that no iteration trained, π₁ … for the others."""
    row = stages.get(key)
    if row is None:
        return f"{letter}?"
    where = place(row.label)
    name = f"{letter}{where.iteration}".translate(_SUBSCRIPTS)
    return f"{name} (round {where.round})" if where.round > 1 else name


def caption(row: StageRow, stages: Mapping[str, StageRow]) -> str:
    """Return what a stage does in this run: "sample from π₀", "train reward → r₁"."""
    name, settings = row.name.replace("_", " "), row.settings
    if row.name in _MAKES:
        return f"{name} → {model_name(row.key, stages, _MAKES[row.name])}"
    if row.name == "partition_prompts" and "index" in settings:
        return f"prompts: part {settings['index'] + 1} of {settings.get('parts', '?')}"
    for field, letter in (("reward", "r"), ("policy", "π")):
        if row.inputs.get(field):
            return f"{name} · {model_name(row.inputs[field][0], stages, letter)}"
    hint = settings.get("kind") or settings.get("judge") or settings.get("split")
    return f"{name} · {said(str(hint))}" if hint else name


_MAKES = {"train_policy": "π", "supervised_finetune": "π", "train_reward": "r"}


def ancestors(key: str, stages: Mapping[str, StageRow], through: set[str]) -> list[str]:
    """Return the artifacts upstream of one, walking on only through artifacts in `through`; nearest first."""
    found: dict[str, None] = {}
    queue = [key]
    while queue:
        row = stages.get(queue.pop(0))
        for upstream in row.upstream if row else []:
            if upstream not in found:
                found[upstream] = None
                queue += [upstream] if upstream in through else []
    return list(found)
