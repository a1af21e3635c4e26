"""W&B as a tracker: calls become messages for the worker process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any

from mt.tracking.base import MetricRow, RunInfo, RunLink, SampleRow, TrackedStage
from mt.tracking.channel import Channel
from mt.tracking.naming import curve_axis, curve_values, metric_values, run_id, run_tags
from mt.tracking.redact import redact
from mt.tracking.settings import WandbTracking

_METRIC_COLUMNS = ["iteration", "model", "benchmark", "metric", "value", "low", "high", "n"]
_STAGE_COLUMNS = ["stage", "key", "state", "seconds", "curves in run", "run name"]
_MARGIN_S = 5.0
"""Seconds that the worker has for its own end, beyond what it waits for the server."""
_SCRATCH = {"WANDB_DATA_DIR": "data", "WANDB_CACHE_DIR": "cache"}
_FOREIGN = {
    "WANDB_DIR": "W&B's files lie in the run's own folder",
    **dict.fromkeys(("WANDB_RUN_ID", "WANDB_RESUME"), "a run keeps its own id when it is resumed"),
    "WANDB_NAME": "a run has its own name (name=NAME)",
    "WANDB_TAGS": "tags are tracking.tags=[…]",
    "WANDB_JOB_TYPE": "the job type is the method",
    "WANDB_NOTES": "runs have no notes",
    "WANDB_SWEEP_ID": "sweeps are this project's own (-m)",
}
"""W&B's variables that have no effect here, and why."""


class WandbTracker:
    """Mirrors a run to W&B; what goes wrong there is said once and changes nothing here."""

    def __init__(self, config: WandbTracking, say: Callable[[str], None]) -> None:
        self.config = config
        self.link: RunLink | None = None
        self._folder = Path()
        self._say = say
        self._said = False
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._defined: set[str] = set()
        self._stages: dict[str, list[Any]] = {}

    def start(self, run: RunInfo) -> None:
        """Introduce the run under an id that stays the same when it is resumed."""
        config = self.config
        self._folder = run.folder
        for line in _without_effect(config):
            self._say(line)
        resumed = any(run.folder.glob("wandb/*run-*"))
        place = f"{config.entity or '-'}/{config.project}"
        self.link = RunLink(place, run_id(run), run.name)
        introduction = {
            "id": self.link.run_id, "name": run.name, "project": config.project, "entity": config.entity,
            "config": redact(run.config), "job_type": run.job_type,
            "group": os.environ.get("WANDB_RUN_GROUP") or run.sweep,
            "tags": run_tags(run.config, config.tags), "dir": str(run.folder.resolve()),
            "resume": "allow" if resumed else None,
        }  # fmt: skip
        try:
            self._channel = Channel(
                run.folder.resolve() / "wandb" / "worker.log",
                _environment(run.folder.resolve() / "wandb", config),
                config.queue_size,
                self._hear,
            )
        except OSError as error:
            self._trouble(f"W&B's process does not start ({error})")
            return
        start = {"do": "start", "run": introduction, "settings": _settings(config)}
        self._send(start | {"online": config.mode == "online", "finish_timeout_s": config.finish_timeout_s})

    def log(self, rows: Sequence[MetricRow]) -> None:
        """Report metrics under names like "policy/alpaca_eval/lc_win_rate" over the iteration."""
        by_iteration: dict[int, dict[str, float]] = {}
        for row in rows:
            by_iteration.setdefault(row.iteration, {}).update(metric_values(row))
        for iteration, values in sorted(by_iteration.items()):
            self._send({"do": "log", "values": {"iteration": iteration, **values}})

    def curve(self, stage: TrackedStage, step: int, metrics: Mapping[str, float]) -> None:
        """Report a step of a training under "train/<stage>/<metric>" over the stage's own steps."""
        axis = curve_axis(stage)
        if axis not in self._defined:
            self._defined.add(axis)
            self._send({"do": "define", "glob": f"train/{stage.slug}/*", "step": axis})
        self._send({"do": "log", "values": curve_values(stage, step, metrics)}, droppable=True)

    def stages(self, stages: Sequence[TrackedStage]) -> None:
        """Put the keys of the plan's stages into the run's configuration."""
        self._send({"do": "config", "values": {"stages": {stage.slug: stage.key for stage in stages}}})

    def stage(self, stage: TrackedStage, state: str, seconds: float | None, logged_by: RunLink | None) -> None:
        """Remember what became of a stage, and point to the run that shows its curves when it is another one."""
        shown = [logged_by.run_id, logged_by.name] if logged_by else ["", ""]
        self._stages[stage.slug] = [stage.slug, stage.key, state, seconds, *shown]
        if logged_by is not None and logged_by != self.link:
            values = {"run": logged_by.run_id, "name": logged_by.name, "project": logged_by.place}
            self._send({"do": "summary", "values": {f"curves/{stage.slug}": values}})

    def samples(self, iteration: int, rows: Sequence[SampleRow]) -> None:
        """Show sampled responses as a table of the iteration."""
        columns = [field.name for field in fields(SampleRow)]
        cells = redact([list(astuple(row)) for row in rows])
        values = {"iteration": iteration}
        self._send({"do": "table", "name": "samples/responses", "columns": columns, "rows": cells, "values": values})

    def summary(self, rows: Sequence[MetricRow]) -> None:
        """Show the run's metrics, and what became of its stages, as tables."""
        cells = [[row.iteration, row.model, *asdict(row.metric).values()] for row in rows]
        self._send({"do": "table", "name": "tables/metrics", "columns": _METRIC_COLUMNS, "rows": cells})
        if self._stages:
            stages = [self._stages[slug] for slug in sorted(self._stages)]
            self._send({"do": "table", "name": "tables/stages", "columns": _STAGE_COLUMNS, "rows": stages})

    def finish(self, state: str, record: Path | None) -> None:
        """End the run, wait a bounded time for W&B, and say what has to be uploaded later."""
        channel = self._channel
        if channel is None:
            return
        self._send({"do": "summary", "values": {"state": state}})
        if record is not None and record.is_file():
            self._send({"do": "file", "path": str(self._copy(record)), "name": "record.json"})
        self._send({"do": "finish", "exit_code": 0 if state == "finished" else 1})
        self._channel = None
        patience_s = _MARGIN_S + (self.config.finish_timeout_s if state in ("finished", "failed") else 0)
        if not channel.close(patience_s):
            self._trouble(f"W&B is slow; its process {channel.pid} goes on for a while by itself")
        if channel.dropped:
            self._say(f"W&B lacks {channel.dropped} points of training curves; curves.jsonl has them all")

    def _copy(self, record: Path) -> Path:
        """Return a copy of the record that may be shown to others."""
        copy = record.resolve().parent / "wandb" / ".scratch" / "record.json"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(json.dumps(redact(json.loads(record.read_text())), ensure_ascii=False))
        return copy

    def _send(self, message: Mapping[str, Any], *, droppable: bool = False) -> None:
        if self._channel is not None:
            self._channel.send(message, droppable=droppable)

    def _hear(self, event: dict[str, Any]) -> None:
        """Take a report of the worker (on the channel's thread)."""
        if event["event"] == "online":
            self._say(f"W&B: {event['url']}")
        elif event["event"] == "problem":
            self._trouble(f"W&B failed ({event['kind']}: {event['text']})")
        elif event["event"] == "lost":
            self._trouble("W&B's process ended early")

    def _trouble(self, text: str) -> None:
        with self._lock:
            if self._said:
                return
            self._said = True
        mend = f"to upload it later: python -m analysis.sync {self._folder}"
        self._say(f"{text}. The run goes on, and its record is complete; {mend}")


def _without_effect(config: WandbTracking) -> list[str]:
    """Return a line for each of W&B's variables that is set and not used, and what is used in its place."""
    settings = {
        "WANDB_MODE": "mode",
        "WANDB_PROJECT": "project",
        "WANDB_ENTITY": "entity",
        "WANDB_BASE_URL": "base_url",
    }
    used = {name: (field, getattr(config, field)) for name, field in settings.items()}
    reasons = _FOREIGN | {
        name: f"tracking.{field}={value}"
        for name, (field, value) in used.items()
        if value not in (None, os.environ.get(name))
    }
    return [f"{name}={os.environ[name]} has no effect: {why}" for name, why in reasons.items() if os.environ.get(name)]


def _environment(folder: Path, config: WandbTracking) -> dict[str, str]:
    """Return the worker's environment: W&B's files inside the run's folder, the user's key, silence."""
    kept = {name: value for name, value in os.environ.items() if name not in {*_FOREIGN, "WANDB_MODE"}}
    quiet = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_ERROR_REPORTING": "false"}
    ours = {**quiet, "WANDB_DIR": str(folder.parent)}
    scratch = {name: str(folder / ".scratch" / part) for name, part in _SCRATCH.items()}
    server = {"WANDB_BASE_URL": config.base_url} if config.base_url else {}
    # The worker writes an offline file in any case; online, what uploads it must not be offline.
    mode = {} if config.mode == "online" else {"WANDB_MODE": config.mode}
    return {**kept, **ours, **scratch, **server, **mode}


def _settings(config: WandbTracking) -> dict[str, Any]:
    """Return W&B's settings: bounded waits, nothing of the machine, the command line or the code."""
    return {
        "silent": True, "console": "off", "disable_git": True, "disable_code": True, "save_code": False,
        "x_disable_meta": True, "x_disable_machine_info": True, "x_save_requirements": False,
        "x_disable_stats": not config.system_metrics, "x_stats_pid": os.getpid(),
        "x_transaction_log_flush_interval": 2.0,
    }  # fmt: skip
