"""The table at the end of a run: columns declared as data, cells from the record's metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from mt.engines.judging.base import judged_by
from mt.workflow.position import Position
from mt.workflow.run_record import RECORD


@dataclass(frozen=True)
class Line:
    """One line of a table: which metric it shows, and how."""

    title: str
    benchmark: str
    metric: str
    format: str = "{:.3f}"
    model: str = "policy"

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the metric within an iteration."""
        return self.model, self.benchmark, self.metric


_LITTLE_KEPT = 0.5
"""A published model that keeps a smaller share of a training's changes is worth a warning."""

Cells = Mapping[Any, Mapping[str, Any]]
"""Metrics by iteration, model, benchmark and metric."""

POLICY = (
    Line("win rate against base, by gold", "gold", "win_rate", "{:.1%}"),
    Line("mean gold reward", "gold", "mean_reward"),
    Line("mean proxy reward, by r₀", "proxy", "mean_reward_base"),
    Line("mean proxy reward, by rₜ", "proxy", "mean_reward"),
    Line("win rate against base, by r₀", "proxy", "win_rate_base", "{:.1%}"),
    Line("AlpacaEval LC win rate", "alpaca_eval", "lc_win_rate", "{:.1f}%"),
    Line("AlpacaEval win rate", "alpaca_eval", "win_rate", "{:.1f}%"),
    Line("Arena-Hard score", "arena_hard", "score", "{:.1f}%"),
    Line("length in tokens", "gold", "length", "{:.2f}"),
    Line("length in characters", "proxy", "length", "{:.1f}"),
    Line("KL from base, nats", "diagnostics", "kl", "{:.2f}"),
    Line("selected pairs right, by gold", "labels", "selected_accuracy", "{:.1%}"),
)
REWARD = (
    Line("gold accuracy, policy's responses", "gold", "accuracy", "{:.1%}", "reward"),
    Line("gold accuracy, base's responses", "gold_base", "accuracy", "{:.1%}", "reward"),
    Line("best of K by gold", "gold", "best_of_k", model="reward"),
    Line("mean of K by gold", "gold", "mean_of_k", model="reward"),
    Line("Chat", "reward_bench", "chat", "{:.1f}%", "reward"),
    Line("Chat Hard", "reward_bench", "chat_hard", "{:.1f}%", "reward"),
    Line("Safety", "reward_bench", "safety", "{:.1f}%", "reward"),
    Line("Reasoning", "reward_bench", "reasoning", "{:.1f}%", "reward"),
    Line("average of the four sections", "reward_bench", "average", "{:.1f}%", "reward"),
    Line("average of RewardBench 2's six subsets", "reward_bench_2", "average", "{:.1f}%", "reward"),
    Line("D(PM) pairs right, by gold", "labels", "self_training_accuracy", "{:.1%}"),
    Line("contrast pairs right, by gold", "labels", "contrast_accuracy", "{:.1%}"),
)


def print_summary(console: Console, record: Mapping[str, Any], folder: Path) -> None:
    """Print the policy's and the reward model's table, what was computed, and where everything lies."""
    cells = {(m["iteration"], m["model"], m["benchmark"], m["metric"]): m for m in record["metrics"]}
    iterations = sorted({key[0] for key in cells})
    for title, lines in (("Policy", POLICY), ("Reward model", REWARD)):
        shown = [line for line in lines if any((i, *line.key) in cells for i in iterations)]
        if shown:
            console.print(_fitting(title, shown, cells, iterations, console))
            console.print()
    if iterations and not any(key[2] == "gold" for key in cells):
        console.print("No gold metrics: this data has no gold judge (only data=world has one).", style="yellow")
    judge = record.get("config", {}).get("judge")
    if judge and any(key[2] in ("alpaca_eval", "arena_hard") for key in cells):
        console.print(f"AlpacaEval and Arena-Hard: {judged_by(judge)}.")
    _warn(console, cells, iterations)
    _print_update_kept(console, record)
    _print_places(console, record, folder)


def _fitting(title: str, lines: Sequence[Line], cells: Cells, iterations: Sequence[int], console: Console) -> Table:
    """Return the table with all its intervals, with the first line's only, or with none: the first that fits."""
    whole = _table(f"{title} (mean [95% interval])", lines, cells, iterations, [" "] * len(lines))
    needed = _width(whole, console)
    if needed <= console.width:
        return whole
    rest: list[str | None] = [None] * (len(lines) - 1)
    narrow = f"{title} (mean; intervals show at {needed} columns)"
    table = _table(narrow, lines, cells, iterations, ["\n", *rest])
    if _width(table, console) <= console.width:
        return table
    return _table(narrow, lines, cells, iterations, [None, *rest], prefix="")


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=1000), table).maximum


def _table(
    title: str,
    lines: Sequence[Line],
    cells: Cells,
    iterations: Sequence[int],
    between: Sequence[str | None],
    prefix: str = "iteration ",
) -> Table:
    """Return a table; `between` separates each line's values from their intervals, None leaves those out."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for i in iterations:
        table.add_column("base" if i == 0 else f"{prefix}{i}", justify="right")
    for line, gap in zip(lines, between, strict=True):
        table.add_row(line.title, *(_cell(line, cells.get((i, *line.key)), gap) for i in iterations))
    return table


def _cell(line: Line, metric: Mapping[str, Any] | None, between: str | None) -> str:
    """Return a value and, unless `between` is None, its interval behind that."""
    if metric is None:
        return "–"
    text = line.format.format(metric["value"])
    if between is None or metric["low"] is None:
        return text
    low, high = (line.format.format(metric[side]).removesuffix("%") for side in ("low", "high"))
    return f"{text}{between}\\[{low}, {high}]"


def _warn(console: Console, cells: Cells, iterations: Sequence[int]) -> None:
    """Warn of a reward model whose best response of K is worse by gold than a response at random."""
    worse = []
    for i in iterations:
        best, mean = (cells.get((i, "reward", "gold", name)) for name in ("best_of_k", "mean_of_k"))
        if best and mean and best["value"] < mean["value"]:
            worse.append("base" if i == 0 else f"iteration {i}")
    if worse:
        text = "the reward model's best of K is worse by gold than the mean of K"
        console.print(f"warning  {', '.join(worse)}: {text}", style="yellow", highlight=False, soft_wrap=True)


def _print_update_kept(console: Console, record: Mapping[str, Any]) -> None:
    """Print the share of the update that published models keep, and name the trainings that keep little of it."""
    trained = [stage for stage in record["stages"] if _trained(stage)]
    counted = [(Position.of(stage).model_name, stage["counts"]["update_kept"]) for stage in trained]
    if counted:
        shares = sorted({f"{share:.1%}": share for _, share in counted}.items(), key=lambda item: item[1])
        span = " to ".join(dict.fromkeys((shares[0][0], shares[-1][0])))
        console.print(f"Share of the weight changes that the published models keep: {span}.", highlight=False)
    lost = [f"{label} {share:.1%}" for label, share in counted if share < _LITTLE_KEPT]
    if lost:
        text = "is all that the published model keeps of the changed weights; set trainer.publish_dtype=float32"
        console.print(f"warning  {', '.join(lost)}: {text}", style="yellow", highlight=False, soft_wrap=True)


def _trained(stage: Mapping[str, Any]) -> bool:
    return "update_kept" in stage.get("counts", {})


def _print_places(console: Console, record: Mapping[str, Any], folder: Path) -> None:
    computed = [stage for stage in record["stages"] if stage["state"] == "computed"]
    seconds = sum(stage["seconds"] or 0 for stage in computed)
    total = len(record["stages"])
    others = f", {total - len(computed)} taken from other runs" if len(computed) < total else ""
    console.print(f"{total} stages: {len(computed)} computed for this run, in {seconds:.0f} s{others}.")
    places = {
        "record": folder / RECORD,
        "metrics": folder / "metrics.csv",
        "models": folder / "store" / "iteration_*-{policy,reward}",
        "log": folder / "run.log",
    }
    for name, place in places.items():
        console.print(f"{name:<8} {place}", markup=False, soft_wrap=True)
