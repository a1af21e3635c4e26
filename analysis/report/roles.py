"""Which policy, which reward model and which step of the algorithm an artifact belongs to, read off the graph."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.report.record import StageRow
from mt.evaluation.catalogue import said


def model_name(key: str, stages: Mapping[str, StageRow], letter: str) -> str:
    """Return the paper's name of a model, π₀ or r₀ for the base models; its letter and "?" where nobody knows."""
    return (stages[key].position.model_name if key in stages else "") or f"{letter}?"


def caption(row: StageRow, stages: Mapping[str, StageRow]) -> str:
    """Return what a stage does in this run: "sample from π₀", "train reward → r₁"."""
    name, settings = row.name.replace("_", " "), row.settings
    if row.name in _MAKES:
        return f"{name} → {model_name(row.key, stages, _MAKES[row.name])}"
    if row.name == "partition_prompts" and "index" in settings:
        return f"prompts: part {settings['index'] + 1} of {settings.get('parts', '?')}"
    if row.name == "prompt_block":
        return f"prompts: D_{settings['index'] or 'R'}"
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
