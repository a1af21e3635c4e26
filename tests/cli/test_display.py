"""What is printed of a run: plain lines, and tables that fit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from mt.cli.display import Display
from mt.cli.summary import print_summary
from mt.running.estimates import Estimates
from mt.workflow.position import Position
from tests.workflow.fakes import Number, Sum


def printed(width: int = 120) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=width), file


def facts(seconds: float) -> dict[str, Any]:
    return {"seconds": seconds, "counts": {"pairs": 1234, "prompts_dropped": 2, "kept": 5}}


def test_plain_lines_say_where_it_is_and_announce_only_what_may_take_long() -> None:
    console, file = printed()
    numbers, total = [Number(1), Number(2), Number(3)], Sum((Number(1), Number(2), Number(3)))
    with Display(console, Estimates([("number", 0.1)])) as display:
        display.planned([*numbers, total], [numbers[2], total], {total.key: Position(iteration=1, step="E-step")})
        for stage, seconds in ((numbers[2], 0.1), (total, 7.0)):
            display.started(stage)
            display.finished(stage, facts(seconds))
    assert file.getvalue().splitlines() == [
        "2 stages to compute, 2 reused",
        "✓ 3/4 number  0.1 s, 1,234 pairs, 2 prompts dropped",
        "· iteration 1 · E-step · sum …",
        "✓ 4/4 iteration 1 · E-step · sum  7.0 s, 1,234 pairs, 2 prompts dropped",
    ]


def record(iterations: int) -> dict[str, Any]:
    def metric(i: int, model: str, name: str, value: float) -> dict[str, Any]:
        row = {"iteration": i, "model": model, "benchmark": "gold", "metric": name, "value": value}
        return {**row, "low": value - 0.02, "high": value + 0.02, "n": 9}

    rows = [("policy", "win_rate", 0.5), ("policy", "mean_reward", -0.25)]
    rows += [("reward", "best_of_k", 0.1), ("reward", "mean_of_k", 0.2)]
    metrics = [metric(i, *row) for i in range(iterations + 1) for row in rows]
    return {"metrics": metrics, "stages": [{"state": "computed", "seconds": 3.0}, {"state": "reused", "seconds": 1.0}]}


def summary(width: int, iterations: int = 2) -> str:
    console, file = printed(width)
    print_summary(console, record(iterations), Path("runs/[b]odd[/b] name"))
    return file.getvalue()


def test_tables_show_intervals_where_they_fit() -> None:
    text = summary(120)
    assert "50.0% [48.0, 52.0]" in text
    assert "-0.250 [-0.270, -0.230]" in text
    assert "1 computed for this run, in 3 s, 1 taken from other runs" in text
    assert "base, iteration 1, iteration 2: the reward model's best of K is worse" in text


def test_narrow_tables_keep_their_lines_and_say_where_the_intervals_are() -> None:
    text = summary(80)
    needed = max(int(line.split()[-2]) for line in text.splitlines() if "intervals show at" in line)
    rows = [line for line in text.splitlines() if "mean gold reward" in line]
    assert rows and rows[0].count("-0.250") == 3
    assert "[48.0, 52.0]" in text and "[-0.270, -0.230]" not in text
    assert max(len(line) for line in text.splitlines() if not line.startswith(("warning", "models"))) <= 80
    assert "[-0.270, -0.230]" in summary(needed)


def test_many_iterations_are_columns_all_the_same() -> None:
    text = summary(80, iterations=4)
    (row,) = [line for line in text.splitlines() if "win rate against base" in line]
    assert row.count("50.0%") == 5
    assert max(len(line) for line in text.splitlines() if not line.startswith(("warning", "models"))) <= 80


def test_folders_are_printed_as_they_are_named() -> None:
    assert "record   runs/[b]odd[/b] name/record.json" in summary(120)


def test_an_update_lost_in_the_published_precision_is_a_warning_with_its_remedy() -> None:
    trained = [(Position(iteration=1, model="policy"), 0.036), (Position(iteration=1, model="reward"), 0.97)]
    stages = [
        {"state": "computed", "seconds": 1.0, "position": place.data(), "counts": {"update_kept": kept}}
        for place, kept in trained
    ]
    console, file = printed(120)
    print_summary(console, {"metrics": [], "stages": stages}, Path("runs/name"))
    (line,) = [line for line in file.getvalue().splitlines() if line.startswith("warning")]
    assert "π₁ 3.6%:" in line and "r₁" not in line
    assert line.endswith("set trainer.publish_dtype=float32")
    assert "Share of the weight changes that the published models keep: 3.6% to 97.0%." in file.getvalue()
