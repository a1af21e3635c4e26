from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mt.run import main
from tests.small import small


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").rglob("record.json"))]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert main(small(folder)) == 0
    return folder


def test_a_run_leaves_a_complete_record(finished: Path) -> None:
    (record,) = records(finished)
    assert record["state"] == "finished"
    assert all(stage["state"] == "computed" for stage in record["stages"])
    metrics = {(m["iteration"], m["model"], m["benchmark"], m["metric"]): m for m in record["metrics"]}
    for iteration in (0, 1, 2):
        win_rate = metrics[iteration, "policy", "gold", "win_rate"]
        assert 0 <= win_rate["low"] <= win_rate["value"] <= win_rate["high"] <= 1
        assert win_rate["n"] == 12
        assert (iteration, "reward", "reward_bench", "chat_hard") in metrics
        assert (iteration, "policy", "alpaca_eval", "lc_win_rate") in metrics
        assert (iteration, "policy", "diagnostics", "kl") in metrics
        assert (iteration, "policy", "proxy", "mean_reward_base") in metrics
    assert metrics[0, "policy", "gold", "win_rate"]["value"] == 0.5
    assert metrics[2, "policy", "labels", "contrast_pairs"]["value"] > 0  # untrained responses may all be equal by gold


def test_the_csv_says_what_the_record_says(finished: Path) -> None:
    (record,) = records(finished)
    (path,) = (finished / "runs").rglob("metrics.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [metric["value"] for metric in record["metrics"]]


def test_models_are_ordinary_folders_under_readable_names(finished: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    (run,) = (finished / "runs").iterdir()
    policy = run / "store" / "iteration_2-policy"
    assert AutoModelForCausalLM.from_pretrained(policy).config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(policy).chat_template
    reward = AutoModelForSequenceClassification.from_pretrained(run / "store" / "iteration_2-reward")
    assert reward.config.num_labels == 1
    assert not list((finished / "store").rglob("*.bin"))


def test_the_second_time_everything_is_reused_without_torch(finished: Path) -> None:
    code = (
        "import sys; from mt.run import main; status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules, 'torch'; sys.exit(status)"
    )
    again = subprocess.run([sys.executable, "-c", code, *small(finished)], capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "to compute" not in again.stdout
    (record,) = records(finished)
    assert record["state"] == "finished"


def test_a_sweep_computes_each_shared_stage_once(finished: Path) -> None:
    arguments = ["-m", *small(finished, "rm_data=both,pm,contrast,frozen", "sweep=four")]
    assert main(arguments) == 0
    swept = [record for record in records(finished) if record["sweep"] == "four"]
    assert len(swept) == 4
    computed = [s["key"] for record in swept for s in record["stages"] if s["state"] == "computed"]
    assert len(computed) == len(set(computed))
    assert all(stage["state"] != "missing" for record in swept for stage in record["stages"])


BRIEF = ["iterations=1", "eval=[held_out]", "eval.held_out.diagnostics=false"]


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("brief")
    assert main(brief_run(folder)) == 0
    return folder


def brief_run(folder: Path) -> list[str]:
    return [one for one in small(folder, *BRIEF) if not one.startswith("eval.alpaca_eval")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_continues_to_the_same_numbers(brief: Path, tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "mt.run", *brief_run(tmp_path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if "iteration 1 · E-step · sample" in line:
            break
    time.sleep(0.5)
    os.kill(child.pid, how)
    child.stdout.read()
    assert child.wait(60) != 0
    states = {"SIGKILL": "running", "SIGTERM": "interrupted", "SIGINT": "interrupted"}
    (stopped,) = records(tmp_path)
    assert stopped["state"] == states[how.name]
    done = [stage["key"] for stage in stopped["stages"] if stage["state"] == "computed"]
    before = {key: mtime(tmp_path, key) for key in done}
    assert main(brief_run(tmp_path)) == 0
    assert {key: mtime(tmp_path, key) for key in done} == before
    (resumed,), (whole,) = records(tmp_path), records(brief)
    assert resumed["metrics"] == whole["metrics"]


def mtime(folder: Path, key: str) -> int:
    (path,) = (folder / "store").glob(f"*/{key[:20]}/artifact.json")
    return path.stat().st_mtime_ns


def test_a_damaged_artifact_is_named_and_recomputed_on_request(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mt.store import main as store

    (run,) = [path for path in (finished / "runs").iterdir() if path.name.startswith("mutual")]
    pairs = (run / "store" / "iteration_1-selected").resolve()
    (pairs / "table.parquet").write_bytes(b"no longer a table")
    (run / "store" / "iteration_1-policy").resolve().joinpath("artifact.json").unlink()
    assert main(small(finished)) == 2
    assert "damaged" in capsys.readouterr().err
    assert store(["--store", f"{finished}/store", "rm", pairs.name]) == 0
    assert main(small(finished)) == 0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["selection=margin", "selection.margin=1000"], "no prompt gave any"),
        (["iterations=50"], "prompts=45: fewer than the 51 parts"),
        (["objective=rest_em", "selection=best_worst"], "selection=best_worst: it makes pairs"),
        (["store=/proc/nowhere"], "store=/proc/nowhere: cannot be made"),
    ],
)
def test_bad_input_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], said: str
) -> None:
    assert main([*small(tmp_path), *overrides]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message


def test_rounds_restart_from_base_and_learn_from_the_round_before(tmp_path: Path) -> None:
    assert main([*brief_run(tmp_path), "rounds=2"]) == 0
    (record,) = records(tmp_path)
    assert {metric["iteration"] for metric in record["metrics"]} == {0, 1, 2}


def test_of_two_runs_of_a_name_at_once_the_second_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "mt.run", *brief_run(tmp_path), "name=mine"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    said = []
    for line in child.stdout:
        said.append(line)
        if "stages to compute" in line:
            break
    assert "mine\n" in said
    before = (tmp_path / "runs" / "mine" / "record.json").read_text()
    try:
        for other in ("seed=0", "seed=7"):
            assert main([*brief_run(tmp_path), "name=mine", other]) == 2
            told = capsys.readouterr().err
            assert f"name=mine: another command is at work on it (process {child.pid} on" in told
            assert told.count("\n") == 1
        assert json.loads(before)["config"] == records(tmp_path)[0]["config"]
    finally:
        child.terminate()
        child.stdout.read()
        child.wait(60)
    assert records(tmp_path)[0]["state"] == "interrupted"
    assert not list((tmp_path / "runs" / "mine").glob(".driver*"))
