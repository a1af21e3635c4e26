"""Tables: numbers by hand, what is said beside them, every format, and mixtures that are refused."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.cells import Measured, estimate
from analysis.frame import load
from analysis.grid import ours, typeset
from analysis.render import as_json, csv_table, latex, markdown, page, text
from analysis.spec import Column
from analysis.specs import SPECS
from analysis.tables import main, table
from tests.analysis.synthetic import config, measured, record, runs_of, write, write_runs

MT2 = ("Mutual-Taught 2", "policy.alpaca_eval.lc_win_rate")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("table1"), "table1")


def test_a_cell_by_hand(runs: Path) -> None:
    # Mutual-Taught is the 7th experiment: 50 + seed + 2·(7 + 0.1·seed) = 64, 65.2, 66.4; the base 50, 51, 52.
    # Student's quantile at 0.975 with 2 degrees of freedom is 4.302653.
    cell = table("table1", load(runs)).cells[MT2]
    assert cell.ours is not None and cell.ours.low is not None
    assert cell.ours.mean == pytest.approx(65.2)
    assert cell.ours.low == pytest.approx(65.2 - 4.302653 * 1.2 / 3**0.5, rel=1e-6)
    assert (cell.ours.n, cell.ours.over) == (3, "seeds")
    assert cell.difference is not None and cell.difference.high is not None
    assert cell.difference.value == pytest.approx(14.2)
    assert cell.difference.high == pytest.approx(14.2 + 4.302653 * 0.2 / 3**0.5, rel=1e-6)
    assert (cell.against, cell.difference.n, cell.difference.sign) == ("π_0", 3, 1)
    assert dict(cell.paper) == {"preprint": 52.0, "published": 54.1}
    assert cell.paper_gain["preprint"] == pytest.approx(28.9)


def test_one_seed_keeps_its_own_interval() -> None:
    one = estimate([Measured(50.0, 48.0, 52.0, "a")])
    assert (one.low, one.high, one.n, one.over) == (48.0, 52.0, 1, "prompts")


def test_differences_are_paired_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, "table4")
    offline = SPECS["table4"].row("SimPO").select or {}
    extra = record("extra", config(offline, 9), list(measured(1, 50, 1, 9)))
    write(runs, extra)
    report = table("table4", load(runs))
    cell = report.cells["SimPO-MT", "policy.alpaca_eval.lc_win_rate"]
    assert cell.difference is not None and cell.difference.n == 3
    assert report.short == ["IPO (3 of 4)", "SimPO-MT (3 of 4)", "IPO-MT (3 of 4)"]


def test_the_paper_s_own_differences_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path, "table1", **{"data.name": "ultrafeedback"})
    assert main(["table1", "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "52.0 (+28.9)" in out and "37.5 (+16.9)" in out, "as in the paper's own arrows"
    assert re.search(r"published +54\.1 +38\.4", out), "published numbers stand on a line of their own"
    assert re.search(r"Mutual-Taught 2 +ours +65\.2", out)


def test_the_world_s_rows_say_what_they_are(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert main(["table1", "--runs", str(runs)]) == 0
    out = capsys.readouterr().out
    (ours,) = [line for line in out.splitlines() if "Mutual-Taught 2  world, 0.11M weights" in line]
    assert "65.2" in ours, "113,728 weights, as the world's policy counts itself"
    assert re.search(r"preprint Δ +\+28\.9 +\+32\.9", out) and "52.0" not in out, "the paper's differences alone"
    assert "LLaMA-3-8B" not in out.partition("preprint:")[0]
    assert "no prompt's text stands in two parts of the training prompts, or in training and evaluation" in out
    assert "Mutual-Taught 2 − DPO 2 (equal iterations), AlpacaEval 2 LC win rate: " in out
    assert "judge: gold" in out and "data: world at scale laptop" in out
    assert "missing" not in out


@pytest.mark.parametrize("name", ["table2", "table5"])
def test_rewardbench_s_convention_stands_below_it(tmp_path: Path, runs: Path, name: str) -> None:
    said = "RewardBench: ours by convention current (a tie is lost); the paper's Mutual-Taught rows fit rlhflow alone"
    assert said in text(table(name, load(write_runs(tmp_path, name))))
    assert "RewardBench" not in text(table("table1", load(runs))), "Table 1 has no such column"


def test_what_is_missing_comes_with_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path, "figure5", range(2))
    assert main(["table1", "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "missing: SimPO; IPO; DPO; Meta-rewarding 1" in out
    assert "to make it: python -m mt.run -m experiment=table1 seed=0,1\n" in out


def test_the_command_makes_the_rest_like_what_is_there(tmp_path: Path) -> None:
    rows = SPECS["figure4"].rows
    shared = ["judge=openai", "data.path=my prompts.jsonl", "eval=[held_out,alpaca_eval]"]
    for number, own in enumerate((["rm_data=both", "tracking=wandb"], ["rm_data=pm"])):
        command = shlex.join(["python", "-m", "mt.run", "-m", "experiment=figure4", *own, *shared, "seed=0,1"])
        metrics = list(measured(2, 50, 1, 0))
        write(tmp_path, record(f"r{number}", config(rows[number].select or {}), metrics, command=command))
    assert table("figure4", load(tmp_path)).command == (
        "python -m mt.run -m experiment=figure4 seed=0 judge=openai 'data.path=my prompts.jsonl' "
        "'eval=[held_out,alpaca_eval]'"
    )


def test_a_narrow_terminal_gets_panels(runs: Path) -> None:
    report = table("table1", load(runs))
    whole, narrow = text(report), text(report, 80)
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, whole.splitlines()))
    assert whole.count("Meta-rewarding 3") == 1 and narrow.count("Meta-rewarding 3") > 1
    assert all(ours(cell.column, cell.ours) in narrow for cell in report.cells.values())
    assert text(report, 500) == whole
    grouped = text(report, 128).splitlines()
    titles = next(number for number, line in enumerate(grouped) if "Arena-Hard" in line)
    assert "score" in grouped[titles + 1] and "length" in grouped[titles + 1], "a group that fits is not torn apart"


def test_columns_that_nobody_measured_are_named_below_the_text_and_kept_in_files(tmp_path: Path) -> None:
    for one in runs_of(SPECS["table1"], range(1)):
        metrics = [metric for metric in one["metrics"] if metric["benchmark"] != "arena_hard"]
        write(tmp_path, {**one, "metrics": metrics})
    report = table("table1", load(tmp_path))
    shown, _, said = text(report, 100).partition("Mutual-Taught 2 −")
    assert "Arena-Hard" not in shown
    assert "measured by no run here: Arena-Hard score; Arena-Hard length" in said
    assert all("Arena-Hard score" in form(report) for form in (markdown, latex)) and "arena_hard" in csv_table(report)


def test_models_and_signs_have_one_notation(runs: Path) -> None:
    report = table("table1", load(runs))
    assert "Δ π₀" in text(report) and "π_0" not in text(report) and r"$\Delta$ $\pi_0$" in latex(report)
    assert [typeset(one) for one in ("r_t − r_0", "r_{t-1}", "at_0")] == ["rₜ − r₀", "rₜ₋₁", "at_0"]
    reward = Column("reward", ("gold", "mean_reward"), digits=1)
    assert [reward.text(one, "+") for one in (-0.04, 0.04, -0.4, 0.4)] == ["0.0", "0.0", "−0.4", "+0.4"]


def test_numbers_stand_below_each_other(runs: Path) -> None:
    rows = text(table("table1", load(runs))).splitlines()
    (first,) = [number for number, row in enumerate(rows) if "Mutual-Taught 2 " in row and "world" in row]
    points = [row.replace("0.11M", "").index(".") + 5 * ("0.11M" in row) for row in rows[first : first + 3]]
    assert len(set(points)) == 1, "ours, Δ, preprint"


@pytest.mark.parametrize("name", ["table1", "table2", "figure4"])
def test_latex_is_ascii_that_compiles(tmp_path: Path, name: str) -> None:
    """A judge's name and a run's may hold any letter; LaTeX's own signs are escaped."""
    write_runs(tmp_path, name, range(1), **{"judge.name": "é_東#1"})
    written = latex(table(name, load(tmp_path)))
    assert written.isascii() and written.count("{") == written.count("}")
    body = written.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    assert not re.search(r"(?<!\\)[#%]|(?<!\\)(?<!\\pi)(?<!\$r)_", body), body
    if engine := shutil.which("pdflatex") or shutil.which("tectonic"):
        begin, end = r"\documentclass{article}\usepackage{booktabs}\begin{document}", r"\end{document}"
        (tmp_path / "t.tex").write_text("\n".join([begin, written, end]))
        subprocess.run([engine, "t.tex"], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def test_a_column_that_was_not_measured_is_named(tmp_path: Path) -> None:
    settings = config(SPECS["figure4"].rows[0].select or {})
    metrics = [one for one in measured(2, 50, 1, 0) if one["benchmark"] != "reward_bench"]
    write(tmp_path, record("a", settings, metrics))
    report = table("figure4", load(tmp_path))
    assert report.unmeasured == ["reward model (average)"]
    assert report.missing == ["pm", "contrast", "frozen"]
    other = config(SPECS["figure4"].rows[1].select or {})
    write(tmp_path, record("b", other, list(measured(2, 50, 1, 0))))
    report = table("figure4", load(tmp_path))
    assert report.unmeasured == []
    assert report.missing == ["both (reward model (average))", "contrast", "frozen"]


def test_optional_columns_show_only_where_measured(tmp_path: Path) -> None:
    settings = config(SPECS["table2"].rows[1].select or {})
    gain = {"iteration": 2, "model": "reward", "benchmark": "same_responses", "metric": "gain_over_base",
            "value": 0.018, "low": None, "high": None, "n": 5}  # fmt: skip
    write(tmp_path, record("a", settings, [*measured(2, 50, 1, 0), gain]))
    report = table("table2", load(tmp_path))
    cell = report.cells["Mutual-Taught 2", "reward.same_responses.gain_over_base"]
    assert cell.ours is not None and cell.ours.mean == pytest.approx(1.8)
    assert "1.8 (1)" in text(report)
    assert not report.missing


def test_equal_repetitions_of_a_seed_count_once(tmp_path: Path) -> None:
    select = SPECS["table2"].rows[1].select or {}
    for name in ("a", "b"):
        write(tmp_path, record(name, config(select), list(measured(2, 50, 1, 0))))
    cell = table("table2", load(tmp_path)).cells["Mutual-Taught 2", "reward.reward_bench.average"]
    assert cell.ours is not None and cell.ours.n == 1


def test_left_out_runs_stand_below_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path, "table2", range(2))
    write(tmp_path, record("c", config(SPECS["table2"].rows[1].select or {}, 2), [], state="running"))
    assert main(["table2", "--runs", str(tmp_path)]) == 0
    write(tmp_path, record("d", config({"method.name": "spin"}), list(measured(1, 50, 1, 0))))
    assert main(["table2", "--runs", str(tmp_path)]) == 0
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if "left out: 1 run that no row declares (d)" in line
    ]
    assert "; c: running; if it was killed, go on: python -m mt.run name=c" in line
    for number in range(6):
        write(tmp_path, record(f"stopped-{number}", config({}), [], state="interrupted", error="by a signal"))
    assert main(["table2", "--runs", str(tmp_path)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("left out:"))
    assert "; stopped-0: unfinished (interrupted); go on:" in line and line.endswith("; and 2 more"), "five of seven"


def test_the_command_line_chooses_the_format(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table1", "--runs", str(runs), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("**Table 1")
    assert main(["table1", "--runs", str(runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["table"] == "table1"


@pytest.mark.parametrize("name", list(SPECS))
def test_every_table_and_figure_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    write_runs(tmp_path, name, range(2))
    assert main([name, "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert SPECS[name].title in out and "missing" not in out
    assert all(typeset(row.title) in out for row in SPECS[name].rows if row.select)


def test_formats_hold_the_same_numbers(runs: Path) -> None:
    report = table("table1", load(runs))
    wanted = "65.2 ±3.0 (3)"
    assert wanted in text(report) and wanted in markdown(report)
    assert latex(report).count(r"\\") == 1 + 15 + 14 + 14, (
        "header, ours, Δ, preprint: the published numbers have no difference to a base"
    )
    shown = _Cells()
    shown.feed(page([(report, "")]))
    assert wanted in shown.texts
    cells = list(csv.DictReader(line for line in io.StringIO(csv_table(report)) if line[0] != "#"))
    (machine,) = json.loads(as_json([report]))
    assert len(cells) == len(machine["cells"]) == 15 * 5
    for one, number in zip(cells, machine["cells"], strict=True):
        assert float(one["ours"]) == number["ours"] and one["row"] == number["row"]
    assert machine["judges"] == ["gold"]


class _Cells(HTMLParser):
    """Collects the texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["table9"], "table=table9: no such table. Allowed: table1"),
        (["table1", "--where", "seed"], "--where=seed: not a filter. Allowed: KEY=VALUE[,VALUE…]."),
        (["table1", "--runs", "/nowhere"], "no such folder"),
        (["table1", "--wandb", "paper"], "wandb=paper: not a project. Allowed: ENTITY/PROJECT."),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    runs = [] if {"--runs", "--wandb"} & set(arguments) else ["--runs", str(write_runs(tmp_path, "table2"))]
    assert main([*arguments, *runs]) == 2
    said = capsys.readouterr().err
    assert expected in said and said.count("\n") == 1
