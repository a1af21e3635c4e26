"""What tells of a reward model without a gold judge, by hand."""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path

import pytest

from mt.data.settings import DecontaminationConfig, FieldsConfig
from mt.stages.evaluate_without_gold import DISAGREEMENTS, Disagreements, PreferenceAccuracy
from mt.stages.load_answers import HeldOutPreferences, LoadAnswers
from mt.types import Pair, Rewards, Samples
from mt.workflow.stage import External, Stage
from mt.workflow.work import read_metrics
from tests.stages.bench import Bench, ask, given, prompt, samples

FIELDS = FieldsConfig(prompt="prompt", messages=None, id=None, section=None)
NOTHING_ELSE = DecontaminationConfig(files=[], fields=FIELDS, ngram=None)


def answered(tmp_path: Path, held_out: Stage, share: float | None) -> tuple[External, LoadAnswers]:
    """A file of two pairs for each of 20 prompts, and the stage that reads what may be trained on."""
    rows = [{"prompt": f"q{i}", "chosen": f"yes {k}", "rejected": "no"} for i in range(20) for k in range(2)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = External("pairs", tmp_path / "pairs.jsonl")
    return source, LoadAnswers(source, "preferences", held_out, (), NOTHING_ELSE, share)


@pytest.mark.parametrize(("share", "n_held_out"), [(None, 2), (0.25, 5 * 2), (7, 7 * 2)])
def test_pairs_are_held_out_by_prompt_and_train_nothing(
    bench: Bench, tmp_path: Path, share: float | None, n_held_out: int
) -> None:
    source, trained = answered(tmp_path, given(prompt("a", "q3"), prompt("b", "who")), share)
    held_out = HeldOutPreferences(source, trained, 100)
    train, measured = bench.rows(trained, Pair), bench.rows(held_out, Samples)
    asked = [{row.messages[0]["content"] for row in rows} for rows in (train, measured)]
    assert not asked[0] & asked[1], "no prompt stands on both sides"
    assert len(train) + len(measured) == 40 and "q3" in asked[1]
    assert n_held_out <= len(measured) <= n_held_out + 2, "the share, and the prompt that is held out anyway"
    assert all([one.text for one in row.responses] in (["yes 0", "no"], ["yes 1", "no"]) for row in measured)
    assert len(bench.rows(HeldOutPreferences(source, trained, 1), Samples)) == 1
    assert len(bench.rows(HeldOutPreferences(source, None, 100), Samples)) == 40, "where none trains, all measure"


def test_no_held_out_pair_is_reported_and_gives_no_metric(bench: Bench, tmp_path: Path) -> None:
    source, trained = answered(tmp_path, given(prompt("b", "who")), None)
    empty = HeldOutPreferences(source, trained, 100)
    assert bench.rows(empty, Samples) == []
    assert "data.held_out_preferences=0.1" in bench.notes.texts[0]


def test_a_pair_is_right_where_the_chosen_answer_has_the_higher_reward(bench: Bench) -> None:
    rows = [("who", 2.0, 1.0), ("who", 1.0, 2.0), ("who", 3.0, 3.0), ("why", 5.0, -5.0)]
    pairs = given(*(samples(f"{at}", "chosen", "rejected", asked=asked) for at, (asked, *_) in enumerate(rows)))
    rewards = given(*(Rewards(f"{at}", list(both)) for at, (_, *both) in enumerate(rows)))
    (found,) = read_metrics(bench.run(PreferenceAccuracy(pairs, rewards)))
    assert (found.benchmark, found.metric, found.n) == ("preferences", "accuracy", 2), "an interval over prompts"
    assert found.value == ((1 + 0 + 0.5) / 3 + 1) / 2


def test_the_strongest_disagreement_of_each_prompt_comes_first_whatever_the_scales(bench: Bench) -> None:
    answers = given(*(samples(name, "x", "y", "z", asked=f"ask {name}") for name in ("a", "b", "c")))
    now = {"a": [0.0, 1.0, 4.0], "b": [3.0, 0.0, 1.0], "c": [0.0, 1.0, 2.0]}
    before = {"a": [0.0, 10.0, -10.0], "b": [-10.0, 0.0, 10.0], "c": [0.0, 10.0, 20.0]}
    tables = [given(*(Rewards(name, rewards) for name, rewards in by.items())) for by in (now, before)]
    rows = json.loads((bench.run(Disagreements(answers, *tables, tables[0])) / DISAGREEMENTS).read_text())
    # squared differences by now: a 1, 16, 9; b 9, 4, 1; c 1, 4, 1; by before, over 100: a 1, 1, 4; b 1, 4, 1; c 1, 4, 1
    unit_now, unit_before = sqrt(46 / 9), sqrt(1800 / 9)
    assert [row["prompt_id"] for row in rows] == ["a", "b"], "the models agree on all of c"
    assert rows[0]["messages"] == ask("ask a")
    assert (rows[0]["preferred"], rows[0]["other"]) == ("z", "y"), "of z and x r_0 is less sure"
    assert rows[0]["margins"] == pytest.approx(
        {"current": 3 / unit_now, "base": -20 / unit_before, "previous": 3 / unit_now}
    )
    assert (rows[1]["preferred"], rows[1]["other"]) == ("x", "z")
    assert rows[1]["margins"]["base"] == pytest.approx(-20 / unit_before)
