"""The frame is the same whether runs are read from their records or from W&B."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.frame import LeftOut, load
from analysis.settings import identity
from analysis.tables import main
from mt.errors import DataError
from mt.tracking.base import RunInfo
from mt.tracking.naming import metric_values
from mt.types import Metric
from tests.analysis.synthetic import config, measured, record, write
from tests.tracking.example import settings
from tests.tracking.fake_wandb import FakeWandb
from tests.tracking.fake_wandb_answers import FakeRun

SOURCE = "wandb:team/paper"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        yield server


def metric_of(row: dict[str, Any]) -> Metric:
    return Metric(**{name: row[name] for name in row if name not in ("iteration", "model", "stage")})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, server: FakeWandb) -> Path:
    """Two finished runs and one that failed, tracked online."""
    runs = tmp_path_factory.mktemp("runs")
    for name, seed, state in (("a", 0, "finished"), ("b", 1, "finished"), ("c", 2, "failed")):
        one = record(name, config({}, seed), list(measured(2, 50, 1, seed)), sweep="s", state=state)
        path = write(runs, one)
        run = RunInfo(name, path.parent, one["config"], "s", "mutual_taught")
        tracker = settings(mode="online").open(run, print)
        assert tracker is not None
        for row in [*one["metrics"], one["metrics"][0]]:  # a resumed run logs again what it had measured
            tracker.log(metric_values(row["model"], [metric_of(row)]), "iteration", row["iteration"])
        tracker.finish(state, path)
    return runs


def test_the_frames_are_identical(runs: Path) -> None:
    with pytest.warns(LeftOut, match="c: unfinished"):
        local = load(runs)
    with pytest.warns(LeftOut, match="c: unfinished"):
        remote = load(SOURCE)
    pd.testing.assert_frame_equal(local, remote)
    assert local.attrs == remote.attrs


@pytest.mark.filterwarnings("ignore::analysis.frame.LeftOut")
def test_filters_work_there_too(runs: Path) -> None:
    filters = {"sweep": "s", "seed": 1}
    pd.testing.assert_frame_equal(load(runs, filters), load(SOURCE, filters))
    with pytest.raises(DataError, match="no runs found"):
        load(SOURCE, {"sweep": "other"})


def test_tables_read_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for place in (["--runs", str(runs)], ["--wandb", "team/paper"]):
        assert main(["table2", *place]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Mutual-Taught 2" in printed[0]


@pytest.mark.filterwarnings("ignore::analysis.frame.LeftOut")
def test_runs_whose_record_was_not_uploaded_are_read_from_what_was_logged(runs: Path, server: FakeWandb) -> None:
    kept = {name: run.files for name, run in server.runs.items()}
    before = load(SOURCE)
    try:
        for run in server.runs.values():
            run.files = {name: data for name, data in run.files.items() if name != "record.json"}
        logged = load(SOURCE)
    finally:
        for name, files in kept.items():
            server.runs[name].files = files
    untold = ["ended", "versions", "command", "config"]
    pd.testing.assert_frame_equal(logged.drop(columns=untold), before.drop(columns=untold))
    assert set(logged["command"]) == {""}
    # W&B writes 1.0 as 1, and keeps no empty settings
    kept_settings, told = ([identity(json.loads(one)) for one in frame["config"]] for frame in (before, logged))
    assert told == kept_settings


@pytest.mark.filterwarnings("ignore::analysis.frame.LeftOut")
def test_a_run_that_was_killed_is_said(runs: Path, server: FakeWandb) -> None:
    server.runs["killed"] = FakeRun("killed", "paper", display_name="killed", state="crashed")
    try:
        assert "killed: unfinished (crashed)" in load(SOURCE).attrs["notes"]
    finally:
        del server.runs["killed"]


@pytest.mark.filterwarnings("ignore::analysis.frame.LeftOut")
def test_runs_of_other_programs_in_the_project_change_nothing(runs: Path, server: FakeWandb) -> None:
    before = load(SOURCE)
    row = {"_step": 1, "iteration/seconds": 2.5, "policy/loss/mean": 0.5, "reward/margins/chosen": 1.5}
    other = FakeRun("ppo", "paper", display_name="ppo", state="finished", config={"lr": {"value": 1e-6}})
    other.streams["wandb-history.jsonl"] = {0: json.dumps(row)}
    server.runs["ppo"] = other
    try:
        pd.testing.assert_frame_equal(load(SOURCE), before)
    finally:
        del server.runs["ppo"]


@pytest.mark.parametrize(("place", "problem"), [("team/nothing", "Could not find project"), ("team", "not a project")])
def test_a_wrong_project_is_one_line(server: FakeWandb, place: str, problem: str) -> None:
    with pytest.raises(DataError) as error:
        load(f"wandb:{place}")
    assert problem in str(error.value) and "\n" not in str(error.value)
