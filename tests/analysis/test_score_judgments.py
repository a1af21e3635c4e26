from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.score import main
from tests.analysis.scoring import refused, scored, write
from tests.evaluation.examples import annotation, judged

N = 120


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


def second_arena(path, model, verdicts, category="hard_prompt", baseline="o3-mini-2025-01-31", **extra):
    rows = [
        {"uid": f"{category}-{at}", "category": category, "judge": "gpt-4.1", "model": model, "baseline": baseline}
        | {"games": [{"score": score} for score in games]}
        | extra
        for at, games in enumerate(verdicts)
    ]
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def test_categories_are_kept_apart(capsys, tmp_path):
    path = second_arena(tmp_path / "m.jsonl", "M", [("A<B", "A>B")] * 3)
    second_arena(path, "M", [("A>B", "B>A")] * 2, "creative_writing", "gemini-2.0-flash-001")
    hard = scored(capsys, "arena_hard", path)
    assert hard == scored(capsys, "arena_hard", path, "--rule", "head")
    assert (hard["score"], hard["n"], hard["category"], hard["baseline"]) == (
        100,
        3,
        "hard_prompt",
        "o3-mini-2025-01-31",
    )
    creative = scored(capsys, "arena_hard", path, "--rule", "head", "--category", "creative_writing")
    assert (creative["score"], creative["n"], creative["baseline"]) == (0, 2, "gemini-2.0-flash-001")
    said = refused(capsys, "arena_hard", path, "--category", "math")
    assert "--category=math: not in" in said
    assert "hard_prompt 3, creative_writing 2" in said
    assert main(["arena_hard", str(path), "--rule", "head", "--json"]) == 0
    assert capsys.readouterr().err == (
        "note: category hard_prompt: 3 of 5 rows (hard_prompt 3, creative_writing 2). Categories are not mixed.\n"
    )


def test_categories_without_the_default_one_have_to_be_chosen(capsys, tmp_path):
    path = second_arena(tmp_path / "m.jsonl", "M", [("A>B", "A>B")], "math")
    assert scored(capsys, "arena_hard", path, "--rule", "head")["category"] == "math"
    second_arena(path, "M", [("A>B", "A>B")], "coding")
    assert "Choose one by --category" in refused(capsys, "arena_hard", path)


def test_judges_and_baselines_are_not_mixed_within_a_category(capsys, tmp_path):
    path = second_arena(tmp_path / "m.jsonl", "M", [("A>B", "A>B")])
    second_arena(path, "M", [("A>B", "A>B")], baseline="gpt-4.1")
    assert "baseline names 2 baselines" in refused(capsys, "arena_hard", path)
    other = second_arena(tmp_path / "n.jsonl", "M", [("A>B", "A>B")], baseline="gpt-4.1")
    second_arena(other, "M", [("A>B", "A>B")], baseline=None)
    assert main(["arena_hard", str(other), "--rule", "head", "--json"]) == 0
    said = capsys.readouterr().err
    assert "1 of 2 rows name no baseline" in said
    assert "baseline gpt-4.1: the benchmark's own in hard_prompt is o3-mini-2025-01-31." in said


def test_comparing_reads_labels_as_scoring_does(capsys, tmp_path):
    a = second_arena(tmp_path / "a.jsonl", "M", [("A<B", "B>A")] * 4)
    b = second_arena(tmp_path / "b.jsonl", "N", [("B>A", "A>B")] * 4)
    told = scored(capsys, "compare", a, b)
    assert (told["win_rate_a"], told["win_rate_b"], told["category"], told["rule"]) == (50, 100, "hard_prompt", "head")
    assert told == scored(capsys, "compare", a, b, "--rule", "head")
    assert main(["compare", str(a), str(b), "--rule", "2024", "--json", "--rounds", "5"]) == 0
    said = capsys.readouterr().err
    assert f"note: {a}: category hard_prompt is of Arena-Hard v2, which scores by --rule head." in said
    assert f"note: {a}: 4 stored labels are none of A>>B, A>B, A=B, B>A, B>>A and are dropped: 'A<B'." in said
    creative = second_arena(tmp_path / "c.jsonl", "N", [("B>A", "A>B")], "creative_writing")
    assert "category: hard_prompt in" in refused(capsys, "compare", a, creative)
    assert "--category=math: not in" in refused(capsys, "compare", a, b, "--category", "math")


def test_label_pairs(capsys, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("question_id,game1,game2\n1,A>B,A>>B\n2,,A=B\n")
    values = scored(capsys, "arena_hard", path)
    assert (values["wins"], values["ties"], values["losses"], values["dropped"]) == (3, 1, 1, 1)
    assert main(["arena_hard", str(path)]) == 0
    assert f"{100 * 3.5 / 5:.2f}" in capsys.readouterr().out


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


def test_a_judge_of_ours_that_read_its_own_prompt_is_remarked(capsys, tmp_path):
    rows = [annotation(annotator="openai gpt-4-1106-preview/own-0123abcd")]
    path = write(tmp_path / "a.json", rows)
    assert main(["alpaca_eval", str(path), "--json", "--rounds", "2"]) == 0
    assert "own-0123abcd: own prompt, not comparable with published numbers." in capsys.readouterr().err
    official = write(tmp_path / "b.json", [annotation(annotator="openai gpt-4-1106-preview/official-0123abcd")])
    assert main(["alpaca_eval", str(official), "--json", "--rounds", "2"]) == 0
    assert capsys.readouterr().err == ""
    assert "judge: openai" in refused(capsys, "compare", path, official)
