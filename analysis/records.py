"""Run records, from a folder of runs or from W&B: the same data either way, and what is wrong with the others."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mt.errors import DataError, StoreError, describe, first_line, no_folder
from mt.runtime.terminal import utc_time
from mt.workflow.run_record import RECORD, SCHEMA, find_records, parse_record

WANDB = "wandb:"
"""How a source names a W&B project: "wandb:entity/project"."""

Record = Mapping[str, Any]
_SIDES = ("low", "high", "n")
"""What W&B has of a metric beside its value, as metrics of their own."""


@dataclass
class Records:
    """Records that can be read, by the name of their run, and one line for each that cannot."""

    found: dict[str, Record] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _places: dict[str, str] = field(default_factory=dict)

    def add(self, place: str, text: str) -> None:
        """Add a record as it was found; of several of one name, the newest finished one."""
        try:
            record: Record = parse_record(text, place)
        except StoreError as error:
            self.problems.append(str(error))
            return
        name = run_name(record)
        known = self.found.get(name, record)
        if _rank(record) >= _rank(known):
            self.found[name], record = record, known
            place, self._places[name] = self._places.get(name, place), place
        if record != self.found[name]:  # no copy of it
            self.problems.append(f"{place}: another record of run {name} is newer, or finished")


def _rank(record: Record) -> tuple[bool, str]:
    return record.get("state") == "finished", utc_time(record.get("finished") or record.get("started"))


def run_name(record: Record) -> str:
    """Return the name that identifies a run: that of its sweep, where it has one, and its own."""
    return f"{record['sweep']}/{record['name']}" if record.get("sweep") else str(record["name"])


def read_records(source: str | Path, sweep: str | None = None) -> Records:
    """Return the records of a folder of runs, or of "wandb:entity/project"; only a sweep's, where one is named.

    Raises DataError where there are none at all.
    """
    where = str(source)
    found = _of_wandb(where.removeprefix(WANDB), sweep) if where.startswith(WANDB) else _of_folder(Path(where))
    if not found.found and not found.problems:
        fix = "Make some: python -m mt.run; or name another place with --runs DIR or --wandb ENTITY/PROJECT"
        raise DataError(describe("runs", where, "no runs found", fix=fix))
    return found


def _of_folder(folder: Path) -> Records:
    """Read a run's folder, a sweep's, or one that holds runs and sweeps."""
    if not folder.is_dir():
        raise DataError(describe("runs", folder, no_folder(folder), fix="Name the folder of the runs: --runs DIR"))
    records = Records()
    for path in find_records(folder):
        records.add(str(path), (path / RECORD).read_text(encoding="utf-8", errors="replace"))
    return records


def _of_wandb(place: str, sweep: str | None) -> Records:
    """Read the records that runs left with W&B; of a run without one, what it logged there."""
    if place.count("/") != 1:
        raise DataError(describe("wandb", place, "not a project", allowed="ENTITY/PROJECT"))
    import wandb

    records = Records()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for run in wandb.Api(timeout=60).runs(place, filters={"group": sweep} if sweep else {}):
                files = list(run.files([RECORD]))
                records.add(run.name, _text(files[0], folder) if files else json.dumps(_logged(run)))
    except Exception as error:  # the boundary to somebody else's client, whose errors have no common root
        fix = "Look at the name and the network, and at the key: WANDB_API_KEY or wandb login"
        raise DataError(describe("wandb", place, first_line(error).rstrip("."), fix=fix)) from error
    return records


def _text(file: Any, folder: str) -> str:
    with file.download(folder, replace=True) as opened:
        return str(opened.read())


def _logged(run: Any) -> dict[str, Any]:
    """Return a run's record from W&B's config, summary and history, which hold neither command nor packages.

    A resumed run logs anew what it measured before it was stopped: the last row counts.
    """
    metrics = {}
    for row in run.scan_history():
        for name, value in row.items():
            model, *rest = name.split("/", 2)
            is_side = name.rpartition("_")[2] in _SIDES and name.rpartition("_")[0] in row
            is_ours = model in ("policy", "reward") and len(rest) == 2 and "iteration" in row
            if is_ours and not is_side:
                sides = {side: row.get(f"{name}_{side}") for side in _SIDES}
                place = {"iteration": row["iteration"], "model": model, "benchmark": rest[0], "metric": rest[1]}
                metrics[tuple(place.values())] = {**place, "value": value, **sides}
    return {
        "schema": SCHEMA, "name": run.name, "sweep": run.group or None, "metrics": list(metrics.values()),
        "state": run.summary.get("state") or run.state, "finished": run.heartbeat_at,
        "config": {name: value for name, value in run.config.items() if name != "stages"},
    }  # fmt: skip
