"""Scoring by vLLM agrees with transformers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mt.engines.scoring import Item
from mt.engines.scoring import vllm_engine as engine
from mt.errors import EngineError, ModelError
from tests.engines.scoring.test_transformers import ITEMS, scores
from tests.engines.settings import vllm_scorer_config
from tests.engines.tiny import tiny_reward

LONG: Item = ([{"role": "user", "content": "red " * 80}], "blue", True)
real = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reward(tmp_path_factory.mktemp("reward"), initializer_range=0.3, hidden_size=64)


def stand_in(monkeypatch: pytest.MonkeyPatch, value: float) -> list[Any]:
    """Let every conversation's reward be `value` + its length."""
    sent: list[Any] = []

    class StandIn:
        def __init__(self, config: Any, module: str, request: dict[str, Any]) -> None:
            pass

        def run(self, job: dict[str, Any], items: Iterable[Any], together: Callable[[Any], Any]) -> Iterator[Any]:
            asked = list(items)
            sent.extend(asked)
            groups.extend(together(row) for row in asked)
            yield from ((index, value + len(ids)) for index, ids in asked)

        def close(self) -> None:
            pass

    groups: list[Any] = []
    monkeypatch.setattr(engine, "device_groups", lambda config: [[]])
    monkeypatch.setattr(engine, "vllm_workers", StandIn)
    return sent


def test_conversations_are_cut_and_counted(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = stand_in(monkeypatch, 0.5)
    with vllm_scorer_config().open(reward) as scorer:
        found = dict(scorer.score([LONG, *ITEMS]))
        assert scorer.counts["truncated"] == 1
        assert scorer.counts["tokens"] == sum(len(ids) for _, ids in sent)
    assert found[0] == 64.5
    assert sorted(found) == list(range(len(ITEMS) + 1))


def test_only_missing_conversations_are_sent(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = stand_in(monkeypatch, 0.0)
    with vllm_scorer_config().open(reward) as scorer:
        found = dict(scorer.score(ITEMS, skip={0, 5}))
        assert scorer.counts["conversations"] == len(ITEMS)
    assert sorted(found) == sorted(index for index, _ in sent) == [i for i in range(len(ITEMS)) if i not in {0, 5}]


def test_a_reward_that_is_not_finite_names_its_item(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, float("nan"))
    with (
        pytest.raises(EngineError, match="item 0 has no finite reward"),
        vllm_scorer_config().open(reward) as s,
    ):
        list(s.score(ITEMS))


def test_a_length_beyond_the_context_is_refused(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, 0.0)
    with (
        pytest.raises(ModelError, match=r"scorer\.max_length=200"),
        vllm_scorer_config(max_length=200).open(reward),
    ):
        pass


@real
@pytest.mark.engines
def test_rewards_equal_those_of_transformers(reward: Path) -> None:
    """Conversations up to the model's whole context, one of them cut."""
    items = [*ITEMS, ([{"role": "user", "content": "red " * 200}], "blue", True)]
    with vllm_scorer_config(max_length=128, processes=2).open(reward) as scorer:
        found = dict(scorer.score(items))
        assert scorer.counts["truncated"] == 1
    expected = scores(reward, items, max_length=128)
    assert [found[i] for i in range(len(items))] == pytest.approx(expected, abs=1e-4)
