"""`resume`: which settings can change, and what is refused before anything is submitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launch import resume
from launch.sweep import load
from launch.work import plan_run
from mt.errors import LaunchError
from tests.slurm.launched import Launched, launch_config

Make = Callable[..., Launched]


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the runs' configurations as another version of the code would have written them."""
    file = folder / "configs.json"
    values = json.loads(file.read_text())
    for run in values.values():
        change(run)
    file.write_text(json.dumps(values))


def refusal(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Resume a sweep that must be refused, and return the one line that says so."""
    assert resume.main(["--runs", str(folder.parent), folder.name]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    return told.err


def test_a_sweep_of_other_settings_is_one_line(launched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = launched(["objective=dpo,ipo"])
    edit(folder, lambda run: run["policy"].pop("training"))
    line = refusal(folder, capsys)
    assert "the code now expects other settings than at submission (policy.training: Field required)" in line
    assert "again under another name: sweep=NAME" in line
    sweep = load(folder)
    with pytest.raises(LaunchError, match=r"run .*dpo.*: the code now expects other settings"):
        plan_run(sweep, folder, sweep.runs[0].name)


def test_a_sweep_of_other_stages_is_one_line(sweep: Make, capsys: pytest.CaptureFixture[str]) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write("local")
    edit(one.folder, lambda run: run.update(stages=[["other", 0.2, [], "gpu"]]))
    assert "the code now plans other stages than at submission" in refusal(one.folder, capsys)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, "it is gone"), ("{", "cannot be read (Invalid JSON"), ("{}", "the configuration of run run is gone")],
)
def test_damaged_configurations_are_one_line(
    sweep: Make, capsys: pytest.CaptureFixture[str], text: str | None, expected: str
) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write("local")
    (one.folder / "configs.json").unlink()
    if text is not None:
        (one.folder / "configs.json").write_text(text)
    assert expected in refusal(one.folder, capsys)


def test_settings_change_by_their_path() -> None:
    made = resume.changed(launch_config(gpus=1), ["launch.gpus=4", "launch.cpu.partition=low"])
    assert made == launch_config(
        gpus=4, cpu={"partition": "low", "cpus": 1, "mem_gb": None, "time_min": 10, "extra": {}}
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("launch.gpus", "changes=launch.gpus: not a change. Allowed: KEY=VALUE."),
        ("launch.partitoin=high", "launch.partitoin=high: no such setting. Did you mean 'launch.partition'?"),
        ("launch.gpus=many", "launch.gpus=many: Input should be a valid integer"),
        ("launch.gpus=[", "changes=launch.gpus=[: not a value (while parsing"),
        ("launch.time_min=2", "launch.time_min=2: the stop signal comes"),
        ("launch.name=local", "launch.name=local: Input should be 'slurm'"),
    ],
)
def test_a_change_that_cannot_be_is_one_line(change: str, expected: str) -> None:
    with pytest.raises(LaunchError) as refused:
        resume.changed(launch_config(), [change])
    assert str(refused.value).startswith(expected)
    assert "\n" not in str(refused.value)


def test_settings_that_change_no_result_may_change(launched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = launched(["objective=dpo,ipo"])
    before = (folder / "configs.json").read_text()
    command = ["--runs", str(folder.parent), folder.name]
    assert resume.main([*command, "generator.batch_tokens=77"]) == 130  # no job is started here
    values = json.loads((folder / "configs.json").read_text())
    assert [run["generator"].pop("batch_tokens") for run in values.values()] == [77, 77]
    others = json.loads(before)
    assert all(run["generator"].pop("batch_tokens") != 77 for run in others.values()) and values == others
    capsys.readouterr()
    for change, said in {
        "seed=9": "would change",
        "generator.batch=7": "no such setting",
        "seed=x": "seed=x: ",
    }.items():
        assert resume.main([*command, change]) == 2
        assert said in capsys.readouterr().err
