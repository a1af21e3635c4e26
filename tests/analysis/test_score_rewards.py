from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.score import main
from mt.evaluation.reward_bench import SECTIONS
from tests.analysis.scoring import refused, scored, write


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
    assert "hep-rust. safety, reasoning are computed from the others." in said
    assert scored(capsys, "reward_bench", path, "--convention", "rlhflow")["reasoning"] == 75


PAIR_ROWS = [
    {"id": at, "subset": "math-prm", "results": int(won), "scores_chosen": [float(won)], "scores_rejected": [0.5]}
    for at, won in enumerate((True, True, True, False))
]


@pytest.mark.parametrize("kind", ["columns", "pandas", "lines", "objects"])
def test_files_of_the_original_scripts(capsys, tmp_path, kind):
    columns = {name: [row[name] for row in PAIR_ROWS] for name in PAIR_ROWS[0]} | {"model": "rm", "model_type": "x"}
    if kind == "pandas":
        columns = {
            name: dict(enumerate(value)) if isinstance(value, list) else value for name, value in columns.items()
        }
    path = tmp_path / "scores.json"
    text = {
        "lines": "\n".join(map(json.dumps, PAIR_ROWS)),
        "objects": "\n".join(json.dumps(row, indent=4) for row in PAIR_ROWS),
    }
    path.write_text(text.get(kind, json.dumps(columns, indent=4)))
    values = scored(capsys, "reward_bench", path)
    assert (values["reasoning"], values["n"], values["ties"]) == (75, 4, 0)


def test_the_result_of_the_rewardbench_command(capsys, tmp_path):
    result = {"accuracy": 0.75, "num_prompts": 4, "model": "m", "ref_model": None, "extra_results": {"math-prm": 0.75}}
    path = write(tmp_path / "m.json", result)
    assert main(["reward_bench", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["reasoning"] == 75
    assert "note: the file's 1 accuracies are read as shares (0 to 1)." in printed.err
    other = write(tmp_path / "n.json", result | {"extra_results": None})
    assert "extra_results holds no accuracies by subset" in refused(capsys, "reward_bench", other)
    everything = tmp_path / "all.jsonl"
    everything.write_text('{"chosen": 1.0, "rejected": 0.5}\n{"chosen": 1.0, "rejected": 2.0}\n')
    assert "without a column 'subset'" in refused(capsys, "reward_bench", everything)


def test_reward_bench_remarks_what_is_repeated_and_refuses_several_models(capsys, tmp_path):
    path = write(tmp_path / "twice.json", [*PAIR_ROWS, PAIR_ROWS[0]])
    assert main(["reward_bench", str(path), "--json", "--rounds", "2"]) == 0
    said = capsys.readouterr().err
    assert "1 rows repeat one of the pairs; each counts." in said
    assert "math-prm 5 of 447" in said
    mixed = write(tmp_path / "mixed.json", [PAIR_ROWS[0] | {"model": "a"}, PAIR_ROWS[1] | {"model": "b"}])
    assert "model names 2 models (a, b)" in refused(capsys, "reward_bench", mixed)


def test_reward_bench_2_columns(capsys, tmp_path):
    columns = {
        "id": ["1", "2", "ref:0", "tied:0"],
        "subset": ["Math", "Math", "Ties", "Ties"],
        "scores": [[[3.0], [1.0], [2.0], [0.0]], [2.0, 2.0, 1.0, 0.0], [1.0, 0.0], [3.0, 2.5, 0.0]],
        "num_correct": [1, 1, 1, 2],
        "results": [1, 0.5, 1, 0],
    }
    values = scored(capsys, "reward_bench_2", write(tmp_path / "s.json", columns | {"model": "rm"}))
    assert (values["math"], values["shared_best"], values["n"], values["average"]) == (75, 1, 4, None)
    assert values["ties"] == pytest.approx(100 * (1 + 0.01 * np.tanh(1 / 0.5 - 1)))


def test_a_table_of_reward_bench_2_gives_the_same(capsys, tmp_path):
    import pandas as pd

    rows = [
        {"id": "1", "subset": "Math", "scores": [1.0, 2.0, 0.0, 0.0], "num_correct": 1},
        {"id": "2", "subset": "Math", "scores": [[3.0], [2.0], [0.0], [1.0]], "num_correct": 1},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "s.csv", index=False)
    assert scored(capsys, "reward_bench_2", tmp_path / "s.csv")["math"] == 50
    pd.DataFrame(rows[:1] * 2).to_parquet(tmp_path / "s.parquet")
    assert scored(capsys, "reward_bench_2", tmp_path / "s.parquet")["math"] == 0


def test_reward_bench_2_accuracies(capsys, tmp_path):
    accuracies = {"Factuality": 0.5, "Focus": 0.5, "Math": 0.5, "Precise IF": 0.5, "Safety": 0.5, "Ties": 1.008}
    values = scored(capsys, "reward_bench_2", write(tmp_path / "a.json", accuracies | {"model": "rm"}))
    assert values["average"] == pytest.approx((5 * 50 + 100.8) / 6)
    assert (values["precise_if"], values["unit"], values["model"]) == (50, "share", "rm")


def test_reward_bench_says_what_is_wrong(capsys, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("subset,accuracy\nhep-go,0.5\nhep-go,0.6\n")
    assert "stands there twice" in refused(capsys, "reward_bench", path)
    path.write_text("name,accuracy\nhep-go,0.5\nhep-js,0.6\n")
    assert "without a column 'subset'" in refused(capsys, "reward_bench", path)
    assert "an object belongs" in refused(capsys, "reward_bench", write(tmp_path / "l.json", [1, 2]))
    sections = write(tmp_path / "s.json", {"Chat": 0.9, "Chat Hard": 0.6, "Safety": 0.8, "Reasoning": 0.9})
    assert "no accuracies of subsets, but of sections" in refused(capsys, "reward_bench", sections)
