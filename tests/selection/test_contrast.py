import math
from dataclasses import replace
from typing import Any

import pytest

from mt.errors import DataError
from mt.selection import against_demonstrations, contrast, gains, mix
from mt.selection.label_filters.confidence import Confidence
from mt.selection.label_filters.margin import Margin
from mt.types import Demonstration, Pair, Response, Rewards, Samples
from tests.selection.example import MESSAGES, row, texts

NEW = [row([("n1", 1), ("n2", 2)], "p0"), row([("same", 1), ("n4", 2)], "p1"), row([("n5", 1)], "p2")]
OLD = [row([("same", 1), ("o4", 2)], "p1"), row([("o1", 1), ("o2", 2)], "p0")]


def pair(gain: float, prompt_id: str = "p0") -> Pair:
    response = Response("a", 1)
    return Pair(prompt_id, MESSAGES, None, response, response, chosen_reward=gain, rejected_reward=0.0)


def test_contrast_pairs_the_first_responses_of_the_same_prompt() -> None:
    selection = contrast(NEW, OLD, seed=None)
    assert texts(selection) == [("n1", "o1")]
    assert selection.counts == {"prompts": 3, "kept": 1, "dropped_identical": 1, "dropped_unmatched": 1}
    assert selection.rows[0].source == "contrast"


def test_a_seed_draws_one_of_the_responses_of_each_side() -> None:
    drawn = {texts(contrast(NEW[:1], OLD, seed=seed))[0] for seed in range(40)}
    assert drawn == {(new, old) for new in ("n1", "n2") for old in ("o1", "o2")}
    assert texts(contrast(NEW, OLD, seed=5)) == texts(contrast(NEW, OLD[::-1], seed=5))


def test_the_rewards_of_a_scorer_come_along() -> None:
    new = [Rewards("p0", [2.0, 0.0]), Rewards("p1", [0.0, 0.0]), Rewards("p2", [0.0])]
    old = [Rewards("p0", [0.5, 0.0]), Rewards("p1", [0.0, 0.0])]
    selection = contrast(NEW, OLD, seed=None, new_rewards=new, old_rewards=old)
    assert gains(selection.rows) == [1.5]
    assert selection.counts["agreeing"] == 1


@pytest.mark.parametrize("bad", [[], [Rewards("p0", [1.0])], [Rewards("p0", [1.0, math.nan])]])
def test_rewards_that_do_not_fit_are_refused(bad: list[Rewards]) -> None:
    with pytest.raises(DataError, match="rewards of prompt p0"):
        contrast(NEW[:1], OLD[1:], seed=None, new_rewards=bad, old_rewards=bad)


def test_spin_pairs_demonstrations_with_own_responses() -> None:
    shown = [Demonstration("p0", MESSAGES, None, Response("gold", 1))]
    selection = against_demonstrations(OLD, shown, seed=None)
    assert texts(selection) == [("gold", "o1")]
    assert selection.rows[0].source == "spin"
    own = [Demonstration("p0", MESSAGES, None, Response("o1", 1))]
    assert against_demonstrations(OLD, own, seed=None).counts["dropped_identical"] == 1


def test_only_gains_beyond_the_margin_are_kept() -> None:
    selection = Margin(margin=0.5).apply([pair(0.5), pair(1.0), pair(-2.0), pair(1.5)], [])
    assert gains(selection.rows) == [1.0, 1.5]
    assert selection.counts == {"prompts": 4, "kept": 2, "dropped_small_gain": 2}


def test_weights_are_probabilities_of_the_label_with_mean_one() -> None:
    # σ(log 3) = ¾ and σ(−log 3) = ¼: mean ½
    selection = Confidence(score_scale=1.0).apply([pair(math.log(3)), pair(-math.log(3))], [])
    assert [one.weight for one in selection.rows] == pytest.approx([1.5, 0.5])


def test_weights_stay_finite_for_hopeless_pairs() -> None:
    selection = Confidence(score_scale=1.0).apply([pair(-5000.0), pair(-5001.0)], [])
    assert sum(one.weight for one in selection.rows) == pytest.approx(2)
    assert not Confidence(score_scale=1.0).apply([], []).rows


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_pairs_without_finite_rewards_have_no_gain(bad: Any) -> None:
    with pytest.raises(DataError, match="rewards of prompt p7"):
        gains([pair(1.0), replace(pair(1.0, "p7"), rejected_reward=bad)])


def test_extra_pairs_make_up_their_share() -> None:
    own, extra = [pair(1.0)] * 60, [pair(float(number), "extra") for number in range(100)]
    selection = mix(own, extra, share=0.25, seed=0)
    assert selection.counts == {"kept": 80, "extra": 20}
    added = [one.chosen_reward for one in selection.rows[60:]]
    assert len(set(added)) == 20 and added != sorted(range(20))
    assert selection == mix(own, extra, share=0.25, seed=0) != mix(own, extra, share=0.25, seed=1)


def test_too_few_extra_pairs_are_all_taken() -> None:
    assert mix([pair(1.0)] * 60, [pair(2.0)] * 5, share=0.5, seed=0).counts == {"kept": 65, "extra": 5}
    with pytest.raises(DataError, match="share=1"):
        mix([], [], share=1, seed=0)


def test_samples_are_left_as_they_were() -> None:
    before = [Samples(one.prompt_id, one.messages, one.section, list(one.responses)) for one in NEW]
    contrast(NEW, OLD, seed=1)
    assert before == NEW
