"""The head of the page: which runs these are, how they ended, and what the reader must know first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.report.record import Run, StageRow
from mt.config.fields import setting
from mt.engines.judging.base import judged_by
from mt.runtime.terminal import duration, local_time
from mt.workflow.run_record import time_taken

_HIGHLIGHTS = (
    ("method", "method.name"),
    ("objective", "objective.name"),
    ("reward-model data", "rm_data.name"),
    ("iterations", "iterations"),
    ("rounds", "rounds"),
    ("samples per prompt (K)", "sampling.samples"),
    ("seed", "seed"),
    ("world seed", "world_seed"),
    ("scale", "scale.name"),
    ("data", "data.name"),
    ("policy", "policy.path"),
    ("reward model", "reward.path"),
)


@dataclass(frozen=True)
class Head:
    """A run in a few facts: (name, value) pairs, its command, its packages."""

    name: str
    state: str
    facts: list[tuple[str, str]]
    command: str
    packages: list[tuple[str, str]]


def head(run: Run) -> Head:
    """Return the facts of a run."""
    record, judge, took = run.record, run.config.get("judge"), time_taken(run.record)
    git, host = record.get("git") or {}, record.get("host") or {}
    code = f"{git['commit'][:10]}{' with local changes' if git.get('dirty') else ''}" if git.get("commit") else ""
    facts = [
        *((title, setting(run.config, path)) for title, path in _HIGHLIGHTS),
        ("judge", judged_by(judge) if isinstance(judge, Mapping) and "name" in judge else None),
        ("started", local_time(record.get("started")) or None),
        ("took", duration(took) if took is not None and record.get("finished") else None),
        ("code", code or None),
        ("machine", (host.get("name") if isinstance(host, Mapping) else host) or None),
    ]
    return Head(
        name=run.name,
        state=run.state,
        facts=[(title, str(value)) for title, value in facts if value is not None],
        command=record.get("command") or "",
        packages=sorted((str(name), str(version)) for name, version in (record.get("packages") or {}).items()),
    )


def common_facts(heads: Sequence[Head]) -> list[tuple[str, str]]:
    """Return the facts that all runs agree on."""
    return [one for one in heads[0].facts if all(one in head.facts for head in heads)]


def notes(runs: Sequence[Run], stages: Mapping[str, StageRow], browser: Mapping[str, Any]) -> list[str]:
    """Return what the reader must know before reading a number."""
    found = [note for run in runs for note in run.notes]
    found += [_unfinished(run, len(runs) > 1) for run in runs if run.state != "finished"]
    found += [f"Run {run.name} recorded no metrics." for run in runs if not run.metrics]
    gone = [row for row in stages.values() if row.folder is None and row.state in ("computed", "reused")]
    if gone:
        found.append(
            f"{len(gone)} of {len(stages)} artifacts are no longer where the record says (moved, or removed from "
            "the store): what is drawn from them is absent."
        )
    if stages and not browser["prompts"]:
        found.append("No samples can be read: their artifacts are not there (yet).")
    return found


def _unfinished(run: Run, named: bool) -> str:
    who = f"Run {run.name}" if named else "The run"
    error = run.record.get("error")
    why = f": {error}" if error else ""
    said_of = {
        "failed": f"{who} failed{why}. What follows is what it had reached.",
        "interrupted": f"{who} was interrupted{why}. The same command continues it.",
        "running": f"{who} was still running when this page was made; numbers are incomplete.",
        "planned": f"{who} has not started: only its plan is shown.",
    }
    return said_of.get(run.state, f"{who} has the unknown state '{run.state}'.")
