"""Scores of single responses, from 1 to 10, by every kind of judge (reward=judge)."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from mt.engines.judging import JudgeContext, open_judge
from mt.engines.judging.gold import GoldJudge
from mt.engines.judging.reward_model import RewardModelJudge
from mt.engines.judging.template import load_template
from mt.errors import ConfigError, JudgeError
from tests.engines.judging.models import speaking_judge
from tests.engines.judging.settings import openai_config
from tests.engines.judging.test_judges import local_config
from tests.engines.settings import scorer_config
from tests.engines.tiny import answered_ids, tiny_reward

ASKED = [{"role": "user", "content": "tell me the colour"}]
ITEMS = [(ASKED, "red fox"), (ASKED, "blue owl"), (ASKED, "red fox")]


def scores(judge, asked, cache=None, items=ITEMS):
    with open_judge(judge, asked, cache=cache) as opened:
        found = {index: (score, problem) for index, score, problem in opened.score(items)}
    return [found[index] for index in range(len(items))], opened.counts


def test_an_endpoint_scores_each_response_by_itself(endpoint, tmp_path):
    endpoint.reply = lambda messages: ("Right. [[9]]" if "red fox" in messages[1]["content"] else "Wrong. [[2]]", None)
    found, counts = scores(openai_config(), JudgeContext("score"), tmp_path)
    assert found == [(9.0, None), (2.0, None), (9.0, None)]
    assert (counts["judgments"], counts["calls"], counts["cached"]) == (3, 2, 0), "equal responses are asked about once"
    text = endpoint.requests[0]["messages"][1]["content"]
    assert "tell me the colour" in text and ("red fox" in text) != ("blue owl" in text)
    assert scores(openai_config(), JudgeContext("score"), tmp_path)[1]["calls"] == 0


def test_an_endpoint_without_a_score_is_asked_once_more(endpoint, tmp_path):
    endpoint.reply = lambda messages: ("[[4]]" if len(messages) > 2 else "It is fine.", None)
    found, counts = scores(openai_config(), JudgeContext("score"), tmp_path, ITEMS[:1])
    assert (found, counts["calls"]) == ([(4.0, None)], 2)


def test_the_spending_limit_holds_for_scores(endpoint, tmp_path):
    endpoint.reply = lambda messages: ("[[4]]", None)
    with pytest.raises(JudgeError, match=r"judge\.limit_usd"):
        scores(openai_config(limit_usd=1e-6), JudgeContext("score"), tmp_path)


@pytest.mark.parametrize(("says", "expected"), [("[[7]]", 7.0), ("perhaps", None)])
def test_a_local_judge_writes_scores(tmp_path, says, expected):
    folder = speaking_judge(tmp_path / "model", {says: 5.0})
    found, counts = scores(local_config(), JudgeContext("score", model=folder, version="j"))
    assert [score for score, _ in found] == [expected] * 3
    assert counts["missing"] == (3 if expected is None else 0)


def test_a_reward_model_stretches_its_probability(tmp_path):
    folder = tiny_reward(tmp_path / "reward")
    judge = RewardModelJudge(name="reward_model", path=None, revision=None, scorer=scorer_config())
    found, _ = scores(judge, JudgeContext("score", model=folder, version="r"))
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    for (_, text), (score, _) in zip(ITEMS, found, strict=True):
        with torch.inference_mode():
            states_1TD = model.model(torch.tensor([answered_ids(folder, ASKED, text)])).last_hidden_state
            reward = float(model.score(states_1TD)[0, -1])
        assert score == pytest.approx(1 + 9 / (1 + math.exp(-reward)), abs=1e-5)


@pytest.mark.parametrize(("gold", "expected"), [(1.0, 10.0), (0.5, 5.5), (0.0, 1.0), (-0.3, 1.0)])
def test_gold_is_stretched_between_the_lowest_and_the_highest_score(gold, expected):
    asked = JudgeContext("score", prefer=lambda *_: 1.5, gold=lambda messages, text: gold)
    assert scores(GoldJudge(name="gold"), asked)[0] == [(expected, None)] * 3


def test_a_prompt_of_ones_own_needs_the_response_only(tmp_path):
    path = tmp_path / "score.txt"
    path.write_text("{instruction}: {output_1}?")
    template = load_template(str(path), "score")
    assert template.fill(ASKED, "red", "")[0]["content"] == "tell me the colour: red?"
    path.write_text("{instruction}")
    with pytest.raises(ConfigError, match=r"judge\.score_template=.*has no place {output_1}"):
        load_template(str(path), "score")
