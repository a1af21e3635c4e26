"""Write the tables and the figure of the world study from benchmarks/study.csv.

    python -m benchmarks.study_report

The tables go between the marks in benchmarks/study.md, the figure to benchmarks/study.png.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.aggregate import aggregate
from analysis.cells import Cell, Report
from analysis.figures import draw
from analysis.frame import COLUMNS
from analysis.spec import Column, TableSpec
from analysis.study_specs import ITERATIONS, STUDY, TRANSFER
from benchmarks.study import BELIEFS, RECORDED, SECTIONS, Row, load, runs

PAGE, FIGURE = (Path(__file__).with_name(f"study.{kind}") for kind in ("md", "png"))
BEGIN, END = "<!-- written by python -m benchmarks.study_report -->\n", "<!-- end -->\n"
TITLES = {
    "chat": "Chat",
    "chat_hard": "Chat Hard",
    "safety": "Safety",
    "reasoning": "Reasoning",
    "plain": "none",
    "doubted": "some",
    "shared": "most",
}
"""Sections; then, by how many of π_1's responses to a prompt give a misconception about what it asks."""
SHORT = ("both (the paper's)", "consensus", "consensus in E-step 2", "consensus alone", "M-step labelled by gold")
TAUGHT = ("both (the paper's)", "self-training pairs", "consensus", "M-step labelled by gold")


def main() -> None:
    """Write both from what has been measured."""
    rows = load()
    frame = as_frame(rows)
    found = aggregate(STUDY, frame)
    draw(found).figure.savefig(FIGURE, dpi=110)
    text = "\n".join(page(frame, rows))
    old = PAGE.read_text("utf-8")
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}{text}\n{END}", old, flags=re.DOTALL), "utf-8")


def page(frame: pd.DataFrame, rows: list[Row]) -> Iterator[str]:
    """Yield the tables, line by line."""
    pairs = {(row["world"], row["seed"]) for row in rows}
    worlds = sorted({int(row["world"]) for row in rows})
    yield f"Measured so far: {len(pairs)} pairs of world and seed (worlds {', '.join(map(str, worlds))}).\n"
    kept = ("gold.mean_reward", "gold.win_rate", "same_responses")
    yield from table(aggregate(_only(STUDY, kept), frame))
    yield "\n**Gold reward of π_2 by section, and by misconception**\n"
    yield from table(aggregate(_by_group(SHORT, "gold", "mean_reward", None), frame))
    yield "\n**Accuracy of r_1 minus that of r_0 on the same responses of π_1, in points, likewise**\n"
    yield from table(aggregate(_by_group(TAUGHT, "same_responses", "gain_over_base", 1), frame))
    for title, spec in (("Three iterations", ITERATIONS), ("Another policy", TRANSFER)):
        report = aggregate(_only(spec, kept), frame)
        if any(cell.difference for cell in report.cells.values()):
            yield f"\n**{title}**\n"
            yield from table(report)


def _only(spec: TableSpec, kept: tuple[str, ...]) -> TableSpec:
    return replace(spec, columns=tuple(one for one in spec.columns if any(name in one.name for name in kept)))


def _by_group(titles: tuple[str, ...], benchmark: str, metric: str, iteration: int | None) -> TableSpec:
    """Return the study's table of some rows with a column for each group of prompts."""
    chance = None if iteration is None else 0.0
    columns = tuple(
        Column(
            TITLES[group],
            (benchmark, f"{metric}_{group}"),
            model="policy" if iteration is None else "reward",
            digits=3 if iteration is None else 1,
            iteration=iteration,
            chance=chance,
        )
        for group in SECTIONS + BELIEFS
    )
    rows = tuple(row for row in STUDY.rows if row.title in (*titles, "frozen"))
    return replace(STUDY, rows=rows, columns=columns, comparisons=())


def table(report: Report) -> Iterator[str]:
    """Yield a Markdown table of what each row gains on its counterpart, where anything is known of it."""
    yield f"| | {' | '.join(column.full_title for column in report.columns)} | pairs |"
    yield f"|---{'|---:' * (len(report.columns) + 1)}|"
    group = ""
    for row in report.spec.rows:
        cells = [report.cells[row.title, column.name] for column in report.columns]
        count = max((cell.difference.n or 0 for cell in cells if cell.difference), default=0)
        if not count or not row.iteration or row.group == "Before":
            continue
        if row.group != group and row.group:
            group = row.group
            yield f"| *{group}* {'| ' * (len(cells) + 1)}|"
        yield f"| {row.title} | {' | '.join(map(gain, cells))} | {count} |"


def gain(cell: Cell) -> str:
    """Return a difference with half its 95% interval, bold where that excludes zero."""
    one = cell.difference
    if one is None:
        return "–"
    text = cell.column.text(one.value, "+")
    if one.low is None or one.high is None:
        return text
    text += f" ± {cell.column.text((one.high - one.low) / 2)}"
    return f"**{text}**" if one.sign else text


def as_frame(rows: list[Row]) -> pd.DataFrame:
    """Return what has been measured as `analysis.load` returns runs."""
    configs = {one.arm: one.config.model_dump(mode="json") for one in runs(0, 0)}
    found = [line for row in rows if row["arm"] in configs for line in _lines(row, configs[row["arm"]])]
    return pd.DataFrame(found, columns=list(COLUMNS)).astype({"value": float, "low": float, "high": float})


def _lines(row: Row, config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one iteration of a run, metric by metric."""
    world, seed = int(row["world"]), int(row["seed"])
    own = {**config, "seed": seed, "world_seed": world, "data": {**config["data"], "seed": world}}
    common = {
        "run": f"{row['arm']}/{world}/{seed}",
        "state": "finished",
        "ended": "",
        "data": "world",
        "scale": "laptop",
        "versions": "",
        "command": "",
        "iteration": int(row["iteration"]),
        "config": json.dumps(own, sort_keys=True),
    }
    for place, value in _values(row).items():
        yield {**common, **dict(zip(("model", "benchmark", "metric"), place, strict=True)), "value": value}


def _values(row: Row) -> dict[tuple[str, str, str], float]:
    """Return a row's numbers by model, benchmark and metric."""
    known = {name: float(text) for name, text in row.items() if name != "arm" and text}
    found = {place: known[name] for name, place in RECORDED.items() if name in known}
    for group in ("", *(f"_{name}" for name in SECTIONS + BELIEFS)):
        if group and f"gold{group}" in known:
            found["policy", "gold", f"mean_reward{group}"] = known[f"gold{group}"]
        if f"rt{group}" in known and known["rt"] != known["r0"]:  # a reward model that stayed the same gains nothing
            factor = 100 if group else 1  # the catalogue scales the one that it knows
            gained = known[f"rt{group}"] - known[f"r0{group}"]
            found["reward", "same_responses", f"gain_over_base{group}"] = factor * gained
    return found


if __name__ == "__main__":
    main()
