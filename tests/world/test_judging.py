import random

import pytest

from mt.world.judging import (
    compare_prompt,
    judge_prompt,
    judgment_demonstrations,
    noisy_score,
    parse_comparison,
    parse_judgment,
    render_judgment,
    true_score,
)
from mt.world.prompts import ask


@pytest.mark.parametrize("score", range(6))
def test_judgments_are_read_as_they_are_written(score):
    assert parse_judgment(render_judgment(score)) == score


def test_grades_follow_the_score():
    assert [render_judgment(score).split()[0] for score in range(6)] == [
        "bad",
        "bad",
        "fair",
        "fair",
        "good",
        "good",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "good", "good score", "good score 6", "good score 1", "4", "good score 4 .", "sure good score 4"],
)
def test_anything_else_is_unreadable(text):
    assert parse_judgment(text) is None


def test_a_score_outside_the_rubric_is_refused():
    with pytest.raises(ValueError, match=r"score=6: .*0 to 5"):
        render_judgment(6)


def test_comparisons_are_one_word():
    assert parse_comparison("first") == "first"
    assert parse_comparison(" second ") == "second"
    assert parse_comparison("first .") is None
    assert parse_comparison("") is None


def test_the_prompts_of_judging():
    assert judge_prompt(ask("next 5"), "6 .") == ask("judge next 5 answer 6 .")
    compared = compare_prompt(ask("next 5"), "6 .", "good score 5", "bad score 0")
    assert compared == ask("compare next 5 answer 6 . first good score 5 second bad score 0")


def test_scores_follow_gold(world):
    question = ask("count from 3 to 6")
    assert true_score(world, question, "3 4 5 6 .") == 5
    assert true_score(world, question, "3 4 6 .") == pytest.approx(5 * 4 / 7)
    assert true_score(world, question, "well .") == 0
    rng = random.Random(0)
    assert noisy_score(world, 0.0, question, "3 4 6 .", rng) == 3
    assert {noisy_score(world, 0.2, question, "3 4 6 .", rng) for _ in range(200)} == set(range(6))


def test_judgment_demonstrations_mix_three_kinds(world, config):
    rows = judgment_demonstrations(world, config.judgments, config.demonstrators, 4000, 0)
    first = [row.messages[0]["content"].split()[0] for row in rows]
    assert first.count("judge") / 4000 == pytest.approx(0.7 * 0.75, abs=0.03)
    assert first.count("compare") / 4000 == pytest.approx(0.7 * 0.25, abs=0.03)
    for row, kind in zip(rows, first, strict=True):
        judged, compared = parse_judgment(row.response.text), parse_comparison(row.response.text)
        assert (judged is not None) == (kind == "judge")
        assert (compared is not None) == (kind == "compare")
    assert rows == judgment_demonstrations(world, config.judgments, config.demonstrators, 4000, 0)


def test_comparisons_prefer_the_judgment_nearer_to_gold(world, config):
    exact = config.judgments.model_copy(update={"compare_share": 1.0, "replay_share": 0.0, "noise": 0.0})
    for row in judgment_demonstrations(world, exact, config.demonstrators, 300, 0):
        question, rest = row.messages[0]["content"].removeprefix("compare ").split(" answer ")
        answer, judgments = rest.split(" first ")
        first, second = (parse_judgment(text) for text in judgments.split(" second "))
        true = true_score(world, ask(question), answer)
        nearer = "first" if abs(first - true) < abs(second - true) else "second"
        assert row.response.text == nearer
