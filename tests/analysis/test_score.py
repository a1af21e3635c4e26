from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from analysis.score import main
from mt.evaluation.gamed import gamed_csv
from tests.analysis.scoring import refused, scored, write
from tests.evaluation.examples import annotation, gamed, judged

N = 120


@pytest.fixture
def annotations(tmp_path):
    rows = judged(N)
    rows[5]["preference"] = None
    return write(tmp_path / "annotations.json", rows)


@pytest.fixture
def gamed_file(tmp_path):
    path = tmp_path / "df_gamed.csv"
    path.write_text(gamed_csv(gamed(N)))
    return path


def test_alpaca_eval_without_gamed_rows(capsys, annotations):
    values = scored(capsys, "alpaca_eval", annotations)
    assert (values["n"], values["missing"]) == (N - 1, 1)
    assert values["low"] < values["win_rate"] < values["high"]
    assert {"standard_error", "discrete_win_rate", "avg_length"} <= values.keys()
    assert not {"lc_win_rate", "lc_standard_error", "C"} & values.keys()


def test_alpaca_eval_with_gamed_rows(capsys, annotations, gamed_file):
    values = scored(capsys, "alpaca_eval", annotations, "--gamed", gamed_file)
    assert values["lc_win_rate_low"] < values["lc_win_rate"] < values["lc_win_rate_high"]
    fixed = scored(capsys, "alpaca_eval", annotations, "--gamed", gamed_file, "--C", values["C"])
    assert fixed["lc_win_rate"] == values["lc_win_rate"]
    other = scored(capsys, "alpaca_eval", annotations, "--gamed", gamed_file, "--C", 0.01)
    assert (other["C"], other["lc_win_rate"]) != (values["C"], values["lc_win_rate"])


def test_a_part_of_the_benchmark_is_remarked(capsys, tmp_path, gamed_file):
    path = write(tmp_path / "part.json", judged(20))
    assert main(["alpaca_eval", str(path), "--gamed", str(gamed_file), "--json", "--rounds", "2"]) == 0
    assert "20 annotations for 120 instructions" in capsys.readouterr().err


def test_rows_in_another_order_are_found_by_the_baselines_outputs(capsys, tmp_path, annotations, gamed_file):
    rows = json.loads(annotations.read_text())
    expected = scored(capsys, "alpaca_eval", annotations, "--gamed", gamed_file, "--C", 1)
    outputs = write(tmp_path / "outputs.json", [{"instruction": row["instruction"], "output": ""} for row in rows])
    shuffled = write(tmp_path / "b.json", [rows[at] for at in np.random.default_rng(1).permutation(N)])
    assert main(["alpaca_eval", str(shuffled), "--gamed", str(gamed_file), "--C", "1", "--json", "--rounds", "2"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["lc_win_rate"] != pytest.approx(expected["lc_win_rate"], abs=1e-6)
    assert "difficulty is looked up by row position" in printed.err
    found = scored(capsys, "alpaca_eval", shuffled, "--gamed", gamed_file, "--C", 1, "--outputs", outputs)
    assert found["lc_win_rate"] == pytest.approx(expected["lc_win_rate"], abs=1e-6)
    strange = write(tmp_path / "c.json", [annotation(instruction="elsewhere")])
    said = refused(capsys, "alpaca_eval", strange, "--gamed", gamed_file, "--outputs", outputs)
    assert "row 0 (from 0): its instruction is not in" in said


def test_repeated_instructions_are_remarked(capsys, tmp_path):
    path = write(tmp_path / "a.json", [annotation(), annotation()])
    assert main(["alpaca_eval", str(path), "--json", "--rounds", "2"]) == 0
    assert capsys.readouterr().err == "note: 1 rows repeat an instruction; each counts.\n"


def test_fixing_C_needs_the_gamed_rows(capsys, annotations):
    assert "--gamed" in refused(capsys, "alpaca_eval", annotations, "--C", "1")


def test_the_table_shows_the_same_numbers(capsys, annotations, gamed_file):
    values = scored(capsys, "alpaca_eval", annotations, "--gamed", gamed_file)
    assert main(["alpaca_eval", str(annotations), "--gamed", str(gamed_file), "--rounds", "50"]) == 0
    text = capsys.readouterr().out
    for name in ("win_rate", "lc_win_rate"):
        assert f"{values[name]:.2f}" in text
        assert f"{values[name + '_low']:.2f} to {values[name + '_high']:.2f}" in text


def test_third_party_rows(capsys, tmp_path):
    rows = [annotation(preference=value, raw_completion={"x": 1}, extra=None) for value in (1, 2.0, 0, 1.25)]
    assert scored(capsys, "alpaca_eval", write(tmp_path / "a.json", rows))["win_rate"] == pytest.approx(43.75)
    (tmp_path / "nan.json").write_text(json.dumps([*rows, annotation(preference=float("nan"))]))
    assert scored(capsys, "alpaca_eval", tmp_path / "nan.json")["missing"] == 1
    lines = tmp_path / "a.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)))
    assert scored(capsys, "alpaca_eval", lines)["n"] == 4


def test_a_table_of_annotations_gives_the_same(capsys, tmp_path):
    import pandas as pd

    rows = judged(N)
    rows[3] |= {"preference": None, "output_2": 'a, "b"\r\nc'}
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv")
    values = scored(capsys, "alpaca_eval", tmp_path / "a.csv")
    assert values == scored(capsys, "alpaca_eval", write(tmp_path / "a.json", rows))
    assert values["missing"] == 1


def test_gamed_rows_as_pandas_writes_them(capsys, annotations, gamed_file):
    import pandas as pd

    expected = scored(capsys, "alpaca_eval", annotations, "--gamed", gamed_file, "--C", 1)
    pd.read_csv(gamed_file).to_csv(gamed_file, encoding="utf-8-sig", lineterminator="\r\n")
    assert gamed_file.read_bytes().startswith(b"\xef\xbb\xbf,model,")
    assert scored(capsys, "alpaca_eval", annotations, "--gamed", gamed_file, "--C", 1) == expected


def test_long_names_hide_no_number(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path = write(tmp_path / "a.json", [annotation(generator_2="organisation/model-" * 5, annotator="judge-" * 20)] * 3)
    assert main(["alpaca_eval", str(path), "--rounds", "5"]) == 0
    text = capsys.readouterr().out
    assert "discrete win rate" in text
    assert text.count(".00 to ") == 2
    assert "…" not in text


@pytest.mark.parametrize("name", ["mine[base]-v2", "mine[/v2]"])
def test_names_in_brackets_are_shown_as_they_stand(capsys, tmp_path, name):
    path = write(tmp_path / "a.json", [annotation(generator_2=name)] * 3)
    for command in (["alpaca_eval", path], ["compare", path, path]):
        assert main([*map(str, command), "--rounds", "5"]) == 0
        assert name in capsys.readouterr().out


def test_one_row_has_null_as_standard_error(capsys, tmp_path):
    assert scored(capsys, "alpaca_eval", write(tmp_path / "a.json", [annotation()]))["standard_error"] is None


def test_errors_are_one_line(capsys, tmp_path):
    broken = annotation()
    del broken["output_2"]
    path = write(tmp_path / "a.json", [annotation(), broken])
    assert f"{path} row 1 (from 0): field 'output_2' is missing" in refused(capsys, "alpaca_eval", path)
    assert "No such file" in refused(capsys, "arena_hard", tmp_path / "absent.jsonl")
    missing = write(tmp_path / "missing.json", [annotation(preference=None)])
    assert f"{missing}: preference=null in all of 1 rows" in refused(capsys, "alpaca_eval", missing)
    columns = write(tmp_path / "columns.json", annotation(instruction={str(at): "x" * 99 for at in range(99)}))
    assert len(refused(capsys, "alpaca_eval", columns)) < 600


@pytest.mark.parametrize("option", [("--seed", "-1"), ("--rounds", "0"), ("--rounds", "x")])
def test_options_are_checked(capsys, annotations, option):
    assert main(["alpaca_eval", str(annotations), *option]) == 2
    assert f"{option[1]} is not allowed; a whole number" in capsys.readouterr().err


def test_an_interruption_is_one_line_and_a_closed_pipe_none(capsys, monkeypatch, annotations, gamed_file):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("analysis.score.length_controlled", interrupted)
    assert main(["alpaca_eval", str(annotations), "--gamed", str(gamed_file)]) == 130
    assert capsys.readouterr().err.count("\n") == 1
    command = [sys.executable, "-m", "analysis.score", "alpaca_eval", str(annotations), "--json"]
    piped = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    piped.stdout.close()
    assert (piped.stderr.read(), piped.wait()) == ("", 1)


def test_the_command_is_light_and_pure(annotations):
    code = (
        "import sys; from analysis.score import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'transformers', 'sklearn', 'pandas', 'scipy', 'pydantic'} & sys.modules.keys();"
        "print(sorted(heavy), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "alpaca_eval", str(annotations), "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == "[]\n"
    assert json.loads(done.stdout)["n"] == N - 1
