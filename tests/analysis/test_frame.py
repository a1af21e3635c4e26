"""One tidy frame from records: its columns, its filters, and what it refuses or says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import analysis
from analysis.frame import COLUMNS, LeftOut, load, with_settings
from analysis.records import read_records
from analysis.settings import identity, matches
from mt.errors import DataError
from tests.analysis.synthetic import config, record, row, write

METRICS = [row(0, "policy", "gold", "win_rate", 0.5), row(1, "reward", "gold", "accuracy", 0.8)]


def simple(runs: Path, name: str = "a", seed: int = 0, **changes: Any) -> dict[str, Any]:
    settings = {key: changes.pop(key) for key in list(changes) if "." in key}
    one = record(name, config({}, seed, **settings), METRICS, **changes)
    write(runs, one)
    return one


def test_the_frame_is_tidy(tmp_path: Path) -> None:
    simple(tmp_path, "b", seed=1, sweep="s")
    simple(tmp_path, "a")
    frame = analysis.load(tmp_path)
    assert tuple(frame.columns) == COLUMNS
    assert list(frame["run"]) == ["a", "a", "s/b", "s/b"]
    first = frame.iloc[0]
    assert (first.method, first.objective, first.rm_data, first.judge) == ("mutual_taught", "dpo", "both", "gold")
    assert (first.seed, first.world_seed, first.scale, first.data) == (0, 0, "laptop", "world")
    assert (first.iteration, first.model, first.benchmark, first.metric) == (0, "policy", "gold", "win_rate")
    assert (first.value, first.low, first.high, first.n) == (0.5, -1.5, 2.5, 100)
    assert first.versions == "commit cccccccccc, torch 2.13.0, transformers 5.19.0"
    assert json.loads(first.config)["objective"]["name"] == "dpo"


def test_types_do_not_depend_on_what_is_missing(tmp_path: Path) -> None:
    full, empty = tmp_path / "full", tmp_path / "empty"
    simple(full)
    bare = {"iteration": 0, "model": "policy", "benchmark": "gold", "metric": "length", "value": 3, "low": None,
            "high": None, "n": None}  # fmt: skip
    write(empty, record("a", config({}), [bare]))
    assert load(full).dtypes.equals(load(empty).dtypes)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"seed": 1}, ["b"]),
        ({"seed": [1, 2]}, ["b"]),
        ({"seed": "1"}, ["b"]),
        ({"objective": "ipo"}, ["c"]),
        ({"policy.training.learning_rate": 0.5}, ["c"]),
        ({"policy.training.learning_rate": "5e-1"}, ["c"]),
        ({"run": "a"}, ["a"]),
        ({"method": "mutual_taught", "seed": 0}, ["a", "c"]),
    ],
)
def test_filters_choose_runs(tmp_path: Path, filters: dict[str, Any], expected: list[str]) -> None:
    simple(tmp_path, "a", 0)
    simple(tmp_path, "b", 1)
    simple(tmp_path, "c", 0, **{"objective.name": "ipo", "policy.training.learning_rate": 0.5})
    assert sorted(set(load(tmp_path, filters)["run"])) == expected


def test_settings_become_columns(tmp_path: Path) -> None:
    simple(tmp_path, "a", **{"objective.beta": 0.25})
    frame = load(tmp_path, config=["objective.beta"])
    assert list(frame["objective.beta"]) == [0.25, 0.25]
    assert list(with_settings(frame, ["no.such"])["no.such"]) == [None, None]


def test_unfinished_damaged_and_old_runs_are_left_out_and_said(tmp_path: Path) -> None:
    simple(tmp_path, "good")
    simple(tmp_path, "half", state="interrupted")
    simple(tmp_path, "bad", state="failed", error="EngineError: out of memory")
    simple(tmp_path, "old", schema=0)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "record.json").write_text('{"schema": 1, "na')
    with pytest.warns(LeftOut) as said:
        frame = load(tmp_path)
    assert set(frame["run"]) == {"good"}
    notes = frame.attrs["notes"]
    assert len(notes) == len(said) == 4
    assert "half: unfinished (interrupted); go on: python -m mt.run name=half" in notes
    assert "bad: unfinished (failed, EngineError: out of memory); go on: python -m mt.run name=bad" in notes
    old = f"{tmp_path}/old: schema=0: record of another version. Allowed: 1. Run again: python -m mt.run name=old."
    assert old in notes
    assert any(note.startswith(f"{tmp_path}/torn: damaged record") for note in notes)


def test_unfinished_runs_can_be_asked_for(tmp_path: Path) -> None:
    simple(tmp_path, "half", state="running")
    with pytest.warns(LeftOut):
        frame = load(tmp_path, unfinished=True)
    assert set(frame["state"]) == {"running"}


@pytest.mark.parametrize(
    ("prepare", "filters", "expected"),
    [
        (lambda runs: None, {}, "no runs found. Make some: python -m mt.run"),
        (
            lambda runs: simple(runs, state="running"),
            {},
            "no finished run; a: running; if it was killed, go on: python",
        ),
        (lambda runs: simple(runs), {"seed": 7}, "seed=7: no finished run has these settings. Allowed: seed: 0."),
        (lambda runs: simple(runs), {"sed": 7}, "Did you mean 'seed'?"),
    ],
)
def test_nothing_to_show_is_one_clear_line(tmp_path: Path, prepare: Any, filters: Any, expected: str) -> None:
    prepare(tmp_path)
    with pytest.raises(DataError) as error:
        load(tmp_path, filters)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "none")


def test_copies_below_a_run_are_no_runs(tmp_path: Path) -> None:
    one = simple(tmp_path)
    copy = tmp_path / "a" / "wandb" / "offline-run-1" / "files"
    copy.mkdir(parents=True)
    (copy / "record.json").write_text(json.dumps(one))
    assert list(read_records(tmp_path).found) == ["a"]


def test_of_several_records_of_one_name_the_newest_finished_one_counts_and_the_others_are_said(tmp_path: Path) -> None:
    times = {"b": "2026-01-02T10:00:00+02:00", "a": "2026-01-02T09:00:00+00:00", "c": "2026-01-01T00:00:00+00:00"}
    for place, ended in times.items():  # 09:00 in UTC is later than 10:00 two hours east of it
        simple(tmp_path / place, "mine", finished=ended, host={"of": place})
    simple(tmp_path / "d", "mine", finished="2026-01-03T00:00:00+00:00", state="failed")
    found = read_records(tmp_path)
    assert found.found["mine"]["host"] == {"of": "a"}
    left = {f"{tmp_path / place / 'mine'}: another record of run mine is newer, or finished" for place in "bcd"}
    assert set(found.problems) == left and len(found.problems) == 3
    shutil.copytree(tmp_path / "a", tmp_path / "twice" / "copy")
    shutil.copytree(tmp_path / "a", tmp_path / "twice" / "original")
    assert read_records(tmp_path / "twice").problems == [], "a copy is the same run"


def test_an_identity_knows_neither_seeds_nor_machines() -> None:
    """Also not those of the class that a choice names: its base class does not declare them."""
    machine = {"trainer.threads": 7, "generator.batch_tokens": 9, "scorer.threads": 3, "store": "elsewhere"}
    one, other = identity(config({}, 0)), identity(config({}, 5, **{**machine, "data.seed": 3}))
    assert one == other
    changed = identity(config({}, 0, **{"policy.training.batch_size": 7}))
    assert [path for path in one if one[path] != changed[path]] == ["policy.training.batch_size"]
    assert not {path.partition(".")[0] for path in one} & {"tracking", "launch", "name", "hardware", "seed"}
    judged = {"name": "openai", "model": "m", "limit_usd": 5.0, "concurrency": 2}
    assert identity({"judge": judged}) == {"judge.name": "openai", "judge.model": "m"}


def test_values_match_as_typed_on_a_command_line() -> None:
    assert matches(0.1, "0.1") and matches(True, "true") and matches("dpo", ("ipo", "dpo")) and matches(None, "null")
    assert not matches(0.1, "0.2") and not matches("dpo", "dp")
