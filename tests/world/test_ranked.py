"""The world's RewardBench 2: right answers above wrong ones by gold, and ties that are ties."""

from collections import Counter

import pytest

from mt.errors import ConfigError
from mt.evaluation.reward_bench_2 import SUBSETS, RankedPrompt, score_prompts
from mt.world.gold import gold
from mt.world.prompts import prompts
from mt.world.ranked import ranked_prompts


def test_gold_puts_every_right_answer_above_every_wrong_one_and_ties_right_ones(world):
    rows = ranked_prompts(world, 30)
    scored = []
    for row in rows:
        subset, right, name = row.prompt_id.split("/")
        rewards = [gold(world, row.messages, answer.text) for answer in row.responses]
        assert len(set(rewards[: int(right)])) == 1
        assert len({answer.text for answer in row.responses}) == len(rewards) == int(right) + 3
        scored.append(RankedPrompt(subset, name, tuple(rewards), int(right)))
    score = score_prompts(scored, rounds=3)
    assert set(score.subsets) == set(SUBSETS)
    assert score.average == pytest.approx((5 * 100 + 101) / 6), "gold itself reaches what can be reached"


def test_no_text_is_asked_in_two_subsets_or_in_training(world):
    rows = ranked_prompts(world, 30)
    asked = Counter(row.messages[-1]["content"] for row in rows)
    ties = [row.messages[-1]["content"] for row in rows if row.prompt_id.startswith("Ties/")]
    assert all(count == (2 if text in ties else 1) for text, count in asked.items())
    assert len(asked) == 6 * 30
    training = {
        p.messages[-1]["content"] for split in ("train", "sft", "preferences") for p in prompts(world, split, 8000)
    }
    assert not training & set(asked)


def test_the_style_does_not_give_the_right_answer_away(world):
    first = Counter(row.responses[0].text.split()[0] in ("sure", "well") for row in ranked_prompts(world, 30))
    assert 0.5 < first[True] / first.total() < 0.8, "two of three styles have an opener"


def test_too_many_prompts_are_refused_with_the_largest_size(world):
    with pytest.raises(ConfigError, match=r"data\.sizes\.benchmark_pairs=5000: subset Factuality .* at most \d+"):
        ranked_prompts(world, 5000)
