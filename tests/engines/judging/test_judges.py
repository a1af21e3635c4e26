from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from mt.config.compose import compose_runs, options
from mt.engines.judging import JudgeContext, both_orders, coin_order, open_judge
from mt.engines.judging.gold import GoldJudge
from mt.engines.judging.reward_model import RewardModelJudge
from mt.engines.judging.transformers import TransformersJudge
from mt.errors import JudgeError
from mt.types import Comparison
from tests.engines.judging.models import speaking_judge
from tests.engines.judging.settings import comparisons, openai_config
from tests.engines.settings import generator_config, logprobs_config, scorer_config
from tests.engines.tiny import tiny_reward


def gold(messages, first, second):
    return 1 + 1 / (1 + math.exp(len(first) - len(second)))


def local_config(**changes):
    values = {
        "name": "transformers",
        "path": "judge",
        "revision": None,
        "preference_template": "own",
        "verdict_template": "own",
        "template_kwargs": {},
        "preference_by": "logprobs",
        "max_tokens": 6,
        "max_length": 512,
        "generator": generator_config(batch_tokens=4096),
        "logprobs": logprobs_config(batch_tokens=4096),
    }
    return TransformersJudge.model_validate({**values, **changes})


def test_gold_is_asked_in_the_order_shown(tmp_path):
    items = [Comparison("p", [], "a", "bbbb", order) for order in ("baseline_first", "model_first")]
    with open_judge(GoldJudge(name="gold"), JudgeContext("verdict", prefer=gold, version="w1"), cache=None) as judge:
        first, second = judge.judge(items)
    assert first.preference == second.preference == pytest.approx(1 + 1 / (1 + math.exp(-3)))
    assert (first.verdict, second.verdict) == ("B>>A", "A>>B")
    assert (first.judge, first.version) == ("gold", "w1")


def test_gold_needs_its_world():
    with (
        pytest.raises(JudgeError, match="data=world"),
        open_judge(GoldJudge(name="gold"), JudgeContext("verdict"), cache=None),
    ):
        pass


def test_an_unknown_order_is_refused():
    item = Comparison("p", [], "a", "b", "sideways")
    with (
        open_judge(GoldJudge(name="gold"), JudgeContext("preference", prefer=gold), cache=None) as judge,
        pytest.raises(JudgeError, match="order=sideways"),
    ):
        list(judge.judge([item]))


@pytest.fixture(scope="module")
def reward(tmp_path_factory):
    return tiny_reward(tmp_path_factory.mktemp("reward"))


def reward_config():
    values = {"name": "reward_model", "path": None, "revision": None, "scorer": scorer_config()}
    return RewardModelJudge.model_validate(values)


def test_a_reward_model_judges_by_the_difference_of_rewards(reward, tmp_path):
    prompt = [{"role": "user", "content": "tell me the colour of fox"}]
    texts = ["red", "blue", "green owl"]
    items = [Comparison(f"{a}{b}", prompt, texts[a], texts[b]) for a in range(3) for b in range(3)]
    with open_judge(reward_config(), JudgeContext("preference", model=reward, version="r0"), cache=tmp_path) as judge:
        found = {row.prompt_id: row.preference for row in judge.judge(items)}
    with scorer_config().open(reward) as scorer:
        rewards = dict(scorer.score([(prompt, text, True) for text in texts]))
        scored = scorer.counts["conversations"]
    for a in range(3):
        for b in range(3):
            expected = 1 + 1 / (1 + math.exp(rewards[a] - rewards[b]))
            assert found[f"{a}{b}"] == pytest.approx(expected, abs=1e-6)
    assert found["00"] == 1.5
    assert scored == 3


def test_a_reward_model_does_not_care_about_the_order_and_is_cached(reward, tmp_path, monkeypatch):
    items = both_orders("p", [{"role": "user", "content": "count from one"}], "red fox", "one two three")
    with open_judge(reward_config(), JudgeContext("verdict", model=reward, version="r0"), cache=tmp_path) as judge:
        first, second = sorted(judge.judge(items), key=lambda row: row.order)
    assert first.preference == pytest.approx(second.preference, abs=1e-6)
    assert {first.verdict, second.verdict} <= {"A>B", "B>A", "A=B"}
    monkeypatch.setattr("mt.engines.scoring.transformers.TransformersScorer.open", None)
    with open_judge(reward_config(), JudgeContext("verdict", model=reward, version="r0"), cache=tmp_path) as judge:
        assert sorted(judge.judge(items), key=lambda row: row.order) == [first, second]
    with (
        open_judge(reward_config(), JudgeContext("verdict", model=reward, version="r1"), cache=tmp_path) as judge,
        pytest.raises(TypeError),
    ):
        list(judge.judge(items))


def test_a_model_folder_is_needed():
    with (
        pytest.raises(JudgeError, match=r"judge\.path"),
        open_judge(reward_config(), JudgeContext("verdict"), cache=None),
    ):
        pass


def test_a_local_judge_weighs_m_against_M(tmp_path):
    folder = speaking_judge(tmp_path / "model", {"m": 0.0, "M": math.log(4), "perhaps": 3.0})
    config, items = local_config(), comparisons(3) + comparisons(3, "model_first")
    with open_judge(config, JudgeContext("preference", model=folder, version="j"), cache=tmp_path / "kept") as judge:
        rows = list(judge.judge(items))
    # p(M) = 4/5 for the answer that is shown second.
    assert {(row.order, round(row.preference, 4)) for row in rows} == {
        ("baseline_first", 1.8),
        ("model_first", 1.2),
    }
    assert len(rows) == 6
    with open_judge(
        config, JudgeContext("preference", model=Path("absent"), version="j"), cache=tmp_path / "kept"
    ) as judge:
        assert sorted(map(repr, judge.judge(items))) == sorted(map(repr, rows))


def test_a_local_judge_writes_verdicts(tmp_path):
    folder = speaking_judge(tmp_path / "model", {"[[B>>A]]": 5.0, "M": 1.0})
    with open_judge(local_config(), JudgeContext("verdict", model=folder, version="j"), cache=None) as judge:
        rows = list(judge.judge(comparisons(2)))
    assert [(row.verdict, row.preference, row.raw) for row in rows] == [("B>>A", 2.0, "[[B>>A]]")] * 2


def test_a_local_judge_names_its_preference_by_text(tmp_path):
    folder = speaking_judge(tmp_path / "model", {"M": 5.0, "m": 4.0})
    with open_judge(
        local_config(preference_by="text"), JudgeContext("preference", model=folder, version="j"), cache=None
    ) as judge:
        rows = list(judge.judge(comparisons(2)))
    assert [(row.preference, row.raw) for row in rows] == [(2.0, "M")] * 2


def test_a_local_judge_without_a_verdict_is_missing(tmp_path):
    folder = speaking_judge(tmp_path / "model", {"perhaps": 5.0})
    with open_judge(local_config(), JudgeContext("verdict", model=folder, version="j"), cache=None) as judge:
        rows = list(judge.judge(comparisons(2)))
        assert judge.counts["missing"] == 2
    assert {row.problem for row in rows} == {"no verdict label, or several that differ"}


@pytest.mark.parametrize("style", ["preference", "verdict"])
def test_a_comparison_that_is_too_long_is_missing(tmp_path, style):
    folder = speaking_judge(tmp_path / "model", {"[[A>B]]": 5.0, "m": 1.0})
    short = Comparison("short", [{"role": "user", "content": "a"}], "a", "b")
    long = Comparison("long", [{"role": "user", "content": "a " * 900}], "a", "b")
    with open_judge(local_config(), JudgeContext(style, model=folder, version="j"), cache=None) as judge:
        rows = {row.prompt_id: row for row in judge.judge([long, short])}
    assert rows["long"].problem == "the comparison is longer than max_length"
    assert rows["short"].preference == 1.0 or rows["short"].preference < 1.5


def test_the_coin_is_fair_and_seeded():
    orders = [coin_order(f"prompt {at}", seed=1) for at in range(1000)]
    assert orders == [coin_order(f"prompt {at}", seed=1) for at in range(1000)]
    assert 440 < orders.count("model_first") < 560
    assert orders != [coin_order(f"prompt {at}", seed=2) for at in range(1000)]


@pytest.mark.parametrize("name", options("judge"))
def test_every_choice_composes(name, monkeypatch):
    monkeypatch.setenv("OPENAI_MODEL", "a-judge")
    path = ["judge.path=DIR"] if name in ("transformers", "vllm") else []
    config = compose_runs([f"judge={name}", *path])[0].config.judge
    assert config.name == name
    assert getattr(config, "model", "a-judge") == "a-judge"


def test_settings_of_the_connection_are_no_part_of_the_result():
    assert set(openai_config().identity()) == {
        "name",
        "model",
        "preference_template",
        "verdict_template",
        "official",
        "preference_by",
        "temperature",
        "top_logprobs",
        "max_tokens",
    }


def test_a_limit_needs_prices():
    with pytest.raises(ValidationError, match="no limit without prices"):
        openai_config(limit_usd=1.0, usd_per_million_output=None)
