"""The record of a run: the one source of truth about what it was, how far it is and what was measured."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from mt.errors import StoreError
from mt.methods.compile import CompiledRun
from mt.running.answers import answers
from mt.running.naming import command_line
from mt.runtime.redact import redact
from mt.workflow import provenance
from mt.workflow.run_record import RECORD, SCHEMA, Question, read_record, seconds_between, time_taken
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store, write_text
from mt.workflow.work import read_metrics

log = logging.getLogger("mt")
RunState = Literal["planned", "running", "finished", "failed", "interrupted"]
_ORIGIN = ("command", "git", "packages", "host")  # of the attempt that computed
COLUMNS = ("iteration", "model", "benchmark", "metric", "value", "low", "high", "n")


class Record:
    """Writes `record.json`, `metrics.csv`, `config.yaml` and the links of one run."""

    def __init__(
        self,
        folder: Path,
        compiled: CompiledRun,
        store: Store,
        sweep: str | None = None,
        computed: Iterable[str] = (),
    ) -> None:
        """Begin a record; `computed` are keys of stages that other processes computed for this run."""
        self.folder, self.compiled, self.store = folder, compiled, store
        self.facts: dict[str, Any] = {
            "schema": SCHEMA,
            "name": folder.name,
            "sweep": sweep,
            "state": "planned",
            "command": shlex.join(command_line()),
            "config": compiled.config.model_dump(mode="json"),
            "git": provenance.git_state(),
            "packages": provenance.packages(),
            "host": provenance.host(),
            "started": None,
            "finished": None,
            "seconds": None,  # of the attempts that computed something
            "error": None,
            "stages": [],
            "metrics": [],
            "answers": {},
            "final": None,  # the iteration that a run which stopped ended with
        }
        self._earlier: dict[str, Any] = {}
        with contextlib.suppress(StoreError):  # there is none, or it is written anew
            self._earlier = read_record(folder)
        self._computed = {one["key"] for one in self._earlier.get("stages", ()) if one["state"] == "computed"}
        self._computed |= set(computed)
        self._began, self._added = "", False  # when this attempt began, and whether it computed something
        self._own = dict[str, Any]()
        # Published artifacts never change: what is said of them is made once, not at every writing.
        self._entries: dict[str, dict[str, Any]] = {}
        self._measured: dict[str, list[dict[str, Any]]] = {}
        self._table = ""

    def begin(self, since: str | None = None) -> None:
        """Say that the run is under way.

        An attempt that goes on with an earlier one adds its time; until it computes something, all that is said of who
        computed remains. `since` is when other processes began to compute for this run; then theirs is the only time.
        """
        from omegaconf import OmegaConf

        self.folder.mkdir(parents=True, exist_ok=True)
        config = OmegaConf.create(redact(self.facts["config"]))
        write_text(self.folder / "config.yaml", OmegaConf.to_yaml(config))
        self._began = since or _now()
        if since is not None:
            self._earlier = {}
        self._own = {name: self.facts[name] for name in _ORIGIN}
        self.facts |= {name: self._earlier[name] for name in _ORIGIN if name in self._earlier}
        self.facts["started"] = self._earlier.get("started") or self._began
        self.write("running")

    def computed(self, stage: Stage) -> None:
        """Remember that this run computed a stage, and write down how far it is."""
        self._computed.add(stage.key)
        self.facts |= self._own
        self._added = True
        self.write("running")

    def end(self, state: RunState, error: BaseException | None = None) -> None:
        """Say how the run ended; links to the artifacts appear beside the record."""
        again = state == self._earlier.get("state") == "finished" and not self._added
        self.facts["finished"] = self._earlier["finished"] if again else _now()
        self.facts["error"] = f"{type(error).__name__}: {error}" if error is not None else None
        if state == "finished":
            self.facts["answers"] = self._answers()
            stopped = self.compiled.stopped(self.store)
            self.facts["final"] = None if stopped is None else self.compiled.final(self.store).index
        self.write(state)
        self._link()

    def write(self, state: RunState) -> None:
        """Write the record and its metrics as they are now."""
        self.facts["state"] = state
        self.facts["seconds"] = self._seconds()
        unneeded = self.compiled.plan.unneeded(self.store)
        self.facts["stages"] = [self._stage(stage, stage.key in unneeded) for stage in self.compiled.plan.order]
        self.facts["metrics"] = self._metrics()
        described = {name: value for name, value in self.facts.items() if name not in ("stages", "metrics")}
        entries = {name: self.facts[name] for name in ("stages", "metrics")}  # redacted already
        write_text(self.folder / RECORD, _laid_out(redact(described) | entries))
        if (table := _as_csv(self.facts["metrics"])) != self._table:
            write_text(self.folder / "metrics.csv", table)
            self._table = table

    def _seconds(self) -> float | None:
        """Return how long the attempts that computed something took, this one until now."""
        before = time_taken(self._earlier)
        if not self._began or (before is not None and not self._added):
            return before
        return round((before or 0.0) + seconds_between(self._began, _now()), 3)

    def _stage(self, stage: Stage, unneeded: bool) -> dict[str, Any]:
        known = self._entries.get(stage.key)
        if known is not None and known["state"] in ("computed", "reused"):
            return known
        found = self.store.has(stage)
        if known is None or found:
            known = self._entries[stage.key] = redact(self._entry(stage, found))
        return known if found else {**known, "state": "unneeded" if unneeded else "missing"}

    def _entry(self, stage: Stage, found: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        with contextlib.suppress(StoreError):  # a damaged artifact is named where it is verified
            facts = self.store.artifact(stage).facts if found and not isinstance(stage, External) else {}
        state = "computed" if stage.key in self._computed else "reused"
        return {
            "key": stage.key,
            "stage": stage.name,
            "position": self.compiled.plan.position(stage).data(),
            "path": os.path.relpath(self.store.path(stage), self.folder),
            "inputs": [upstream.key for upstream in stage.inputs()],
            "state": state if found else "missing",
            "seconds": facts.get("seconds"),
            "counts": facts.get("counts", {}),
        }

    def _metrics(self) -> list[dict[str, Any]]:
        return [
            {"iteration": one.iteration, "model": one.model, **row, "stage": one.stage.key}
            for one in self.compiled.evaluations
            for row in self._measurements(one.stage)
        ]

    def _measurements(self, stage: Stage) -> list[dict[str, Any]]:
        if stage.key not in self._measured:
            if not self.store.has(stage):
                return []
            try:
                self._measured[stage.key] = [asdict(metric) for metric in read_metrics(self.store.path(stage))]
            except StoreError:  # as in _entry
                return []
        return self._measured[stage.key]

    def _answers(self) -> dict[Question, str]:
        """Return the run's answers; a failure there is reported in their place and does not fail the run."""
        try:
            return answers(self.compiled, self.store, self.facts["command"])
        except Exception as error:
            log.warning("the answers failed", exc_info=error)
            return {"failed": f"The answers failed ({type(error).__name__}); run.log has the traceback"}

    def _link(self) -> None:
        """Link the models and tables of every iteration under readable names."""
        links = self.folder / "store"
        links.mkdir(exist_ok=True)
        for one in self.compiled.graph.iterations:
            for kind in ("policy", "reward", "samples", "rewards", "selected", "self_training", "contrast"):
                stage = getattr(one, kind)
                if stage is not None and self.store.has(stage):
                    link = links / f"iteration_{one.index}-{kind}"
                    link.unlink(missing_ok=True)
                    link.symlink_to(os.path.relpath(self.store.path(stage), links.resolve()))


def _laid_out(facts: Mapping[str, Any]) -> str:
    """Return JSON with a line for every fact, stage and metric: written often, it has to be quick."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value) + "\n ]"
        else:
            text = json.dumps(value, ensure_ascii=False)
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _as_csv(metrics: list[dict[str, Any]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(metrics)
    return file.getvalue()


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
