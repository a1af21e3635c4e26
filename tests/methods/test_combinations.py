"""What cannot be combined is refused before a run starts, in one line that says how to fix it."""

from __future__ import annotations

import re

import pytest

from mt.errors import ConfigError
from tests.methods.plans import compiled


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("method=iterative", "rounds=2"), r"rounds=2: method=iterative has no rounds\. Allowed: 1, or"),
        (("method=offline", "iterations=3"), r"iterations=3: method=offline trains once"),
        (("method=transfer", "iterations=2"), r"iterations=2: method=transfer trains once"),
        (("method=spin", "objective=sppo"), r"objective=sppo: it needs win probabilities .* method=spin"),
        (("method=sail", "objective=sppo"), r"objective=sppo: it needs win probabilities .* method=sail"),
        (("method=meta_rewarding", "objective=sppo"), r"objective=sppo: .*Choose another objective"),
        (
            ("method=spin", "objective=rest_em"),
            r"objective=best_of_k or rest_em: it learns.*Allowed: .*dpo",
        ),
        (
            ("method=meta_rewarding", "objective=best_of_k"),
            r"objective=best_of_k or rest_em: .* method=meta_rewarding makes pairs",
        ),
        (("objective=rest_em", "reward.selection=null"), r"reward\.selection=null: self-training needs pairs"),
        (
            ("selection=best_of_k",),
            r"selection=best_of_k: .* objective=dpo learns from pairs",
        ),
        (("objective=rest_em", "selection=tiers"), r"selection=tiers: it makes pairs.*Allowed: best_of_k, reward_"),
        (
            ("eval=[in_distribution]", "eval.in_distribution.source=held_out"),
            r"eval=in_distribution: .*held_out.* Add held_out to eval=",
        ),
        (("sampling.temperature=0",), r"sampling\.temperature=0: greedy .* Allowed: at least 0\.01 .* Raise it\."),
        (("method=meta_rewarding", "sampling.temperature=0"), r"sampling\.temperature=0: greedy"),
        (("objective=best_of_k", "sampling.temperature=0"), r"sampling\.temperature=0: greedy"),  # for the reward
        (("rm_data=replay", "reward_loss=margin"), r"rm_data\.replay=0\.9: older preferences carry no rewards"),
        (("eval=[held_out,pairwise]",), r"eval=pairwise: .* Add alpaca_eval to eval="),
    ],
)
def test_impossible_combinations_are_refused(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compiled(*overrides)
    assert re.search(said, str(raised.value)), str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ("method=self_rewarding", "objective=sppo"),
        ("method=iterative", "objective=sppo"),
        ("method=iterative", "objective=best_of_k", "sampling.temperature=0"),
        ("method=spin", "sampling.temperature=0"),
    ],
)
def test_what_works_is_not_refused(overrides: tuple[str, ...]) -> None:
    assert compiled(*overrides).graph.final.index == 3
