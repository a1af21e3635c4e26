"""Which runs a table shows, out of a folder with many others."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from analysis.frame import load
from analysis.groups import Groups
from analysis.spec import TableSpec
from analysis.specs import SPECS
from analysis.tables import main, table
from mt.config.compose import compose_runs
from tests.analysis.synthetic import config, measured, record, write

LC, AVERAGE = "policy.alpaca_eval.lc_win_rate", "reward.reward_bench.average"
ROWS = {row.title: dict(row.select or {}) for row in SPECS["figure4"].rows}


def composed(*words: str) -> dict[str, Any]:
    """Return the configurations of a sweep by a name for each."""
    runs = compose_runs(list(words), multirun=True)
    return {f"{words[0]}-{number}": one.config.model_dump(mode="json") for number, one in enumerate(runs)}


def grouped(spec: TableSpec, configs: dict[str, Any]) -> Groups:
    return Groups(spec, configs, {run: [column.name for column in spec.columns] for run in configs})


@pytest.mark.parametrize("name", list(SPECS))
def test_the_runs_of_an_experiment_stand_in_one_table(name: str) -> None:
    configs = composed(f"experiment={name}")
    (only,) = grouped(SPECS[name], configs).ranked
    assert set(only.runs) >= {
        run for run, one in configs.items() if name != "table3" or "reward_iteration" in one["method"]
    }
    assert only.rows == sum(row.select is not None for row in SPECS[name].rows)


def test_what_other_experiments_measure_too_makes_no_difference() -> None:
    """The main job, Table 1's and Figure 4's runs evaluate by different benchmarks, and share those they have."""
    configs = composed("iterations=2") | composed("experiment=table2") | composed("experiment=figure4")
    (only,) = grouped(SPECS["figure4"], configs).ranked
    assert sorted(only.runs) == sorted(configs)


def test_base_models_are_measured_by_every_run_that_starts_from_them() -> None:
    """Of Table 1 the arms of Figure 4 measure π_0 alone: they are not several groups for it."""
    configs = composed("experiment=figure4", "eval=[held_out,alpaca_eval,arena_hard]")
    (only,) = grouped(SPECS["table1"], configs).ranked
    assert sorted(only.runs) == sorted(configs)


def save(runs: Path, name: str, row: str, level: float, ended: str, **changes: Any) -> None:
    """Write a run of a row of Figure 4 whose LC win rate at iteration 2 is `level`."""
    settings = config(ROWS[row], changes.pop("seed", 0), **changes)
    write(runs, record(name, settings, list(measured(2, level - 2, 1, 0)), finished=f"2026-01-0{ended}T00:00:00+00:00"))


def test_runs_of_other_data_are_named_and_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, row in enumerate(ROWS):
        save(tmp_path, row, row, 50 + number, "1")
    save(tmp_path, "mine", "both", 90, "2", **{"data.name": "jsonl", "policy.path": "P"})
    assert main(["figure4", "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "90.0" not in out and "50.0" in out
    (flag,) = re.findall(r"runs of other settings: (--where \S+) \(1 run, 1 of 4 rows\)", out)
    assert flag == "--where data.name=jsonl"
    assert main(["figure4", "--runs", str(tmp_path), *shlex.split(flag)]) == 0
    assert "90.0" in capsys.readouterr().out


def test_of_two_complete_groups_the_newer_one_is_shown(tmp_path: Path) -> None:
    for number, row in enumerate(ROWS):
        save(tmp_path, f"old-{row}", row, 50 + number, "1")
        save(tmp_path, f"new-{row}", row, 70 + number, "2", **{"judge.name": "reward_model"})
    report = table("figure4", load(tmp_path))
    assert [report.cells[row, LC].ours.mean for row in ROWS] == [70, 71, 72, 73]  # type: ignore[union-attr]
    assert report.judges == ["reward_model"] and report.others == ["--where judge.name=gold (4 runs, 4 of 4 rows)"]
    older = table("figure4", load(tmp_path, {"judge.name": "gold"}))
    assert older.cells["both", LC].ours is not None and older.cells["both", LC].ours.mean == 50
    (one,) = {cell.ours.n for cell in report.cells.values() if cell.ours}
    assert one == 1, "repetitions of one group alone"


def test_a_judge_makes_no_difference_where_nothing_is_judged(tmp_path: Path) -> None:
    save(tmp_path, "a", "both", 50, "1")
    save(tmp_path, "b", "both", 50, "2", seed=1, **{"judge.name": "reward_model", "eval.alpaca_eval": None})
    cell = table("table2", load(tmp_path)).cells["Mutual-Taught 2", AVERAGE]
    assert cell.ours is not None and cell.ours.n == 2


def test_an_ablation_of_one_row_does_not_enter_the_table(tmp_path: Path) -> None:
    """Newer runs with another β would stand beside rows with the old one."""
    for number, row in enumerate(ROWS):
        save(tmp_path, row, row, 50 + number, "1")
    for number, beta in enumerate((0.5, 0.7)):
        save(tmp_path, f"beta-{beta}", "both", 80 + number, f"{2 + number}", **{"objective.beta": beta})
    report = table("figure4", load(tmp_path))
    assert report.cells["both", LC].ours is not None and report.cells["both", LC].ours.mean == 50
    assert sorted(report.others) == [
        "--where objective.beta=0.5 (1 run, 1 of 4 rows)", "--where objective.beta=0.7 (1 run, 1 of 4 rows)",
    ]  # fmt: skip


def test_of_two_runs_of_one_seed_the_newer_one_counts(tmp_path: Path) -> None:
    save(tmp_path, "a", "both", 50, "2")
    save(tmp_path, "b", "both", 60, "1")
    save(tmp_path, "c", "both", 50, "1")
    report = table("figure4", load(tmp_path))
    assert report.cells["both", LC].ours is not None and report.cells["both", LC].ours.mean == 50
    assert report.left_out == ["other numbers than a newer run of the same settings and seed: b than a"]
