"""Reading run folders: the record of a run, and the graph of its stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mt.errors import DataError, StoreError, describe, no_folder
from mt.evaluation.catalogue import said
from mt.runtime.text import parse_json
from mt.workflow.position import Position
from mt.workflow.run_record import RECORD, find_records, read_record
from mt.workflow.store import ARTIFACT

_MAKES = {"train_policy": "π", "supervised_finetune": "π", "train_reward": "r"}
"""The letters of the models that stages make."""
STATES = ("computed", "reused", "running", "failed", "missing", "unneeded")


@dataclass(frozen=True)
class StageRow:
    """One stage of a run: `inputs` maps a field to the keys of the artifacts that it reads."""

    key: str
    name: str
    position: Position
    folder: Path | None
    state: str
    seconds: float | None
    counts: Mapping[str, Any]
    inputs: Mapping[str, Sequence[str]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Plain values among the stage's inputs; empty where the artifact is absent."""
    runs: tuple[str, ...] = ()

    @property
    def upstream(self) -> list[str]:
        """Return the keys of every input, in the order of the fields."""
        return [key for keys in self.inputs.values() for key in keys]


@dataclass(frozen=True)
class Run:
    """A run as its record describes it; `notes` list what the record lacks."""

    folder: Path
    name: str
    state: str
    record: Mapping[str, Any]
    stages: list[StageRow]
    metrics: list[Mapping[str, Any]]
    notes: list[str] = field(default_factory=list)

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration."""
        return self.record.get("config") or {}


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Return run folders: each path is one, or holds some or sweeps of some; raises DataError when it is neither."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = [path] if (path / RECORD).is_file() else find_records(path)
        if not inside:
            problem = "no run is found here" if path.is_dir() else no_folder(path)
            allowed = f"a run folder (it holds {RECORD}) or a folder of run folders"
            raise DataError(describe("run", path, problem, allowed=allowed))
        found.update(dict.fromkeys(inside))
    if not found:
        raise DataError(describe("run", "(none)", "no run is named", allowed="one or more run folders"))
    return list(found)


def load_run(folder: Path) -> Run:
    """Read a run folder; raises StoreError when its record is absent, damaged or of another version."""
    record = read_record(folder)
    rows = [_stage_row(row, folder) for row in record.get("stages") or []]
    notes = [] if rows else ["The record lists no stages: the plan, the samples and the distributions are absent."]
    return Run(
        folder=folder,
        name=str(record.get("name") or folder.name),
        state=str(record.get("state") or "unknown"),
        record=record,
        stages=rows,
        metrics=[row for row in record.get("metrics") or [] if row.get("value") is not None],
        notes=notes,
    )


def load_runs(paths: Iterable[Path]) -> list[Run]:
    """Read the runs that the paths name; runs of one name differ by the folders that they lie in.

    A run that lies in two folders, alone and in a sweep, counts once: as it is finished, or else as found first. Of
    several, one whose record cannot be read is left out, which a note of the first one says; raises StoreError where
    none can be read.
    """
    once: dict[Any, Run] = {}
    unreadable: list[StoreError] = []
    for folder in find_runs(paths):
        try:
            run = load_run(folder)
        except StoreError as error:
            unreadable.append(error)
            continue
        same = (run.name, *(row.key for row in run.stages)) if run.stages else run.folder
        if same not in once or (run.state == "finished" != once[same].state):
            once[same] = run
    if not once:
        raise unreadable[0]
    first, *others = once.values()
    runs = [replace(first, notes=[*first.notes, *(f"Left out: {error}" for error in unreadable)]), *others]
    named = Counter(run.name for run in runs)
    return [replace(run, name=str(run.folder)) if named[run.name] > 1 else run for run in runs]


def union(runs: Sequence[Run]) -> dict[str, StageRow]:
    """Return the stages of all runs by key, in an order in which they could run; `runs` says who needs each."""
    merged: dict[str, StageRow] = {}
    for run in runs:
        for row in run.stages:
            known = merged.get(row.key)
            merged[row.key] = _join(known, row, run.name) if known else replace(row, runs=(run.name,))
    return merged


def counted_seconds(rows: Iterable[StageRow]) -> float:
    """Return the recorded seconds of stages; a stage without a record of its time counts as zero."""
    return sum(row.seconds or 0.0 for row in rows)


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
    for model, letter in (("reward", "r"), ("policy", "π")):
        if keys := row.inputs.get(model):
            return f"{name} · {model_name(keys[0], stages, letter)}"
    hint = settings.get("kind") or settings.get("judge") or settings.get("split")
    return f"{name} · {said(str(hint))}" if hint else name


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


def _join(known: StageRow, row: StageRow, run: str) -> StageRow:
    """Merge what two runs say of one stage: computed by either is computed, its seconds are the longer."""
    first = min((known, row), key=lambda one: STATES.index(one.state) if one.state in STATES else len(STATES))
    seconds = max((one.seconds for one in (known, row) if one.seconds is not None), default=None)
    place = row.position if known.position == Position() else known.position
    return replace(first, position=place, seconds=seconds, runs=(*known.runs, run))


def _stage_row(row: Mapping[str, Any], run_folder: Path) -> StageRow:
    folder = _artifact_folder(row.get("path"), run_folder)
    seconds = row.get("seconds")
    declared = _declared(folder)
    fields = {str(name): list(_artifact_keys(value)) for name, value in declared.items()}
    inputs = {name: keys for name, keys in fields.items() if keys}
    unlabelled = {"input": list(row["inputs"])} if row.get("inputs") else {}
    return StageRow(
        key=str(row["key"]),
        name=str(row.get("stage") or "stage"),
        position=Position.of(row),
        folder=folder,
        state=str(row.get("state") or "missing"),
        seconds=None if seconds is None else float(seconds),
        counts=row.get("counts") or {},
        inputs=inputs or unlabelled,
        settings={name: value for name, value in declared.items() if isinstance(value, str | int | float)},
    )


def _artifact_folder(path: str | None, run_folder: Path) -> Path | None:
    """Return the artifact's folder where it exists; a relative path starts at the run folder."""
    if not path:
        return None
    folder = (run_folder / path).resolve()
    return folder if folder.exists() else None


def _declared(folder: Path | None) -> Mapping[str, Any]:
    """Return an artifact's inputs by field; nothing where there is no artifact, or a damaged one."""
    path = folder / ARTIFACT if folder else None
    if path is None or not path.is_file():
        return {}
    try:
        facts = parse_json(path.read_bytes())
    except ValueError:
        return {}
    declared = facts.get("inputs") if isinstance(facts, dict) else None
    return declared if isinstance(declared, Mapping) else {}


def _artifact_keys(value: Any) -> Iterator[str]:
    """Yield the keys inside a canonical input: {"artifact": key}, possibly nested in lists and mappings."""
    if isinstance(value, Mapping):
        if set(value) == {"artifact"}:
            yield str(value["artifact"])
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _artifact_keys(item)
