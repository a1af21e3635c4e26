"""How chat templates are rendered, from the command line."""

from __future__ import annotations

import pytest

from mt.config.compose import compose_runs
from mt.config.explain import settings
from mt.config.run import RunConfig
from mt.errors import ConfigError


def composed(*overrides: str) -> RunConfig:
    return compose_runs(list(overrides))[0].config


def test_arguments_of_a_template_are_named_freely() -> None:
    one = composed("policy.template_kwargs.enable_thinking=false")
    assert one.policy.template_kwargs == {"enable_thinking": False}
    assert one.reward.template_kwargs == {}
    whole = composed("policy.template_kwargs={enable_thinking: false}", "reward.template_kwargs={tone: {a: x}}")
    assert whole.policy.template_kwargs == {"enable_thinking": False}
    assert whole.reward.template_kwargs == {"tone": {"a": "x"}}
    judge = composed("judge=transformers", "judge.path=x", "judge.template_kwargs.enable_thinking=false")
    assert judge.judge.template_kwargs == {"enable_thinking": False}  # type: ignore[union-attr]


def test_a_sweep_takes_several_values_of_an_argument() -> None:
    runs = compose_runs(["policy.template_kwargs.enable_thinking=true,false"], multirun=True)
    assert [run.config.policy.template_kwargs for run in runs] == [
        {"enable_thinking": True},
        {"enable_thinking": False},
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("policy.template_kwargs.messages=1", r"^policy\.template_kwargs\.messages=1: cannot be set"),
        ("reward.template_kwargs.a=null", r"^reward\.template_kwargs\.a=null: null is no value of an argument"),
        ("reward.template_kwargs={a: {b: [null]}}", r"^reward\.template_kwargs\.a=.*null is no value"),
        ("policy.template_date=2025-02-30", r"^policy\.template_date=2025-02-30: .*YYYY-MM-DD"),
        ("policy.template_kwarg.a=1", r"no such setting.*Did you mean 'policy\.template_kwargs'"),
        ("policy.template_kwargs=3", r"^policy\.template_kwargs=3"),
    ],
)
def test_mistakes_are_named_with_their_group(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        composed(override)


def test_help_explains_them() -> None:
    found = {one.path: one for one in settings(["policy.template_kwargs", "reward.template_date"], [])}
    assert "enable_thinking" in found["policy.template_kwargs"].meaning
    assert (found["policy.template_kwargs"].value, found["reward.template_date"].value) == ("{}", "2024-07-26")
