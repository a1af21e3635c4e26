"""One tidy frame of whatever was measured: a row per run, iteration, model and metric."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.records import Record, Records, read_records, run_name
from analysis.settings import matches, typed
from mt.config.fields import setting
from mt.engines.judging.base import judge_name
from mt.errors import DataError, describe, nearest
from mt.runtime.terminal import utc_time

_OF_RUN: dict[str, str] = {
    "method": "method.name",
    "objective": "objective.name",
    "rm_data": "rm_data.name",
    "seed": "seed",
    "world_seed": "world_seed",
    "scale": "scale.name",
    "data": "data.name",
}
COLUMNS = (
    "run", "sweep", "state", "ended", "final", *_OF_RUN, "judge", "iteration", "model", "benchmark", "metric",
    "value", "low", "high", "n", "versions", "command", "config",
)  # fmt: skip
"""The columns of the frame; `ended` is a time in UTC as text, `final` the iteration that the run ended with where it
stopped before its last one, `config` its configuration as JSON.
"""
NOTES = "notes"
"""Where a frame keeps what was left out (`frame.attrs`)."""
_VERSIONS = ("torch", "transformers", "trl", "vllm")


class LeftOut(UserWarning):
    """Runs that a frame does not contain."""


def load(
    source: str | Path = "runs",
    filters: Mapping[str, Any] | None = None,
    *,
    config: Sequence[str] = (),
    unfinished: bool = False,
) -> pd.DataFrame:
    """Return what finished runs measured, from a folder of records or from "wandb:entity/project".

    `filters` keeps runs by column or dotted setting ({"seed": [0, 1], "objective.beta": 0.1}); `config` adds
    settings as columns. Runs that are unfinished, damaged or of an older version are left out, and named by a
    warning and in `frame.attrs["notes"]`; `unfinished=True` keeps unfinished ones, which `state` marks.
    Raises DataError where no run remains.
    """
    filters = dict(filters or {})
    sweep = filters.get("sweep")
    records = read_records(source, sweep if isinstance(sweep, str) else None)
    chosen = {
        name: one
        for name, one in records.found.items()
        if all(matches(_value(one, field), wanted) for field, wanted in filters.items())
    }
    notes = [*records.problems, *_unfinished(chosen)]
    kept = {name: one for name, one in chosen.items() if unfinished or one.get("state") == "finished"}
    if not kept:
        raise _nothing_left(str(source), filters, records, notes)
    frame = pd.DataFrame([row for one in kept.values() for row in _rows(one)], columns=list(COLUMNS))
    frame = _typed(frame.sort_values(["run", "iteration", "model", "benchmark", "metric"]))
    frame = with_settings(frame.reset_index(drop=True), config)
    frame.attrs[NOTES] = notes
    for note in notes:
        warnings.warn(f"left out: {note}", LeftOut, stacklevel=2)
    return frame


def with_settings(frame: pd.DataFrame, paths: Sequence[str]) -> pd.DataFrame:
    """Return the frame with settings ("objective.beta") as further columns, None where a run has none."""
    configs = {text: json.loads(text) for text in frame["config"].unique()}
    added = {path: [setting(configs[text], path) for text in frame["config"]] for path in paths}
    return frame.assign(**added)


def _rows(record: Record) -> Iterator[dict[str, Any]]:
    config = record["config"]
    common = {
        "run": run_name(record),
        "sweep": record.get("sweep"),
        "state": record.get("state"),
        "ended": utc_time(record.get("finished") or record.get("started")),
        "final": record.get("final"),
        **{column: setting(config, path) for column, path in _OF_RUN.items()},
        "judge": _judge(config),
        "versions": _versions(record),
        "command": record.get("command") or "",
        "config": json.dumps(config, sort_keys=True),
    }
    for metric in record.get("metrics", []):
        yield {**common, **metric}


def _judge(config: Mapping[str, Any]) -> str:
    return judge_name(config["judge"]) if isinstance(config.get("judge"), Mapping) else ""


def _versions(record: Record) -> str:
    """Return the code and the packages behind a run in one line."""
    git, packages = record.get("git") or {}, record.get("packages") or {}
    commit = f"commit {git['commit'][:10]}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else ""
    named = [f"{name} {packages[name]}" for name in _VERSIONS if name in packages]
    return ", ".join([*([commit] if commit else []), *named])


def _value(record: Record, name: str) -> Any:
    """Return what a filter looks at: a column, or a setting."""
    if name == "run":
        return run_name(record)
    if name in ("sweep", "state", "name"):
        return record.get(name)
    config = record["config"]
    return _judge(config) if name == "judge" else setting(config, _OF_RUN.get(name, name))


def _unfinished(records: Mapping[str, Record]) -> list[str]:
    found = []
    for name, record in records.items():
        if record.get("state") != "finished":
            error = f", {record['error']}" if record.get("error") and record.get("state") == "failed" else ""
            if record.get("state") == "running":  # by its record, which a run that is killed leaves as it is
                state, go_on = "running", "if it was killed, go on"
            else:
                state, go_on = f"unfinished ({record.get('state')}{error})", "go on"
            again = f"; {go_on}: {record['command']}" if record.get("command") else ""
            found.append(f"{name}: {state}{again}")
    return found


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with one type a column, whichever runs it holds."""
    floats = dict.fromkeys(["value", "low", "high"], "float64")
    whole = dict.fromkeys(["seed", "world_seed", "n", "final"], "Int64") | {"iteration": "int64"}
    texts = [column for column in COLUMNS if column not in {**floats, **whole}]
    return frame.astype({**floats, **whole, **dict.fromkeys(texts, "object")})


def _nothing_left(source: str, filters: Mapping[str, Any], records: Records, notes: Sequence[str]) -> DataError:
    """Return the error that says why no run can be shown."""
    if notes and not filters:
        return DataError(describe("runs", source, f"no finished run; {'; '.join(notes[:3])}"))
    unknown = [name for name in filters if not any(_value(one, name) is not None for one in records.found.values())]
    hint = nearest(unknown[0], [*COLUMNS, *_OF_RUN.values()]) if unknown else ""
    wanted = ", ".join(f"{name}={value}" for name, value in filters.items())
    present = {name: sorted({typed(_value(one, name)) for one in records.found.values()}) for name in filters}
    allowed = "; ".join(f"{name}: {', '.join(values)}" for name, values in present.items())
    line = describe("where", wanted, "no finished run has these settings", allowed=allowed)
    return DataError(line + hint + "".join(f" {note}." for note in notes[:3]))
