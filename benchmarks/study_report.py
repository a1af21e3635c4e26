"""Write the tables and the figure of the world study from benchmarks/study.csv.

    python -m benchmarks.study_report

The tables go between the marks in benchmarks/study.md, the figure to benchmarks/study.png.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.aggregate import aggregate
from analysis.cells import Report
from analysis.figures import draw
from analysis.frame import COLUMNS
from analysis.grid import SIGNIFICANT, difference, typeset
from analysis.spec import Column
from analysis.study_specs import ITERATIONS, STUDY, TRANSFER
from benchmarks.measured import write_between_marks
from benchmarks.study import BELIEFS, RECORDED, SECTIONS, Row, load, runs
from mt.evaluation.pairing import Difference

PAGE, FIGURE = (Path(__file__).with_name(f"study.{kind}") for kind in ("md", "png"))
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
KEPT = ("gold.mean_reward", "gold.win_rate", "same_responses", "reward_bench")
TAUGHT = ("both (the paper's)", "self-training pairs", "consensus", "M-step labelled by gold")
BY_GROUP = (
    (
        "Gold reward of π_2 by section, and by misconception",
        (*TAUGHT, "consensus in E-step 2", "consensus alone"),
        tuple(Column(title, ("gold", f"mean_reward_{name}"), digits=3) for name, title in TITLES.items()),
    ),
    (
        "Accuracy of r_1 minus that of r_0 on the same responses of π_1, in points, likewise",
        TAUGHT,
        tuple(
            Column(title, ("same_responses", f"gain_over_base_{name}"), model="reward", digits=1, iteration=1, chance=0)
            for name, title in TITLES.items()
        ),
    ),
    (
        "RewardBench of r_2 minus that of r_0 by section, in points",
        TAUGHT,
        tuple(Column(TITLES[name], ("reward_bench", name), model="reward") for name in SECTIONS),
    ),
)
"""Further tables: title, rows, columns."""


def main() -> None:
    """Write both from what has been measured."""
    rows = load()
    frame = as_frame(rows)
    draw(aggregate(STUDY, frame)).figure.savefig(FIGURE, dpi=110)
    write_between_marks(PAGE, "benchmarks.study_report", typeset("\n".join(page(frame, rows))) + "\n")


def page(frame: pd.DataFrame, rows: list[Row]) -> Iterator[str]:
    """Yield the tables, line by line."""
    pairs = {(row["world"], row["seed"]) for row in rows}
    worlds = sorted({int(row["world"]) for row in rows})
    study = aggregate(STUDY, frame)
    cells = [study.cells[title, "policy.gold.mean_reward"] for title in ("π_0", "π_1", "frozen")]
    levels = ", ".join(f"{cell.row} {cell.ours.mean:.3f}" for cell in cells if cell.ours)
    yield f"Pairs of world and seed measured so far: {len(pairs)} (worlds {', '.join(map(str, worlds))})."
    yield f"Mean gold reward without an M-step: {levels}.\n"
    yield from table(_only(study, KEPT))
    yield "\n**Gold reward of π_2, arm against arm**\n"
    yield from directly(study)
    for title, rows_shown, columns in BY_GROUP:
        shown = tuple(row for row in STUDY.rows if row.title in (*rows_shown, "frozen"))
        yield from titled(title, aggregate(replace(STUDY, rows=shown, columns=columns, comparisons=()), frame))
    yield from titled("Three iterations", _only(aggregate(ITERATIONS, frame), KEPT))
    yield from titled("Another policy", _only(aggregate(TRANSFER, frame), KEPT))


def titled(title: str, report: Report) -> Iterator[str]:
    """Yield a table under its title, or nothing where nothing of it is measured."""
    if any(report.pairs(row.title) for row in report.spec.rows):
        yield f"\n**{title}**\n"
        yield from table(report)


def _only(report: Report, kept: tuple[str, ...]) -> Report:
    return replace(report, columns=tuple(one for one in report.columns if any(name in one.name for name in kept)))


def directly(report: Report) -> Iterator[str]:
    """Yield a Markdown table of the comparisons that the study declares."""
    yield "| | gold reward | pairs |"
    yield "|---|---:|---:|"
    for one in report.comparisons:
        if one.column.key == ("gold", "mean_reward"):
            gained = gain(one.column, one.difference)
            yield f"| {one.row} − {one.against} ({one.equal}) | {gained} | {one.difference.n} |"


def table(report: Report) -> Iterator[str]:
    """Yield a Markdown table of what each row gains on its counterpart, where anything is known of it."""
    yield f"| | {' | '.join(column.full_title for column in report.columns)} | pairs |"
    yield f"|---{'|---:' * (len(report.columns) + 1)}|"
    group = ""
    for row in report.spec.rows:
        cells = [report.cells[row.title, column.name] for column in report.columns]
        if not report.pairs(row.title) or not row.iteration or row.group == "Before":
            continue
        if row.group != group and row.group:
            group = row.group
            yield f"| *{group}* {'| ' * (len(cells) + 1)}|"
        gains = [gain(cell.column, cell.difference) for cell in cells]
        yield f"| {row.title} | {' | '.join(gains)} | {report.pairs(row.title)} |"


def gain(column: Column, one: Difference | None) -> str:
    """Return a difference with half its 95% interval, bold where that excludes zero."""
    text = difference(column, one) or "–"
    return f"**{text.removesuffix(SIGNIFICANT)}**" if text.endswith(SIGNIFICANT) else text


def as_frame(rows: list[Row]) -> pd.DataFrame:
    """Return what has been measured as `analysis.load` returns runs."""
    configs = {one.arm: one.config.model_dump(mode="json") for one in runs(0, 0)}
    found = [line for row in rows if row["arm"] in configs for line in _lines(row, configs[row["arm"]])]
    frame = pd.DataFrame(found, columns=list(COLUMNS)).astype({"value": float, "low": float, "high": float})
    return frame.assign(final=frame.groupby("run")["iteration"].transform("max"))


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
