"""A brief run that is real in every part, and what came out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mt.workflow.store import Store
from tests.small import small
from tests.soak.found import Found
from tests.soak.started import Started

CHANGES = ["iterations=1", "eval=[held_out]", "eval.held_out.diagnostics=false", "trainer.checkpoint_minutes=0"]


def brief(place: Path, *overrides: str) -> list[str]:
    """Return the command line of a brief run whose store and record lie in `place`."""
    return [word for word in small(place, *CHANGES, *overrides) if not word.startswith("eval.alpaca_eval")]


def finish(place: Path, found: Found, *overrides: str) -> dict[str, Any]:
    """Let a brief run end, and return its results."""
    run = Started(brief(place, *overrides))
    if status := run.end():
        found.faults.append(f"{place.name}: {status} {run.stderr[-300:]!r}")
    return results(place)


def results(place: Path) -> dict[str, Any]:
    """Return what came out of a brief run: the checksums of all artifacts' files, the metrics, the state."""
    (record,) = [json.loads(path.read_text()) for path in place.glob("runs/*/record.json")]
    files = {
        one.key: {name: facts["sha256"] for name, facts in one.facts["files"].items() if name != "curves.jsonl"}
        for one in Store(place / "store").artifacts()
    }
    return {"files": files, "metrics": record["metrics"], "state": record["state"]}


def published(place: Path) -> dict[str, int]:
    """Return when each artifact was published, in nanoseconds, by its key."""
    return {path.parent.name: path.stat().st_mtime_ns for path in place.glob("store/[!.]*/*/artifact.json")}
