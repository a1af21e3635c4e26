"""The plan of a run or a sweep: which stages it has, which are shared, done or missing. Computes nothing.

python -m mt.plan -m objective=dpo,ipo,simpo rm_data=both,contrast
python -m mt.plan -m experiment=table1 scale=llama3_8b judge=openai --cost      hours, memory, disk, judge calls
python -m mt.plan --json                                                        for machines
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mt.cli.arguments import parse
from mt.config.compose import compose_runs
from mt.methods.blueprint import Blueprint, blueprint
from mt.running.duplicate_runs import duplicate_runs
from mt.running.exit_codes import ended
from mt.running.naming import run_name
from mt.workflow.plan import merge
from mt.workflow.position import Position
from mt.workflow.stage import External
from mt.workflow.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return ended(lambda: _plan(given))


def _plan(given: list[str]) -> int:
    parsed = parse(given, "python -m mt.plan", ["--json", "--cost"])
    if parsed is None:
        return 0
    composed = compose_runs(parsed.overrides, multirun=parsed.multirun, path=parsed.path)
    runs = [blueprint(one.config) for one in composed]
    cost = _estimate(runs) if "--cost" in parsed.flags else None
    found = describe_plan(runs)
    if "--json" in parsed.flags:
        print(json.dumps({**found, **({"cost": cost} if cost else {})}, indent=1))
    elif cost:
        from mt.costing.report import print_estimate

        print_estimate(cost, _console())
    else:
        _print(found, _console())
    return 0


def _estimate(runs: list[Blueprint]) -> dict[str, Any]:
    from mt.costing.report import estimate

    return estimate(runs)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=140)


def describe_plan(runs: list[Blueprint]) -> dict[str, Any]:
    """Return the merged plan as plain data: its stages, their state, and how often they are needed."""
    store = Store(Path(runs[0].config.store))
    merged = merge(one.plan for one in runs)
    needed = Counter(stage.key for one in runs for stage in one.plan.order)
    missing = {stage.key for stage in merged.missing(store)}
    stages = [
        {
            "key": stage.key,
            "stage": stage.name,
            "position": merged.position(stage).data(),
            "state": "missing" if stage.key in missing else "done" if store.has(stage) else "not needed",
            "runs": needed[stage.key],
            "inputs": [upstream.key for upstream in stage.inputs()],
            "needs": stage.NEEDS,
        }
        for stage in merged.order
        if not isinstance(stage, External)
    ]
    counted = {str(stage["key"]) for stage in stages}
    return {
        "runs": [run_name(one.config) for one in runs],
        "stages": stages,
        "total": len(stages),
        "without_sharing": sum(count for key, count in needed.items() if key in counted),
        "done": sum(stage["state"] == "done" for stage in stages),
        "missing": len(missing),
        "duplicate_runs": duplicate_runs((one.config, one.plan) for one in runs),
    }


def _print(found: dict[str, Any], console: Console) -> None:
    several = len(found["runs"]) > 1
    table = Table(header_style="bold")
    for title in ("where", "stage", "key", "state", *(["runs"] if several else [])):
        table.add_column(title, justify="right" if title == "runs" else "left")
    colours = {"done": "green", "missing": "yellow", "not needed": "dim"}
    for stage in found["stages"]:
        state = f"[{colours[stage['state']]}]{stage['state']}[/]"
        row = [str(Position.of(stage)), stage["stage"], stage["key"][:12], state]
        table.add_row(*row, *([str(stage["runs"])] if several else []))
    console.print(table)
    sharing = f" ({found['without_sharing']} without sharing)" if several else ""
    console.print(
        f"{len(found['runs'])} run(s), {found['total']} stages{sharing}: "
        f"{found['done']} done, {found['missing']} to compute"
    )
    for line in found["duplicate_runs"]:
        console.print(line, markup=False, highlight=False, style="yellow", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
