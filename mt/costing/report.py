"""A cost estimate as plain data and as tables: by kind of stage, with and without sharing, with its assumptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from mt.costing.estimate import Cost, assumptions_used, costs
from mt.methods.compile import CompiledRun
from mt.runtime.text import counted, scaled
from mt.workflow.plan import merge


def estimate(runs: Sequence[CompiledRun]) -> dict[str, Any]:
    """Return the cost of the runs' merged plan by stage name, its totals, and the totals without sharing."""
    config = runs[0].config
    store, hardware = runs[0].store, config.hardware
    merged = merge(one.plan for one in runs)
    shared, absent = costs(merged, config, store), {stage.key for stage in merged.missing(store)}
    alone = [cost for one in runs for cost in costs(one.plan, one.config, store)]
    missing = [cost for cost in shared if cost.stage.key in absent]
    return {
        "hardware": hardware.model_dump(),
        "assumptions": assumptions_used(merged, config.assumptions),
        "runs": len(runs),
        "stages": _by_name(shared, hardware.devices),
        "total": _total(shared, hardware.devices),
        "missing": _total(missing, hardware.devices),
        "without_sharing": _total(alone, hardware.devices),
    }


def print_estimate(found: dict[str, Any], console: Console) -> None:
    """Print the estimate; the table takes less than 100 columns."""
    console.print(f"[bold]Estimated cost on {found['hardware']['name']}[/bold]\n", highlight=False)
    gpu = found["hardware"]["gpu"]
    console.print(_table(found["stages"], gpu=gpu))
    said = [f"{name} does not fit: {row['advice']}" for name, row in found["stages"].items() if row["fits"] is False]
    for faster in dict.fromkeys(row["faster"] for row in found["stages"].values() if row["faster"]):
        names = ", ".join(name for name, row in found["stages"].items() if row["faster"] == faster)
        said.append(f"{names}: {faster}")
    several = found["runs"] > 1
    said.append(_sentence("with sharing" if several else "total", found["total"], gpu=gpu))
    if several:
        said.append(_sentence("without sharing", found["without_sharing"], gpu=gpu))
    if found["missing"]["stages"] < found["total"]["stages"]:
        said.append(_sentence("still missing", found["missing"], gpu=gpu))
    if scratch := found["total"]["scratch_bytes"]:
        said.append(f"while a model trains, up to {scaled(scratch, 'B')} more for its checkpoints")
    for line in said:
        console.print(line, markup=False, highlight=False)
    notes = [f"{name}={value:g}" for name, value in _assumed(found)]
    if measured := [name for name, row in found["stages"].items() if row["measured"]]:
        console.print(f"Hours by what finished stages took: {', '.join(measured)}.", style="dim", highlight=False)
    if found["total"]["calls"] and not found["total"]["usd"]:
        price = "judge.usd_per_million_input=… judge.usd_per_million_output=…"
        console.print(f"The judge's price is not known; set {price}", style="dim", highlight=False)
    shown = f"Assumed, and to be overridden as written (or by hardware=…): {' '.join(notes)}"
    console.print(shown, style="dim", highlight=False)


def _table(stages: Mapping[str, Mapping[str, Any]], *, gpu: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0, header_style="bold")
    table.add_column("stage", no_wrap=True)
    of_device = ("GPU-hours", "GiB/GPU") if gpu else ("GiB",)
    for title in ("times", "loads", "steps", "tokens", "time", *of_device, "GiB/node", "disk", "fits"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, row in stages.items():
        table.add_row(
            name, str(row["number"]), str(row["loads"]), str(row["steps"] or ""), scaled(row["tokens"]),
            _time(row["hours"]), *([f"{row['gpu_hours']:,.1f}"] if gpu else []),
            "" if row["gib"] is None else f"{row['gib']:.1f}",
            "" if row["host_gib"] is None else f"{row['host_gib']:.0f}",
            scaled(row["disk_bytes"], "B"),
            "" if row["fits"] is None else "yes" if row["fits"] else "[red]no[/]",
        )  # fmt: skip
    return table


def _assumed(found: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every number that the estimate rests on, by its setting."""
    for group in ("assumptions", "hardware"):
        for name, value in found[group].items():
            parts = value.items() if isinstance(value, dict) else ()
            yield from ((f"{group}.{name}.{part}", share) for part, share in parts)
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{group}.{name}", value


def _by_name(found: Sequence[Cost], devices: int) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Cost]] = defaultdict(list)
    for cost in found:
        if cost.kind != "cpu":
            groups[cost.stage.name].append(cost)
    rows = {}
    for name, group in groups.items():
        memories = [cost.memory for cost in group if cost.memory]
        worst = max(memories, key=lambda memory: (not memory.fits, memory.gib), default=None)
        hours = sum(cost.seconds for cost in group) / 3600
        rows[name] = {
            "number": len(group),
            "loads": sum(cost.loads for cost in group),
            "steps": max(cost.steps for cost in group),
            "kind": group[0].kind,
            "tokens": sum(cost.tokens for cost in group),
            "flops": sum(cost.flops for cost in group),
            "hours": hours,
            "gpu_hours": 0.0 if group[0].kind == "network" else devices * hours,
            "gib": worst.gib if worst else None,
            "host_gib": max((memory.host_gib for memory in memories), default=None),
            "fits": worst.fits if worst else None,
            "advice": worst.advice if worst else "",
            "faster": next((cost.faster for cost in group if cost.faster), ""),
            "disk_bytes": sum(cost.disk_bytes for cost in group),
            "calls": sum(cost.calls for cost in group),
            "usd": sum(cost.usd for cost in group),
            "measured": all(cost.measured for cost in group),
        }
    return rows


def _total(found: Sequence[Cost], devices: int) -> dict[str, Any]:
    on_gpu = [cost for cost in found if cost.kind in ("generate", "score", "train")]
    return {
        "stages": len(found),
        "loads": sum(cost.loads for cost in found),
        "tokens": sum(cost.tokens for cost in found),
        "flops": sum(cost.flops for cost in found),
        "hours": sum(cost.seconds for cost in found) / 3600,
        "gpu_hours": devices * sum(cost.seconds for cost in on_gpu) / 3600,
        "disk_bytes": sum(cost.disk_bytes for cost in found),
        "scratch_bytes": max((cost.scratch_bytes for cost in found), default=0.0),
        "calls": sum(cost.calls for cost in found),
        "usd": sum(cost.usd for cost in found),
        "fits": all(cost.memory.fits for cost in found if cost.memory),
    }


def _sentence(title: str, total: dict[str, Any], *, gpu: bool) -> str:
    gpu_hours = f"{total['gpu_hours']:,.1f} GPU-hours, " if gpu else ""
    calls = f", {total['calls']:,.0f} judge calls" if total["calls"] else ""
    price = f" for ${total['usd']:,.2f}" if total["usd"] else ""
    return (
        f"{title}: {counted(total['stages'], 'stage')}, {counted(total['loads'], 'load')} of a model, "
        f"{scaled(total['tokens'])} tokens, {scaled(total['flops'], 'FLOP')}, "
        f"{_time(total['hours'])} of wall time one after another, "
        f"{gpu_hours}{scaled(total['disk_bytes'], 'B')} on disk{calls}{price}"
    )


def _time(hours: float) -> str:
    """Return a time in seconds, minutes or hours."""
    seconds = hours * 3600
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min" if hours < 1 else f"{hours:,.1f} h"
