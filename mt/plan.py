"""The plan of a run or a sweep: which stages it has, which are shared, done or missing. Computes nothing.

python -m mt.plan -m objective=dpo,ipo,simpo rm_data=both,contrast            a row for each run, and totals
python -m mt.plan -m objective=dpo,ipo --stages                               its stages as well
python -m mt.plan -m experiment=table1 scale=llama3_8b judge=openai --cost      hours, memory, disk, judge calls
python -m mt.plan --json                                                        for machines
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mt.cli.arguments import parse
from mt.config.compose import compose_runs, partial_settings
from mt.methods.compile import CompiledRun, compile_run
from mt.running.checks import lacking
from mt.running.exit_codes import exit_status_of
from mt.running.naming import run_name
from mt.running.variants import Described, duplicate_runs, run_labels, variant_names
from mt.runtime.terminal import print_line, terminal
from mt.runtime.text import counted
from mt.workflow.plan import merge
from mt.workflow.position import Position
from mt.workflow.stage import External

_FLAGS = {
    "--stages": "shows the stages of a sweep, too",
    "--cost": "shows hours, memory, disk and judge calls",
    "--json": "prints all as JSON",
}
_SHORT = 8  # letters of a key


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_status_of(lambda: _plan(given))


def _plan(given: list[str]) -> int:
    parsed = parse(given, "python -m mt.plan", _FLAGS)
    if parsed is None:
        return 0
    composed = compose_runs(parsed.overrides, multirun=parsed.multirun, path=parsed.path)
    for line in partial_settings(composed):
        print(line, file=sys.stderr)
    runs = [compile_run(one.config) for one in composed]
    found = describe_plan(runs)
    cost: dict[str, Any] | None = None
    if "--cost" in parsed.flags:
        from mt.costing.report import estimate, print_estimate  # late: no other plan needs it

        cost = estimate(runs)
    if "--json" in parsed.flags:
        print(json.dumps({**found, **({"cost": cost} if cost else {})}, indent=1))
    elif cost:
        print_estimate(cost, terminal(140))
    else:
        _print(found, terminal(140), stages="--stages" in parsed.flags)
    for line in found["lacking"]:
        print(f"before it can start: {line}", file=sys.stderr)
    return 0


def describe_plan(runs: list[CompiledRun]) -> dict[str, Any]:
    """Return the merged plan as plain data: its runs, its stages, their state, and how often they are needed."""
    store = runs[0].store
    merged = merge(one.plan for one in runs)
    needed = Counter(stage.key for one in runs for stage in one.plan.order)
    missing = {stage.key for stage in merged.missing(store)}
    states = {
        stage.key: "missing" if stage.key in missing else "done" if store.has(stage) else "not needed"
        for stage in merged.order
        if not isinstance(stage, External)
    }
    stages = [
        {
            "key": stage.key,
            "stage": stage.name,
            "position": merged.position(stage).data(),
            "state": states[stage.key],
            "runs": needed[stage.key],
            "inputs": [upstream.key for upstream in stage.inputs()],
            "needs": stage.NEEDS,
        }
        for stage in merged.order
        if stage.key in states
    ]
    described = [Described(run_name(one.config), one.config.model_dump(mode="json")) for one in runs]
    whats = run_labels(described, variant_names(described, compared=False))
    rows = [
        {"name": one.name, "what": what, **_counts(run, states, needed)}
        for run, one, what in zip(runs, described, whats, strict=True)
    ]
    return {
        "runs": rows,
        "stages": stages,
        "total": len(stages),
        "without_sharing": sum(row["stages"] for row in rows),
        "done": sum(state == "done" for state in states.values()),
        "missing": len(missing),
        "lacking": lacking(merged, store),
        "duplicate_runs": duplicate_runs((one.config, one.plan) for one in runs),
    }


def _counts(run: CompiledRun, states: Mapping[str, str], needed: Counter[str]) -> dict[str, int]:
    """Count one run's stages; one is shared where another run needs it, too."""
    keys = [stage.key for stage in run.plan.order if stage.key in states]
    counts = Counter(states[key] for key in keys)
    shared = sum(needed[key] > 1 for key in keys)
    return {"stages": len(keys), "done": counts["done"], "missing": counts["missing"], "shared": shared}


def _print(found: dict[str, Any], console: Console, *, stages: bool) -> None:
    several = len(found["runs"]) > 1
    if several:
        table = _table("run", "stages", "done", "to compute", "shared")
        for row in found["runs"]:
            table.add_row(Text(row["what"]), *(f"{row[name]:,}" for name in ("stages", "done", "missing", "shared")))
        console.print(table)
    if stages or not several:
        console.print(_stages_table(found["stages"], several=several))
    sharing = f" ({found['without_sharing']:,} without sharing)" if several else ""
    console.print(
        f"{counted(len(found['runs']), 'run')}, {found['total']:,} stages{sharing}: "
        f"{found['done']:,} done, {found['missing']:,} to compute"
        + (". The stages: --stages" if several and not stages else ""),
        highlight=False,
    )
    for line in found["duplicate_runs"]:
        print_line(console, line, "yellow")


def _stages_table(rows: Sequence[Mapping[str, Any]], *, several: bool) -> Table:
    """Return the stages below their positions; what they read tells those of one name apart."""
    table = _table("stage", "key", "state", *(["runs"] if several else []), "reads")
    colours = {"done": "green", "missing": "yellow", "not needed": "dim"}
    names = {row["key"]: f"{row['stage']} {row['key'][:_SHORT]}" for row in rows}
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(Position.of(row)), []).append(row)
    for place, inside in groups.items():
        table.add_row(Text(place, style="bold"))
        for row in inside:
            state = Text(row["state"], style=colours[row["state"]])
            reads = Text(", ".join(names[key] for key in dict.fromkeys(row["inputs"]) if key in names), style="dim")
            runs = [str(row["runs"])] if several else []
            table.add_row(f"  {row['stage']}", row["key"][:_SHORT], state, *runs, reads)
        table.add_section()
    return table


def _table(*titles: str) -> Table:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in titles:
        left = title in ("run", "stage", "key", "state", "reads")
        table.add_column(title, justify="left" if left else "right", overflow="fold")
    return table


if __name__ == "__main__":
    sys.exit(main())
