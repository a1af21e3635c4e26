"""What a plan says of a sweep: one row for each run, what they share, and the stages only where they are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt import plan

SWEEP = ["-m", "objective=dpo,ipo", "rm_data=both,frozen"]


def planned(store: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert plan.main([*SWEEP, f"store={store}", *arguments]) == 0
    return capsys.readouterr().out


def test_a_sweep_is_planned_in_a_row_for_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = planned(tmp_path, capsys=capsys).splitlines()
    found: dict[str, Any] = json.loads(planned(tmp_path, "--json", capsys=capsys))
    named = [line for line in lines if line.startswith("objective=")]
    assert [line.split("  ")[0] for line in named] == [
        "objective=dpo rm_data=both",
        "objective=dpo rm_data=frozen",
        "objective=ipo rm_data=both",
        "objective=ipo rm_data=frozen",
    ]
    assert not any("train_policy" in line for line in lines)
    assert f"4 runs, {found['total']} stages ({found['without_sharing']} without sharing)" in lines[-1]
    assert any("train_policy" in line for line in planned(tmp_path, "--stages", capsys=capsys).splitlines())


def test_counts_are_those_of_the_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = json.loads(planned(tmp_path, "--json", capsys=capsys))
    runs = {row["what"]: row for row in found["runs"]}
    assert found["without_sharing"] == sum(stage["runs"] for stage in found["stages"])
    assert sum(row["stages"] for row in runs.values()) == found["without_sharing"]
    alone = sum(stage["runs"] == 1 for stage in found["stages"])
    assert sum(row["stages"] - row["shared"] for row in runs.values()) == alone
    assert {row["missing"] - row["stages"] for row in runs.values()} == {0}, "an empty store has nothing"
    assert runs["objective=dpo rm_data=both"]["stages"] > runs["objective=dpo rm_data=frozen"]["stages"]


def test_a_plan_ends_with_what_a_run_would_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main([f"store={tmp_path}", "data.sizes.prompts=9", "partition.part_size=4"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("before it can start: partition.part_size=4: 3 parts ") and "Lower it to 3, or" in said


def test_the_stages_of_a_run_stand_below_their_positions_and_say_what_they_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [f"store={tmp_path}", "eval=[held_out]", "iterations=1"]
    assert plan.main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["stages"]
    assert plan.main(command) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines.count("iteration 1 · E-step") == 1
    below = "\n".join(lines).partition("\niteration 1 · E-step\n")[2].partition("\niteration 1 · ")[0]
    (score,) = [row for row in rows if (row["stage"], row["position"]["step"]) == ("score", "E-step")]
    (sample,) = [row for row in rows if (row["stage"], row["position"]["step"]) == ("sample", "E-step")]
    (line,) = [line for line in below.splitlines() if line.split()[:1] == ["score"]]
    assert score["key"][:8] in line and f"sample {sample['key'][:8]}" in line
