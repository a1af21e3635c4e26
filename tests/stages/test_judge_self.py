"""The policy as its own judge, from texts written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt.errors import DataError
from mt.stages.judge_self import ComparisonPrompts, JudgePairs, JudgmentPrompts, ParseJudgments, SelectMostVaried
from mt.stages.load_judgments import LoadJudgments
from mt.types import Demonstration, Pair, Prompt, Rewards, Samples
from mt.workflow.stage import External
from mt.world.judging import render_judgment
from tests.stages.bench import Bench, given, samples

LOW, HIGH, ALSO_HIGH = render_judgment(0), render_judgment(5), render_judgment(4)
ASKED = "judge tell color of fox answer red"


def test_every_response_is_put_to_the_judge(bench: Bench) -> None:
    table = given(samples("a", "red", "blue", asked="tell color of fox"), samples("b", "", asked="next 5"))
    rows = bench.rows(JudgmentPrompts(table, "world"), Prompt)
    assert [(row.prompt_id, row.messages[0]["content"]) for row in rows] == [
        ("a#0", "judge tell color of fox answer red"),
        ("a#1", "judge tell color of fox answer blue"),
        ("b#0", "judge next 5 answer "),
    ]


def judged(bench: Bench, *texts: tuple[str, ...]) -> tuple[list[Samples], list[Rewards], dict[str, float]]:
    """Two responses to each of two prompts, with these judgments of a#0, a#1, b#0, b#1."""
    table = given(samples("a", "red", "blue"), samples("b", "six", "seven"))
    names = ("a#0", "a#1", "b#0", "b#1")
    judgments = given(*(samples(name, *text) for name, text in zip(names, texts, strict=True)))
    halves = [ParseJudgments(table, judgments, "world", part) for part in ("samples", "rewards")]  # type: ignore[arg-type]
    return bench.rows(halves[0], Samples), bench.rows(halves[1], Rewards), bench.counts(halves[0])


def test_scores_are_averaged_over_readable_judgments_and_the_others_counted(bench: Bench) -> None:
    kept, rewards, counts = judged(bench, (HIGH, ALSO_HIGH), (LOW, "red fox"), ("what", "score 3"), (LOW, LOW))
    assert [[one.text for one in row.responses] for row in kept] == [["red", "blue"], ["seven"]]
    assert [row.rewards for row in rewards] == [[4.5, 0.0], [0.0]]
    assert counts == {"judgments": 8, "unreadable": 3, "prompts": 2}


def test_a_prompt_without_a_readable_judgment_is_left_out(bench: Bench) -> None:
    kept, rewards, _ = judged(bench, (HIGH,), (LOW,), ("what",), ("",))
    assert [row.prompt_id for row in kept] == [row.prompt_id for row in rewards] == ["a"]


def test_a_policy_that_cannot_judge_at_all_is_an_error(bench: Bench) -> None:
    with pytest.raises(DataError, match=r"none of the policy's 4 judgments can be read.*method\.eft_training"):
        judged(bench, ("what",), ("who",), ("when",), ("",))


def varied(*rows: Samples) -> SelectMostVaried:
    return SelectMostVaried(given(*rows), "world")


def test_the_most_disputed_response_goes_to_the_meta_judge(bench: Bench) -> None:
    stage = varied(samples("a#0", HIGH, HIGH, HIGH), samples("a#1", HIGH, LOW, HIGH, "nonsense"))
    (row,) = bench.rows(stage, Samples)
    assert row.prompt_id == "a#1"
    assert sorted(one.text for one in row.responses) == sorted([HIGH, LOW]), "each readable text once"


def test_judgments_are_compared_in_both_orders(bench: Bench) -> None:
    rows = bench.rows(ComparisonPrompts(varied(samples("a#0", HIGH, LOW, asked=ASKED)), "world"), Prompt)
    assert [row.prompt_id for row in rows] == ["a#0#0-1", "a#0#1-0"]
    question = "compare tell color of fox answer red"
    assert rows[0].messages[0]["content"] == f"{question} first {HIGH} second {LOW}"
    assert rows[1].messages[0]["content"] == f"{question} first {LOW} second {HIGH}"


def judge_pairs(*said: str) -> JudgePairs:
    """The verdicts on three judgments of one response, in all six orders."""
    table = varied(samples("a#0", HIGH, ALSO_HIGH, LOW, asked=ASKED))
    names = ("0-1", "0-2", "1-0", "1-2", "2-0", "2-1")
    verdicts = given(*(samples(f"a#0#{name}", text) for name, text in zip(names, said, strict=True)))
    return JudgePairs(table, ComparisonPrompts(table, "world"), verdicts, "world", 6)


def test_the_best_judgment_is_chosen_over_the_worst(bench: Bench) -> None:
    stage = judge_pairs("first", "first", "second", "first", "second", "second")
    (row,) = bench.rows(stage, Pair)
    assert (row.chosen.text, row.rejected.text, row.source) == (HIGH, LOW, "judge")
    assert row.messages[0]["content"] == ASKED
    assert bench.counts(stage)["unreadable"] == 0


def test_unreadable_verdicts_are_ties_and_counted(bench: Bench) -> None:
    stage = judge_pairs("first first", "first", "second", "hm", "second", "second")
    (row,) = bench.rows(stage, Pair)
    assert (row.chosen.text, row.rejected.text) == (HIGH, LOW)
    counts = bench.counts(stage)
    assert (counts["verdicts"], counts["unreadable"]) == (6, 2)


def test_a_judge_of_positions_only_gives_no_pair_and_the_run_goes_on(bench: Bench) -> None:
    stage = judge_pairs(*["first"] * 6)
    assert bench.rows(stage, Pair) == []
    assert bench.counts(stage)["dropped_undecided"] == 1
    assert any("actor pairs alone" in text for text in bench.notes.texts)


def eft(folder: Path, *records: dict[str, object]) -> LoadJudgments:
    path = folder / "eft.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return LoadJudgments(External(str(len(records)), path), "english")


def test_judgments_of_a_file_become_demonstrations_of_judging(bench: Bench, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "2 + 2?"}]
    stage = eft(
        tmp_path,
        {"messages": turns, "response": "4", "judgment": "Right.\nScore: 5"},
        {"prompt": "who?", "response": "me", "judgment": "no line"},
    )
    (row,) = bench.rows(stage, Demonstration)
    assert "2 + 2?" in row.messages[0]["content"] and row.messages[0]["content"].endswith("4")
    assert row.response.text == "Right.\nScore: 5"
    assert bench.counts(stage) == {"judgments": 2, "unreadable": 1}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "a", "response": "b"}, r"row 0 \(from 0\): field 'judgment' is missing"),
        ({"prompt": "a", "response": "b", "judgment": "fine"}, r"none of its 1 judgments can be read.*Score: N"),
    ],
)
def test_a_file_that_teaches_nothing_is_refused(
    bench: Bench, tmp_path: Path, record: dict[str, object], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        bench.run(eft(tmp_path, record))
