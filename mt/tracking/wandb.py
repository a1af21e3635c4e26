"""W&B as a tracker: always written offline into the run's folder, and uploaded by `wandb sync` beside the run."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import Field
from typing_extensions import Doc

from mt.tracking.base import Reporting, RunInfo, TableValue
from mt.tracking.guard import Guarded
from mt.tracking.upload import Uploader, writing

UNTRACKED = frozenset({"tracking", "launch", "experiment", "runs", "store"})
"""Settings that say where and how a run is done: changing them continues the same run."""
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


class WandbTracking(Reporting):
    """Weights & Biases; its key comes from WANDB_API_KEY or from `wandb login`, never from a configuration."""

    mode: Literal["offline", "online", "disabled"]
    """Write into the run's folder only (`python -m analysis.sync` uploads later), upload at once, or neither.
    WANDB_MODE sets it, too."""
    project: Annotated[str, Field(min_length=1, pattern=r"^[^/\\#?%:]+$"), Doc("without /\\#?%:")]
    """The W&B project; WANDB_PROJECT sets it, too."""
    entity: str | None
    """The W&B user or team; null takes the account's default. WANDB_ENTITY sets it, too."""
    base_url: str | None
    """The address of a W&B server of one's own; null takes WANDB_BASE_URL, or the public server."""
    tags: list[Annotated[str, Field(min_length=1, max_length=64)]]
    """Tags of the run, besides its own choices (method=…, objective=…, scale=…, rm_data=…)."""
    system_metrics: bool
    """Record the machine's use of processor, memory and GPUs as well."""

    def open(self, run: RunInfo, say: Callable[[str], None]) -> Guarded | None:
        """Return the tracker, the run introduced to it, or None in mode "disabled"."""
        if self.mode == "disabled":
            return None
        guarded = Guarded(self, say, f"; to upload it later: python -m analysis.sync {run.folder}")
        guarded.start(WandbTracker(self, say, guarded.trouble), run)
        return guarded

    def files(self, folder: Path) -> str:
        """Return the command that uploads them where they lie here only."""
        if self.mode == "disabled":
            return ""
        upload = f"python -m analysis.sync --runs {shlex.quote(str(folder))}"
        how = (
            f"; {upload} uploads it" if self.mode == "offline" else f", uploaded to {self.project}; the rest: {upload}"
        )
        return f"wandb/ of the run's folder{how}"


class WandbTracker:
    """Writes a run by W&B's client; a call that hangs is freed by ending the client's own process."""

    def __init__(self, config: WandbTracking, say: Callable[[str], None], trouble: Callable[[str], None]) -> None:
        self.config, self._say, self._trouble = config, say, trouble
        self._held = ExitStack()  # until the end: the environment, and the lock of the offline file
        self._uploader: Uploader | None = None
        self._last_words = "W&B did not answer in time"
        self._axes: set[str] = set()
        self._run: Any = None

    def start(self, run: RunInfo) -> None:
        """Introduce the run under an id that stays the same when it is resumed."""
        import wandb

        config, folder = self.config, run.folder.resolve()
        for line in _without_effect(config):
            self._say(line)
        self._held.enter_context(_environment(_variables(folder / "wandb", config)))
        self._run = wandb.init(
            id=run_id(run), name=run.name, project=config.project, entity=config.entity, job_type=run.job_type,
            config={**run.config, "stages": dict(run.stages or {})}, tags=run_tags(run, config.tags),
            group=os.environ.get("WANDB_RUN_GROUP") or run.sweep, dir=str(folder), mode="offline",
            resume="allow" if any(folder.glob("wandb/*run-*")) else None,
            settings=wandb.Settings(**_settings(config)),
        )  # fmt: skip
        file = Path(self._run.settings.sync_file)
        self._held.enter_context(writing(file).hold())
        self._run.define_metric("iteration")
        for names in ("policy/*", "reward/*", "samples/*"):
            self._run.define_metric(names, step_metric="iteration")
        if config.mode == "online":
            self._uploader = Uploader(file, self._hear, self._hear_end)

    def log(self, values: Mapping[str, float], axis: str, step: int) -> None:
        """Log a row, which W&B plots over its axis."""
        if axis not in {"iteration", *self._axes}:
            self._axes.add(axis)
            self._run.define_metric(axis, hidden=True)
            self._run.define_metric(f"{axis.rpartition('/')[0]}/*", step_metric=axis)
        self._run.log({axis: step, **values})

    def table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[TableValue]], iteration: int | None
    ) -> None:
        """Log a table."""
        import wandb

        table = wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)
        self._run.log({name: table, **({} if iteration is None else {"iteration": iteration})})

    def finish(self, state: str, record: Path) -> None:
        """End the run; where it is uploaded, wait for the rest unless the user is waiting for the end."""
        import wandb

        try:
            self._run.summary["state"] = state
            kept = Path(self._run.dir) / record.name
            shutil.copyfile(record, kept)
            self._run.save(str(kept), base_path=self._run.dir, policy="now")
            self._run.finish(exit_code=0 if state == "finished" else 1)
            wandb.teardown()  # the next run of this process has an environment of its own
            if self._uploader is not None:
                self._hear_end(self._uploader.wait(0 if state == "interrupted" else self.config.timeout_s))
        finally:
            self._held.close()

    def give_up(self) -> None:
        """End W&B's own processes: calls that wait for them return, and the written file can be uploaded later."""
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                if "wandb-core" in child.name():
                    child.kill()
        if self._uploader is not None:
            self._uploader.wait(0)
        self._held.close()
        import wandb

        wandb.teardown()  # its hook would wait for that process at the end of this one

    def _hear(self, line: str) -> None:
        """Take a line of W&B's upload: where the run is shown, and what goes wrong."""
        words = line.removeprefix("wandb: ").strip()
        if " View run " in line and "http" in line:
            self._say(f"W&B: {line[line.rindex('http') :].strip()}")
        elif any(mark in words.lower() for mark in ("error", "not authenticated", "fatal", "failed")):
            self._last_words = words

    def _hear_end(self, complete: bool) -> None:
        """Handle the end of the upload; giving up is reported at once, because the run may have days to go."""
        if not complete:
            self._trouble(f"W&B failed (upload: {self._last_words})")


def run_id(run: RunInfo) -> str:
    """Return the id of a run, the same whenever it is resumed: a hash of its sweep, its name and its settings.

    Two sweeps may hold a run of one name and of the same settings; each has its own record and its own W&B run.
    """
    kept = {key: value for key, value in run.config.items() if key not in UNTRACKED}
    text = json.dumps([run.sweep, run.name, kept], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_tags(run: RunInfo, given: Sequence[str]) -> list[str]:
    """Return a run's tags: the settings' and its choices ("rm_data=both"), which distinguish a sweep's runs."""
    groups = [group for group in (*run.groups, "scale") if run.config.get(group)]
    return sorted({*given, *(f"{group}={run.config[group]['name']}" for group in groups)})


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


def _variables(folder: Path, config: WandbTracking) -> dict[str, str | None]:
    """Return W&B's environment: its files inside the run's folder, silence, and nothing that would change the run."""
    return {
        **dict.fromkeys((*_FOREIGN, "WANDB_MODE", "WANDB_SERVICE")),
        "WANDB_DIR": str(folder.parent),
        "WANDB_DATA_DIR": str(folder / ".scratch" / "data"),
        "WANDB_CACHE_DIR": str(folder / ".scratch" / "cache"),
        "WANDB_SILENT": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_ERROR_REPORTING": "false",
        **({"WANDB_BASE_URL": config.base_url} if config.base_url else {}),
    }


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables of the environment, or remove them (None), while the block lasts."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _settings(config: WandbTracking) -> dict[str, Any]:
    """Return W&B's settings: bounded waits, nothing of the machine, the command line or the code."""
    return {
        "silent": True, "console": "off", "disable_git": True, "disable_code": True, "save_code": False,
        "x_disable_meta": True, "x_disable_machine_info": True, "x_save_requirements": False,
        "x_disable_stats": not config.system_metrics,
        "x_transaction_log_flush_interval": 2.0,
    }  # fmt: skip
