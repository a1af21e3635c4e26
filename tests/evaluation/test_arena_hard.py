from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.errors import DataError
from mt.evaluation.arena_hard import Games, arena_hard, read_judgments, unread_labels
from mt.verdicts import LABELS, extract_label

GAMES = st.lists(st.tuples(st.sampled_from([*LABELS, None]), st.sampled_from(LABELS)), min_size=1, max_size=20)


def games(pairs):
    return [Games(str(at), *pair) for at, pair in enumerate(pairs)]


def test_by_hand():
    # Game 1 shows the baseline as A, game 2 the model. Rows won, tied, lost: 3+1, 1+0, 1+3.
    pairs = [("B>>A", "A>B"), ("A=B", None), ("A>B", "B>>A")]
    score = arena_hard(games(pairs), rounds=50)
    assert (score.wins, score.ties, score.losses, score.dropped, score.n) == (4, 1, 4, 1, 3)
    assert score.score == pytest.approx(100 * 4.5 / 9)


def test_the_head_rule_drops_the_question_whole_and_reports_the_mean_of_draws():
    pairs = [("B>>A", "A>B"), ("A=B", None), ("A>B", "B>>A")] * 30
    score = arena_hard(games(pairs), rule="head", resample="rows")
    assert (score.wins, score.ties, score.losses, score.dropped, score.n) == (120, 0, 120, 60, 60)
    assert score.score == pytest.approx(50, abs=0.2)
    assert score.score != 50


def test_bradley_terry_with_one_baseline_is_the_share_of_rows():
    pairs = [("B>A", "A>>B"), ("A=B", "A=B"), ("A>>B", "B>A"), ("B>A", "A=B")]
    score = arena_hard(games(pairs), rounds=10)
    # The maximum-likelihood strength of the model over the baseline, a tie half a win and half a loss.
    won = score.wins + score.ties / 2
    strength = np.linspace(-5, 5, 200_001)
    likelihood = -won * np.log1p(np.exp(-strength)) - (score.wins + score.ties + score.losses - won) * np.log1p(
        np.exp(strength)
    )
    best = strength[likelihood.argmax()]
    assert score.score == pytest.approx(100 / (1 + np.exp(-best)), abs=1e-2)


@given(GAMES)
def test_swapping_both_sides_mirrors_the_score(pairs):
    mirror = {"A>>B": "B>>A", "A>B": "B>A", "A=B": "A=B", "B>A": "A>B", "B>>A": "A>>B", None: None}
    score = arena_hard(games(pairs), rounds=5)
    swapped = arena_hard(games([(mirror[one], mirror[two]) for one, two in pairs]), rounds=5)
    assert score.score + swapped.score == pytest.approx(100)
    assert (score.wins, score.dropped) == (swapped.losses, swapped.dropped)


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=20))
def test_a_judge_that_only_sees_positions_gives_50(labels):
    assert arena_hard(games([(label, label) for label in labels]), rounds=5).score == pytest.approx(50)


@given(GAMES, st.randoms())
def test_order_of_questions_does_not_matter(pairs, random):
    one = arena_hard(games(pairs), rounds=5)
    two = arena_hard(games(random.sample(pairs, len(pairs))), rounds=5)
    assert (one.score, one.wins, one.ties, one.losses) == (two.score, two.wins, two.ties, two.losses)


def test_intervals_over_questions_are_wider_where_games_agree():
    # Both games of a question say the same, three rows each: six equal rows are one observation, not six.
    pairs = [("B>>A", "A>>B") if at % 3 else ("A>>B", "B>>A") for at in range(90)]
    questions, rows = (arena_hard(games(pairs), resample=by).interval for by in ("questions", "rows"))
    share = 2 / 3
    assert questions.high - questions.low == pytest.approx(200 * 1.96 * np.sqrt(share * (1 - share) / 90), rel=0.08)
    assert rows.high - rows.low == pytest.approx(200 * 1.96 * np.sqrt(share * (1 - share) / 540), rel=0.08)


def test_percentiles_of_the_two_rules():
    pairs = [("B>A", "A>B") if at % 2 else ("A>B", "B>A") for at in range(100)]
    old, new = (arena_hard(games(pairs), rule=rule, resample="rows").interval for rule in ("2024", "head"))
    assert (old.high - old.low) / (new.high - new.low) == pytest.approx(1.96 / 1.645, rel=0.06)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("My verdict: [[A>>B]]", "A>>B"),
        ("[[A>B]] … so [[A>B]]", "A>B"),
        ("[[A>B]] … or [[B>A]]", None),
        ("[A>B]", None),
        ("no verdict", None),
        ("[[A=B]]\n", "A=B"),
    ],
)
def test_all_verdicts_must_agree(text, label):
    assert extract_label(text) == label


def test_both_generations_of_the_format():
    old = {"question_id": "q", "model": "m", "judge": "j", "games": [{"judgment": "[[A>B]]"}, {"score": "B>A"}]}
    new = {"uid": "q", "model": "m", "judge": "j"}
    new["games"] = [{"score": "A>B", "judgment": {"answer": "ignored"}}, {"judgment": {"answer": "so [[B>A]]"}}]
    pair = {"question_id": "q", "game1": " a > b ", "game2": "[[B>A]]"}
    expected = [Games("q", "A>B", "B>A")]
    assert read_judgments([old], "f") == read_judgments([new], "f") == read_judgments([pair], "f") == expected


def test_games_without_a_label_are_none():
    row = {"question_id": 7, "games": [None, {"judgment": "[[A>B]] [[A=B]]", "score": None}]}
    assert read_judgments([row], "f") == [Games("7", None, None)]
    assert read_judgments([{"question_id": "q", "game1": "", "game2": "A=B"}], "f") == [Games("q", None, "A=B")]


def test_stored_labels_that_the_rule_does_not_know_are_found():
    row = {"question_id": "q", "games": [{"score": "error"}, {"score": "B<A"}]}
    read = read_judgments([row, {"question_id": "r", "game1": "A>B", "game2": "none"}], "f")
    assert unread_labels(read) == ["ERROR", "B<A"]
    assert unread_labels(read, "head") == ["ERROR"]


def test_a_label_outside_the_five_is_dropped_by_the_2024_rule_and_mirrored_by_the_newer():
    pairs = [("B<A", "A=B"), ("A>B", "B>A")]
    old, new = (arena_hard(games(pairs), rule=rule, rounds=5) for rule in ("2024", "head"))
    assert (old.losses, old.ties, old.dropped) == (2, 1, 1)
    assert (new.losses, new.ties, new.dropped) == (3, 1, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question_id": "q", "games": [{"score": "A>B"}]}, "1 games where two are needed"),
        ({"question_id": "q"}, "no list of games"),
        ({"games": [None, None]}, "'question_id' is missing"),
        ({"question_id": "q", "games": [{}, None]}, "neither 'score' nor 'judgment'"),
        ({"question_id": "q", "games": ["A>B", None]}, "games[0]='A>B': not a game"),
        ({"question_id": "q", "games": [{"score": 1}, None]}, "games[0].score=1: not a label"),
        ({"question_id": "q", "game1": "tie", "game2": ""}, "game1='tie': not a label. Allowed: A>>B, "),
        ({"question_id": "q", "games": [{"judgment": 3}, None]}, "games[0].judgment=3: not a text"),
        ("text", "a str where an object"),
    ],
)
def test_bad_rows_are_named(row, said):
    with pytest.raises(DataError) as caught:
        read_judgments([{"question_id": "p", "games": [None, None]}, row], "f.jsonl")
    assert said in str(caught.value)
    assert "f.jsonl row 1 (from 0)" in str(caught.value)


def test_models_and_judges_are_never_mixed():
    row = {"question_id": "q", "model": "m", "judge": "j", "games": [None, None]}
    with pytest.raises(DataError, match="judge names 2 judges"):
        read_judgments([row, row | {"judge": "k"}], "f")
    with pytest.raises(DataError, match="model names 2 models"):
        read_judgments([row, row | {"model": "n"}], "f")


def test_no_label_at_all():
    with pytest.raises(DataError, match="none of 1 questions has a verdict label"):
        arena_hard(games([(None, "AB")]))
