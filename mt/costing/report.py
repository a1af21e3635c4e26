"""A cost estimate as plain data and as tables: by kind of stage, with and without sharing, with its assumptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mt.costing.estimate import Cost, costs
from mt.methods.blueprint import Blueprint
from mt.workflow.plan import merge
from mt.workflow.store import Store


def estimate(runs: Sequence[Blueprint]) -> dict[str, Any]:
    """Return the cost of the runs' merged plan by stage name, its totals, and the totals without sharing."""
    config = runs[0].config
    store, hardware = Store(Path(config.store)), config.hardware
    merged = merge(one.plan for one in runs)
    shared, absent = costs(merged, config, store), {stage.key for stage in merged.missing(store)}
    alone = [cost for one in runs for cost in costs(one.plan, one.config, store)]
    missing = [cost for cost in shared if cost.stage.key in absent]
    return {
        "hardware": hardware.model_dump(),
        "assumptions": config.assumptions.model_dump(),
        "runs": len(runs),
        "stages": _by_name(shared, hardware.devices),
        "total": _total(shared, hardware.devices),
        "missing": _total(missing, hardware.devices),
        "without_sharing": _total(alone, hardware.devices),
    }


def print_estimate(found: dict[str, Any], console: Console) -> None:
    """Print the estimate."""
    table = Table(title=f"Estimated cost on {found['hardware']['name']}", title_justify="left", title_style="bold")
    table.add_column("stage")
    for title in (
        "number",
        "loads",
        "steps",
        "tokens",
        "PFLOP",
        "hours",
        "GPU-hours",
        "GiB/GPU",
        "GiB/node",
        "disk GB",
    ):
        table.add_column(title, justify="right")
    table.add_column("verdict")
    for name, row in found["stages"].items():
        verdict = "" if row["fits"] is None else "fits" if row["fits"] else f"[red]does not fit[/]: {row['advice']}"
        measured = " (measured)" if row["measured"] else ""
        table.add_row(name + measured, *_cells(row), verdict)
    console.print(table)
    for faster in dict.fromkeys(row["faster"] for row in found["stages"].values() if row["faster"]):
        names = ", ".join(name for name, row in found["stages"].items() if row["faster"] == faster)
        console.print(f"{names}: {faster}", soft_wrap=True)
    several = found["runs"] > 1
    console.print(_sentence("with sharing" if several else "total", found["total"]))
    if several:
        console.print(_sentence("without sharing", found["without_sharing"]))
    if found["missing"]["stages"] < found["total"]["stages"]:
        console.print(_sentence("still missing", found["missing"]))
    if scratch := found["total"]["scratch_bytes"]:
        console.print(f"while a model trains, up to {scratch / 1e9:,.1f} GB more for its checkpoints")
    if found["total"]["calls"] and not found["total"]["usd"]:
        price = "judge.usd_per_million_input=… judge.usd_per_million_output=…"
        console.print(f"The judge's price is not known; set {price}", style="dim")
    shown = " ".join(f"{name}={value:g}" for name, value in _assumed(found))
    console.print(f"Assumed, and to be overridden as written (or by hardware=…): {shown}", style="dim")


def _assumed(found: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every number that the estimate rests on, by its setting."""
    for group in ("assumptions", "hardware"):
        for name, value in found[group].items():
            parts = value.items() if isinstance(value, dict) else ()
            yield from ((f"{group}.{name}.{part}", share) for part, share in parts)
            if isinstance(value, int | float):
                yield f"{group}.{name}", value


def _by_name(found: Sequence[Cost], devices: int) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Cost]] = defaultdict(list)
    for cost in found:
        if cost.kind != "cpu":
            groups[cost.stage.name].append(cost)
    return {name: _row(group, devices) for name, group in groups.items()}


def _row(group: Sequence[Cost], devices: int) -> dict[str, Any]:
    memories = [cost.memory for cost in group if cost.memory]
    worst = max(memories, key=lambda memory: (not memory.fits, memory.gib), default=None)
    hours = sum(cost.seconds for cost in group) / 3600
    return {
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


def _cells(row: dict[str, Any]) -> list[str]:
    gib = "" if row["gib"] is None else f"{row['gib']:.1f}"
    host = "" if row["host_gib"] is None else f"{row['host_gib']:.0f}"
    hours = f"{row['hours']:.2f}" if row["hours"] >= 0.01 else f"{row['hours'] * 3600:.0f} s"
    disk = f"{row['disk_bytes'] / 1e9:,.2f}"
    return [
        str(row["number"]), str(row["loads"]), str(row["steps"] or ""), _count(row["tokens"]),
        f"{row['flops'] / 1e15:,.2f}", hours, _count(row["gpu_hours"]), gib, host, disk,
    ]  # fmt: skip


def _sentence(title: str, total: dict[str, Any]) -> str:
    calls = f", {total['calls']:,.0f} judge calls" if total["calls"] else ""
    price = f" for ${total['usd']:,.2f}" if total["usd"] else ""
    return (
        f"{title}: {total['stages']} stages, {total['loads']} loads of a model, {_count(total['tokens'])} tokens, "
        f"{total['flops'] / 1e15:,.1f} PFLOP, "
        f"{total['hours']:.2f} h of wall time one after another, {total['gpu_hours']:.1f} GPU-hours, "
        f"{total['disk_bytes'] / 1e9:,.1f} GB on disk{calls}{price}"
    )


def _count(value: float | None) -> str:
    if value is None:
        return ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.1f}"
