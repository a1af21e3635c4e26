"""The commands' arguments, names and errors."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.cli import locate
from launch.sweep import FILE
from mt.errors import LaunchError
from tests.slurm import fakes
from tests.slurm.launched import PROJECT, Launched

Make = Callable[..., Launched]
COMMANDS = ("status", "watch", "logs", "resume", "cancel", "list")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_knows_plain_data(command: str) -> None:
    line = [sys.executable, "-m", f"launch.{command}", "--help"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=PROJECT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"python -m launch.{command}" in done.stdout
    assert "--json" in done.stdout


def test_a_name_is_a_sweep_a_run_a_job_or_words_of_one(sweep: Make) -> None:
    one = sweep(fakes.grid(["dpo", "ipo"], ["both", "contrast"]))
    one.write()
    runs = one.folder.parent
    assert locate(runs, "sweep") == (one.folder, None)
    assert locate(runs, "dpo-both") == (one.folder, "dpo-both")
    assert locate(runs, "sweep/shared-1") == (one.folder, "shared-1")
    longer = sweep({f"mutual-{name}-s0": stages for name, stages in one.runs.items()}, "longer")
    longer.write()
    assert locate(runs, "longer/ipo-both") == (longer.folder, "mutual-ipo-both-s0")
    assert locate(runs, "longer/ipo-both-s0-judge") == (longer.folder, "mutual-ipo-both-s0-judge")
    with pytest.raises(LaunchError, match=r"name=beth: neither a sweep in .* nor one of its runs or jobs"):
        locate(runs, "beth")
    with pytest.raises(LaunchError, match=r"name=dpo-bot: not in sweep sweep.*Did you mean 'dpo-both'"):
        locate(runs, "sweep/dpo-bot")


def test_an_error_is_one_line_and_status_2(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "launch.status", "--runs", str(tmp_path), "mine"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=PROJECT, timeout=120)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no sweep was submitted here. Allowed: a folder of runs. Set --runs DIR" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["status", "--json", "mine"], "no sweep was submitted here. Allowed: a folder of runs. Set --runs DIR"),
        (["watch", "mine", "--json"], "no sweep was submitted here. Allowed: a folder of runs. Set --runs DIR"),
        (["logs", "--json", "mine"], "no sweep was submitted here. Allowed: a folder of runs. Set --runs DIR"),
        (["resume", "--json", "mine"], "no sweep was submitted here. Allowed: a folder of runs. Set --runs DIR"),
        (["cancel", "--json", "mine"], "no sweep was submitted here. Allowed: a folder of runs. Set --runs DIR"),
        (["cancel", "--json"], "the following arguments are required: name. python -m launch.cancel --help shows"),
        (["logs", "--json", "/mine"], "no sweep was submitted here"),
        (["list", "--json", "mine"], "unrecognized arguments: mine"),
    ],
)
def test_plain_data_is_plain_data_when_something_is_wrong_too(
    line: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = importlib.import_module(f"launch.{line[0]}")
    assert command.main([*line[1:], "--runs", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert said in json.loads(printed.out)["error"]
    assert printed.err.count("\n") == 1 and said in printed.err


def test_status_of_what_was_written_but_not_submitted(sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write("local")
    found = json.loads(one.command("status", "--json").stdout)
    assert [(job["name"], job["state"]) for job in found["jobs"]] == [("run", "new")]
    assert not found["active"]


def test_words_that_several_names_have_are_refused_rather_than_sought_in_an_older_sweep(sweep: Make) -> None:
    sweep({"only-both": [["only", 0.2, [], "gpu"]]}, "older").write()
    newer = sweep(fakes.grid(["dpo", "ipo"], ["both"]), "newer")
    newer.write()
    later(newer)
    match = r"name=both: several names of sweep newer have these words\. Allowed: dpo-both, ipo-both"
    with pytest.raises(LaunchError, match=match):
        locate(newer.folder.parent, "both")
    assert locate(newer.folder.parent, "only")[1] == "only-both"


def test_a_whole_name_in_an_older_sweep_counts_more_than_words_of_a_newer_one(sweep: Make) -> None:
    older = sweep(fakes.grid(["dpo"], ["both"]), "older")
    older.write()
    newer = sweep({"mutual-dpo-both": [["only", 0.2, [], "gpu"]]}, "newer")
    newer.write()
    later(newer)
    assert locate(newer.folder.parent, "dpo-both") == (older.folder, "dpo-both")


def test_a_damaged_sweep_hides_no_other(sweep: Make) -> None:
    good = sweep({"run": [["only", 0.2, [], "gpu"]]}, "good")
    good.write("local")
    damaged = sweep({"other": [["only", 0.2, [], "gpu"]]}, "damaged")
    damaged.write("local")
    later(damaged)
    (damaged.folder / FILE).write_text("{")
    assert locate(good.folder.parent, "run") == (good.folder, "run")
    rows = json.loads(good.command("list", "--json").stdout)
    assert [(row["name"], row["state"]) for row in rows] == [("damaged", "unreadable"), ("good", "new")]
    assert "sweep.json: damaged" in rows[0]["why"]
    assert "sweep.json: damaged" in good.command("list").stdout


def later(one: Launched) -> None:
    """Let a sweep be the newest, whatever the clock's resolution."""
    stamp = (one.folder / FILE).stat().st_mtime + 10
    os.utime(one.folder / FILE, (stamp, stamp))


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_has_read_enough_is_no_error(sweep: Make, options: tuple[str, ...]) -> None:
    one = sweep(fakes.grid(["dpo", "ipo"], ["both", "contrast"]))
    one.write()
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, "-m", "launch.list", "--runs", str(one.folder.parent), *options]
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(line, stdout=gone, stderr=subprocess.PIPE, text=True, cwd=PROJECT, timeout=120)
    assert done.stderr == ""
