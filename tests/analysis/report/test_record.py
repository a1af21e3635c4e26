"""Run folders are found, read and joined; what cannot be read is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.report.record import Run, StageRow, find_runs, load_run, load_runs, union
from mt.errors import DataError, StoreError


def test_a_folder_of_runs_stands_for_its_runs(sweep_folder: Path) -> None:
    assert [folder.name for folder in find_runs([sweep_folder])] == ["both-0", "both-1", "pm-0", "pm-1"]


def test_a_folder_of_sweeps_stands_for_their_runs(sweep_folder: Path) -> None:
    assert find_runs([sweep_folder.parent]) == find_runs([sweep_folder])


def test_a_run_named_twice_is_taken_once(sweep_folder: Path) -> None:
    assert len(find_runs([sweep_folder, sweep_folder / "pm-0"])) == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [("absent", "no such folder"), ("a.html", "a file, and a folder is needed"), ("", "no run is found here")],
)
def test_a_folder_without_runs_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "a.html").touch()
    with pytest.raises(DataError, match=said):
        find_runs([tmp_path / name])


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(json.dumps({"schema": 99, "name": "x"}))
    with pytest.raises(StoreError, match=r"schema=99: record of another version\. Allowed: 1"):
        load_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', ""])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(StoreError):
        load_run(tmp_path)


def test_of_several_runs_those_whose_record_is_damaged_are_left_out_and_said(tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", '{"schema": 1, "name": "b"}'), ("c", '{"schema": 1, "name": "c"}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(text)
    runs = load_runs([tmp_path])
    assert [run.name for run in runs] == ["b", "c"]
    (note,) = [note for run in runs for note in run.notes if note.startswith("Left out: ")]
    assert str(tmp_path / "a" / "record.json") in note and "damaged record" in note
    with pytest.raises(StoreError, match="damaged record"):
        load_runs([tmp_path / "a"])


def test_inputs_are_read_by_field_from_the_artifacts(run: Run) -> None:
    by_key = {row.key: row for row in run.stages}
    trained = [row for row in run.stages if row.name == "train_policy"]
    assert len(trained) == 2
    for row in trained:
        assert set(row.inputs) == {"policy", "pairs"}
        assert by_key[row.inputs["pairs"][0]].name == "select_pairs"
        assert row.settings["objective"] == "dpo"


def test_inputs_in_lists_are_found(run: Run) -> None:
    union_pairs = next(row for row in run.stages if row.name == "union_pairs")
    names = {row.key: row.name for row in run.stages}
    assert [names[key] for key in union_pairs.inputs["tables"]] == ["select_pairs", "contrast_pairs"]


def test_a_stage_without_artifact_keeps_the_edges_of_its_record(tmp_path: Path) -> None:
    stage = {"key": "a", "stage": "score", "path": "gone", "inputs": ["b"], "state": "missing"}
    (tmp_path / "record.json").write_text(json.dumps({"schema": 1, "name": "x", "stages": [stage]}))
    (row,) = load_run(tmp_path).stages
    assert (row.folder, row.upstream, row.seconds) == (None, ["b"], None)


def test_a_damaged_artifact_costs_its_fields_only(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "artifact.json").write_text("{")
    stage = {"key": "a", "stage": "score", "path": "store", "inputs": ["b"], "state": "computed"}
    (tmp_path / "record.json").write_text(json.dumps({"schema": 1, "stages": [stage]}))
    assert load_run(tmp_path).stages[0].upstream == ["b"]


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "same").mkdir(parents=True)
        (tmp_path / place / "same" / "record.json").write_text('{"schema": 1, "name": "same"}')
    names = [run.name for run in load_runs([tmp_path / "a", tmp_path / "b"])]
    assert names == [str(tmp_path / "a" / "same"), str(tmp_path / "b" / "same")]


def test_a_run_that_lies_alone_and_in_a_sweep_counts_once(tmp_path: Path) -> None:
    stage = {"key": "a", "stage": "score", "path": "gone", "inputs": [], "state": "missing"}
    for place, state in (("same", "failed"), ("sweep/same", "finished"), ("other", "failed")):
        (tmp_path / place).mkdir(parents=True)
        record = {"schema": 1, "name": Path(place).name, "state": state, "stages": [stage]}
        (tmp_path / place / "record.json").write_text(json.dumps(record))
    assert [(run.name, run.state) for run in load_runs([tmp_path])] == [("other", "failed"), ("same", "finished")]


def test_union_counts_who_needs_a_stage(sweep_folder: Path) -> None:
    stages = union([load_run(folder) for folder in find_runs([sweep_folder])])
    by_name: dict[str, list[StageRow]] = {}
    for row in stages.values():
        by_name.setdefault(row.name, []).append(row)
    assert {row.runs for row in by_name["supervised_finetune"]} == {("both-0", "both-1", "pm-0", "pm-1")}
    assert {row.runs for row in by_name["union_pairs"]} == {("both-0", "both-1")}


def test_a_stage_computed_by_one_run_and_reused_by_another_is_computed(sweep_folder: Path) -> None:
    stages = union([load_run(folder) for folder in find_runs([sweep_folder])])
    assert {row.state for row in stages.values()} == {"computed"}
    alone = union([load_run(sweep_folder / "both-1")])
    assert {row.state for row in alone.values()} == {"reused"}
