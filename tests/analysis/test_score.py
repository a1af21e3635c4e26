from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from analysis.score import main
from mt.evaluation.gamed import gamed_csv
from mt.evaluation.reward_bench import SECTIONS
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


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def scored(capsys, *arguments):
    assert main([*map(str, arguments), "--json", "--rounds", "50"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err


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
    with pytest.raises(SystemExit):
        main(["alpaca_eval", str(annotations), *option])
    assert f"{option[1]} is not allowed; a whole number" in capsys.readouterr().err


def test_arena_hard(capsys, tmp_path):
    row = {"question_id": "1", "model": "m", "judge": "j"}
    rows = [row | {"games": [{"score": "A>B"}, {"judgment": "[[A>>B]]"}]}, row | {"games": [{"score": None}, None]}]
    path = tmp_path / "j.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    values = scored(capsys, "arena_hard", path)
    assert {name: values[name] for name in ("score", "wins", "ties", "losses", "dropped")} == {
        "score": 75,
        "wins": 3,
        "ties": 0,
        "losses": 1,
        "dropped": 2,
    }
    assert values["low"] <= values["score"] <= values["high"]
    assert main(["arena_hard", str(path), "--json"]) == 0
    assert capsys.readouterr().err == "note: 1 rows repeat a question_id; each counts, as in the original.\n"
    head = scored(capsys, "arena_hard", path, "--rule", "head", "--resample", "rows")
    assert (head["rule"], head["resample"]) == ("head", "rows")


def test_labels_that_are_none_are_remarked(capsys, tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text(json.dumps({"question_id": "1", "games": [{"score": "error"}, {"score": "A>B"}]}))
    assert main(["arena_hard", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["dropped"] == 1
    assert printed.err == "note: 1 stored labels are none of A>>B, A>B, A=B, B>A, B>>A and are dropped: 'ERROR'.\n"


def test_label_pairs(capsys, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("question_id,game1,game2\n1,A>B,A>>B\n2,,A=B\n")
    values = scored(capsys, "arena_hard", path)
    assert (values["wins"], values["ties"], values["losses"], values["dropped"]) == (3, 1, 1, 1)
    assert main(["arena_hard", str(path)]) == 0
    assert f"{100 * 3.5 / 5:.2f}" in capsys.readouterr().out


def test_reward_bench_accuracies(capsys, tmp_path):
    accuracies = {subset: 0.75 for subsets in SECTIONS.values() for subset in subsets}
    values = scored(capsys, "reward_bench", write(tmp_path / "a.json", accuracies | {"model": "rm"}))
    for name in ("chat", "chat_hard", "safety", "reasoning", "average"):
        assert values[name] == pytest.approx(75)
    assert values["ties"] is None
    table = tmp_path / "a.csv"
    table.write_text("subset,accuracy\n" + "".join(f"{name},{75}\n" for name in accuracies))
    assert scored(capsys, "reward_bench", table)["average"] == pytest.approx(75)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_reward_bench_pairs(capsys, tmp_path, suffix):
    import pandas as pd

    rows = [("hep-go", 1.0, 0.0), ("hep-go", 1.0, 1.0), ("donotanswer", 0.0, 1.0)]
    frame = pd.DataFrame(rows, columns=["subset", "score_chosen", "score_rejected"])
    path = tmp_path / f"pairs.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    strict = scored(capsys, "reward_bench", path)
    assert (strict["reasoning"], strict["safety"], strict["chat"], strict["ties"]) == (50, 0, None, 1)
    assert strict["average"] is None
    assert main(["reward_bench", str(path), "--rounds", "2"]) == 0
    said = capsys.readouterr().err
    assert "note: 21 of 23 subsets are missing: alpacaeval-easy, " in said
    assert "hep-rust. safety, reasoning are told from the others." in said
    assert scored(capsys, "reward_bench", path, "--convention", "rlhflow")["reasoning"] == 75


def test_reward_bench_says_what_is_wrong(capsys, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("subset,accuracy\nhep-go,0.5\nhep-go,0.6\n")
    assert "stands there twice" in refused(capsys, "reward_bench", path)
    path.write_text("name,accuracy\nhep-go,0.5\nhep-js,0.6\n")
    assert "without a column 'subset'" in refused(capsys, "reward_bench", path)
    assert "an object belongs" in refused(capsys, "reward_bench", write(tmp_path / "l.json", [1, 2]))


def test_compare_aligns_by_instruction(capsys, tmp_path):
    first, second = judged(N), judged(N, name="other", quality=-2.0, seed=7)
    order = np.random.default_rng(0).permutation(N)
    a = write(tmp_path / "a.json", first)
    b = write(tmp_path / "b.json", [second[at] for at in order])
    values = scored(capsys, "compare", a, b)
    wins = [one["preference"] - two["preference"] for one, two in zip(first, second, strict=True)]
    assert values["difference"] == pytest.approx(100 * np.mean(wins))
    assert (values["wins"], values["losses"]) == (sum(w > 0 for w in wins), sum(w < 0 for w in wins))
    assert values["low"] < values["difference"] < values["high"]
    assert (values["a"], values["b"]) == ("model", "other")
    assert scored(capsys, "compare", a, a)["difference"] == 0


def test_compare_counts_what_cannot_be_compared(capsys, tmp_path):
    # The repeated prompt meets its like in order of appearance; the third of them has no partner.
    first = [annotation(preference=value) for value in (1, 2, 1.5)] + [annotation(instruction="b", preference=None)]
    second = [annotation(preference=value) for value in (2, 2)] + [
        annotation(instruction="b"),
        annotation(instruction="c"),
    ]
    a, b = write(tmp_path / "a.json", first), write(tmp_path / "b.json", second)
    values = scored(capsys, "compare", a, b)
    assert (values["n"], values["missing"], values["unmatched"]) == (2, 1, 2)
    assert (values["wins"], values["ties"], values["losses"]) == (0, 1, 1)
    assert values["difference"] == pytest.approx(-50)


def test_compare_refuses_other_judges_and_baselines(capsys, tmp_path):
    a = write(tmp_path / "a.json", [annotation(annotator="x")])
    b = write(tmp_path / "b.json", [annotation(annotator="y")])
    assert "judge: x in" in refused(capsys, "compare", a, b)
    c = write(tmp_path / "c.json", [annotation(annotator="x", generator_1="other")])
    assert "baseline: baseline in" in refused(capsys, "compare", a, c)
    d = write(tmp_path / "d.json", [annotation(annotator="x", instruction="elsewhere")])
    assert "share none" in refused(capsys, "compare", a, d)


def test_compare_arena_hard(capsys, tmp_path):
    def file(name, labels):
        path = tmp_path / name
        path.write_text(
            "question_id,game1,game2\n" + "".join(f"{at},{one},{two}\n" for at, (one, two) in enumerate(labels))
        )
        return path

    a = file("a.csv", [("B>A", "A>B"), ("A=B", "A=B")])
    b = file("b.csv", [("A>B", "B>>A"), ("A=B", "A=B")])
    values = scored(capsys, "compare", a, b)
    assert values["difference"] == pytest.approx(100 * (3 / 4 - 1 / 6))
    assert (values["wins"], values["ties"], values["losses"]) == (1, 1, 0)


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
