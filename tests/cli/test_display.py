"""What is printed of a run: plain lines, and tables that fit."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from mt.cli.display import Display
from mt.cli.summary import print_summary
from mt.running.estimates import Estimates
from mt.runtime.interruption import Interrupted
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
        "2 of 4 stages to compute",
        "✓ 3/4 number  0.1 s, 1,234 pairs, 2 prompts dropped",
        "· iteration 1 · E-step · sum …",
        "✓ 4/4 iteration 1 · E-step · sum  7.0 s, 1,234 pairs, 2 prompts dropped",
        "2 stages computed in 0.0 s, 2 reused",
        "",
    ]


def test_an_interruption_is_no_failure_of_a_stage() -> None:
    console, file = printed()
    with Display(console, Estimates([])) as display:
        display.failed(Number(1), Interrupted("asked to stop"))
        assert file.getvalue() == ""
        display.failed(Number(1), ValueError("a defect"))
    assert file.getvalue() == "✗ number\n"


def test_a_narrow_progress_drops_its_last_numbers_and_keeps_its_name_and_bar() -> None:
    numbers = {"loss": 0.000364, "accuracy": 1.0, "margin": 12.94, "tokens_per_second": 25512.0}
    parts = ["loss 0.0004", "accuracy 100.0%", "margin 12.9", "tokens per second 25,512"]
    for width, shown in ((78, 0), (79, 1), (94, 1), (95, 2), (107, 3), (131, 3), (132, 4)):
        console = Console(file=io.StringIO(), width=width, force_terminal=True)
        with Display(console, Estimates([])) as display:
            stage = Number(1)
            display.planned([stage], [stage], {stage.key: Position(step="train reward")})
            display.started(stage)
            display.progress(stage, 1775, 2016, "steps", numbers)
            (line,) = ("".join(part.text for part in row) for row in console.render_lines(display._bars))
        bar = f"{'━' * 21}╺━━"  # 1,775 of 2,016 of 24 columns are 21.1
        assert line.rstrip() == f"  train reward · number {bar} 1,775/2,016 steps  {' '.join(parts[:shown])}".rstrip()


def test_what_is_checked_before_a_plan_is_known_has_no_progress() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with Display(console, Estimates([])) as display:
        assert "stage" not in str(display.live.get_renderable().renderables)  # type: ignore[union-attr]
        display.planned([Number(1)], [Number(1)], {})
        assert "stage 1/1, 0 reused, " in str(display.live.get_renderable().renderables[-1])  # type: ignore[union-attr]


def record(iterations: int) -> dict[str, Any]:
    def metric(i: int, model: str, benchmark: str, name: str, value: float) -> dict[str, Any]:
        row = {"iteration": i, "model": model, "benchmark": benchmark, "metric": name, "value": value}
        return {**row, "low": value - 0.02, "high": value + 0.02, "n": 9}

    rows = [("policy", "gold", "win_rate", 0.5), ("policy", "gold", "mean_reward", -0.25)]
    rows += [("policy", "gold", "length", 5.0), ("policy", "proxy", "length", 20.0)]
    rows += [("reward", "gold", "choice_gain", -0.1), ("reward", "same_responses", "choice_gain_base", 0.1)]
    metrics = [metric(i, *row) for i in range(iterations + 1) for row in rows]
    return {"metrics": metrics, "stages": []}


def summary(width: int, iterations: int = 2, *, details: bool = False) -> str:
    console, file = printed(width)
    print_summary(console, record(iterations), Path("runs/[b]odd[/b] name"), ["It [improved]."], details=details)
    return file.getvalue()


def test_a_run_ends_with_its_sentences_and_one_table() -> None:
    lines = summary(120).splitlines()
    assert lines[0] == "• It [improved]."
    assert next(line for line in lines if line.startswith("Win rate")).count("50.0% [48.0, 52.0]") == 3
    assert any(line.count("−0.250 [−0.270, −0.230]") == 3 for line in lines)
    assert not any("choice" in line for line in lines if not line.startswith("warning"))
    detailed = summary(120, details=True)
    assert "gained by rₜ's choice" in detailed
    assert "Length in tokens" in detailed and "Length in characters" not in detailed, "the same in another unit"


def test_a_command_in_an_answer_can_be_copied_from_a_line_of_its_own() -> None:
    console, file = printed(60)
    command = f"python -m mt.run data=jsonl data.path=/{'long/' * 30}prompts.jsonl rm_data=frozen"
    print_summary(console, {"metrics": [], "stages": []}, Path("runs/x"), [f"The same run tells: {command}", "It: a."])
    assert file.getvalue().splitlines()[:3] == ["• The same run tells:", f"  {command}", "• It: a."]


def test_an_alarm_compares_with_the_interval_and_with_the_base_model() -> None:
    (line,) = [line for line in summary(120, iterations=1).splitlines() if line.startswith("warning")]
    assert "base −0.100 [−0.120, −0.080] (r₀ +0.100 [0.080, 0.120]); iteration 1 −0.100" in line
    doubtful = record(1)
    for row in doubtful["metrics"]:
        row["high"] = row["value"] + 0.2
    console, file = printed()
    print_summary(console, doubtful, Path("runs/x"), [])
    assert "warning" not in file.getvalue()


def test_the_notes_of_the_table_are_sentences() -> None:
    row = {"iteration": 1, "model": "policy", "benchmark": "alpaca_eval", "metric": "lc_win_rate"}
    row |= {"value": 51.0, "low": None, "high": None, "n": 9}
    found = {"metrics": [row], "stages": [], "config": {"judge": {"name": "gold"}}}
    for details, end in ((False, " The report shows every metric, --details most of them."), (True, "")):
        console, file = printed(240)
        print_summary(console, found, Path("runs/x"), [], details=details)
        assert (
            "95% intervals over prompts, of one seed. Judge of AlpacaEval: gold. "
            f"This data has no gold judge (data=world and data=instructions have one).{end}\n"
        ) in file.getvalue()


def test_narrow_tables_keep_their_intervals_below_the_values_or_say_where_they_are() -> None:
    narrow = summary(60)
    (needed,) = (int(line.split()[4]) for line in narrow.splitlines() if "intervals show at" in line)
    assert "[−0.270" not in narrow.partition("warning")[0]
    lines = summary(needed).splitlines()
    at = next(number for number, line in enumerate(lines) if "Average gold reward" in line)
    assert lines[at].count("−0.250") == 3 and lines[at + 1].count("[−0.270, −0.230]") == 3
    assert max(len(line) for line in lines if not line.startswith(("warning", "folder"))) <= needed


def test_what_spoils_the_answers_stands_before_them() -> None:
    console, file = printed()
    position = Position(iteration=1, step="E-step").data()
    counts = {"responses": 300, "unfinished": 300}
    stage = {"key": "a", "path": "x", "stage": "sample", "counts": counts, "position": position}
    print_summary(console, {**record(1), "stages": [stage]}, Path("runs/x"), ["It improved."])
    first, second, *rest = file.getvalue().splitlines()
    assert "100% of the responses are cut off" in first and second == "• It improved."
    assert any("the reward model rewards most is worse" in line for line in rest), (
        "what gold says of the models comes after their numbers"
    )


def test_many_iterations_are_columns_all_the_same() -> None:
    text = summary(80, iterations=4)
    (row,) = [line for line in text.splitlines() if "Win rate" in line]
    assert row.count("50.0%") == 5 and "[48.0" not in text


def test_folders_are_printed_as_they_are_named() -> None:
    assert "folder   runs/[b]odd[/b] name" in summary(120)


def test_an_update_lost_in_the_published_precision_is_a_warning_with_its_remedy() -> None:
    trained = [(Position(iteration=1, model="policy"), 0.036), (Position(iteration=1, model="reward"), 0.97)]
    stages = [
        {"key": "a", "path": "x", "stage": "train", "position": place.data(), "counts": {"update_kept": kept}}
        for place, kept in trained
    ]
    console, file = printed(120)
    print_summary(console, {"metrics": [], "stages": stages}, Path("runs/name"), [], details=True)
    (line,) = [line for line in file.getvalue().splitlines() if line.startswith("warning")]
    assert "π₁ 3.6%:" in line and "r₁" not in line
    assert line.endswith("set trainer.publish_dtype=float32")
    assert "The published models keep 3.6% to 97.0% of what training changed in their weights; " in file.getvalue()


def test_details_show_what_the_reward_models_disagree_on_one_line_a_text(tmp_path: Path) -> None:
    margins = {"current": 1.25, "base": -2.0, "previous": 0.5}
    row = {"messages": [{"role": "user", "content": "a [b]colour[/b]\n?"}], "preferred": "red " * 40, "other": " "}
    (tmp_path / "disagreements.json").write_text(json.dumps([{**row, "margins": margins}]))
    place = Position(iteration=1, step="evaluation").data()
    found = {"metrics": [], "stages": [{"key": "a", "path": ".", "stage": "disagreements", "position": place}]}
    for details in (False, True):
        console, file = printed(100)
        print_summary(console, found, tmp_path, [], details=details)
        assert ("disagree most" in file.getvalue()) is details
    lines = [line.split(None, 1) for line in file.getvalue().splitlines()]
    assert ["prompt", "a [b]colour[/b] ?"] in lines and ["r₀", "prefers  (empty)"] in lines
    assert max(map(len, file.getvalue().splitlines()[:-1])) <= 100
    assert [line[1] for line in lines if line and line[0] == "margins"] == ["rₜ +1.25, rₜ₋₁ +0.50, r₀ −2.00"]
