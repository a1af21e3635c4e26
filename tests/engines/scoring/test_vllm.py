"""Scoring by vLLM agrees with transformers."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from mt.engines.scoring import Item
from mt.engines.scoring.vllm_engine import VllmRewardModel
from mt.engines.text import Chat
from mt.errors import DataError, EngineError, ModelError
from tests.engines.scoring.test_transformers import ITEMS, scores
from tests.engines.settings import vllm_scorer_config
from tests.engines.tiny import WORDS, answered_ids, tiny_reward
from tests.engines.vllm_stand_in import Seen, stand_in_for_vllm

LONG: Item = ([{"role": "user", "content": "red " * 80}], "blue", True)
real = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reward(tmp_path_factory.mktemp("reward"), initializer_range=0.3, hidden_size=64)


@pytest.fixture(scope="module")
def opened(reward: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VllmRewardModel, Seen]]:
    with ExitStack() as held:
        with stand_in_for_vllm(tmp_path_factory.mktemp("seen") / "log") as seen:
            scorer = held.enter_context(vllm_scorer_config(processes=2).open(reward))
            list(scorer.score(ITEMS))
        yield cast(VllmRewardModel, scorer), seen


@pytest.fixture
def scorer(opened: tuple[VllmRewardModel, Seen]) -> VllmRewardModel:
    return opened[0]


@pytest.fixture
def seen(opened: tuple[VllmRewardModel, Seen]) -> Seen:
    opened[1].rows()
    return opened[1]


def test_two_workers_tokenise_every_conversation_once_and_this_process_none(
    reward: Path, scorer: VllmRewardModel, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [LONG, *ITEMS]
    expected = [answered_ids(reward, messages, text)[-64:] for messages, text, _ in items]
    monkeypatch.setattr(Chat, "_render", None)
    found = dict(scorer.score(items))
    asked = seen.requests()
    assert [row["ids"] for row in asked] == expected
    assert found == {index: sum(ids) for index, ids in enumerate(expected)}
    assert len({row["pid"] for row in asked}) == 2
    assert scorer.counts == {"conversations": 24, "tokens": sum(map(len, expected)), "truncated": 1}


def test_only_missing_conversations_are_scored_and_all_are_counted(scorer: VllmRewardModel, seen: Seen) -> None:
    list(scorer.score(ITEMS))
    counts = dict(scorer.counts)
    seen.rows()
    found = dict(scorer.score(ITEMS, skip={0, 5}))
    assert sorted(found) == [row["number"] for row in seen.requests()] == [1, 2, 3, 4, *range(6, len(ITEMS))]
    assert scorer.counts == counts


def test_responses_to_a_prompt_go_to_one_worker(scorer: VllmRewardModel, seen: Seen) -> None:
    items: list[Item] = [([{"role": "user", "content": word}], text, True) for word in WORDS[:6] for text in WORDS[:5]]
    list(scorer.score(items))
    asked = seen.requests()
    by_prompt = [{row["pid"] for row in asked[first : first + 5]} for first in range(0, 30, 5)]
    assert [len(pids) for pids in by_prompt] == [1] * 6
    assert len(set.union(*by_prompt)) == 2


def test_what_the_template_refuses_is_refused_in_one_line(reward: Path, scorer: VllmRewardModel) -> None:
    with pytest.raises(DataError, match=rf"^messages=user/assistant: the chat template of {reward} refuses them"):
        list(scorer.score([([{"role": "user"}], "red", True)]))  # type: ignore[list-item]


def test_a_reward_that_is_not_finite_names_its_item(scorer: VllmRewardModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoNumbers:
        def run(self, job: Any, rows: Iterable[Any], together: Any) -> Iterator[Any]:
            yield from ([number, math.nan, 3, False] for number, *_ in rows)

    monkeypatch.setattr(scorer, "_workers", NoNumbers())
    with pytest.raises(EngineError, match="item 0 has no finite reward"):
        list(scorer.score(ITEMS))


def test_a_length_beyond_the_context_is_refused(reward: Path, tmp_path: Path) -> None:
    with (
        stand_in_for_vllm(tmp_path / "log"),
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
