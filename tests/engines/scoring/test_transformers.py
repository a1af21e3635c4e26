"""Rewards are the head's raw output at the last real token, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from mt.engines.scoring import Item
from mt.engines.scoring import local as engine
from mt.errors import EngineError, ModelError
from tests.engines.settings import scorer_config
from tests.engines.tiny import WORDS, answered_ids, tiny_reward

ITEMS: list[Item] = [
    (
        [{"role": "user", "content": " ".join(WORDS[i % 7 : i % 7 + 1 + i % 5])}],
        " ".join(WORDS[(3 * i + j) % 19] for j in range(1 + 5 * i % 13)),
        i % 2 == 0,
    )
    for i in range(23)
]


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reward(tmp_path_factory.mktemp("reward"), initializer_range=0.3)


def scores(folder: Path, items: list[Item] = ITEMS, **changes: object) -> list[float]:
    with scorer_config(**changes).open(folder) as scorer:
        found = dict(scorer.score(items))
    assert sorted(found) == list(range(len(items)))
    return [found[i] for i in range(len(items))]


def by_transformers(folder: Path, items: list[Item]) -> list[float]:
    """Score one conversation at a time, without any padding."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        ids = [torch.tensor([answered_ids(folder, messages, text)]) for messages, text, _ in items]
        return [float(model(row).logits[0, 0]) for row in ids]


def test_rewards_equal_those_of_transformers(reward: Path) -> None:
    assert scores(reward) == pytest.approx(by_transformers(reward, ITEMS), abs=1e-5)
    assert len({round(value, 3) for value in scores(reward)}) > len(ITEMS) // 2


@pytest.mark.parametrize("batch_tokens", [1, 60, 100_000])
def test_batch_size_and_order_change_nothing(reward: Path, batch_tokens: int) -> None:
    expected = scores(reward)
    assert scores(reward, batch_tokens=batch_tokens) == pytest.approx(expected, abs=1e-5)
    assert scores(reward, ITEMS[::-1], batch_tokens=batch_tokens)[::-1] == pytest.approx(expected, abs=1e-5)


def test_a_resumed_run_yields_only_what_is_missing_and_the_same(reward: Path) -> None:
    with scorer_config(batch_tokens=100).open(reward) as scorer:
        whole = dict(scorer.score(ITEMS))
        counts = dict(scorer.counts)
    with scorer_config(batch_tokens=100).open(reward) as scorer:
        stream = scorer.score(ITEMS)
        done = dict(next(stream) for _ in range(10))
    with scorer_config(batch_tokens=100).open(reward) as scorer:
        rest = dict(scorer.score(ITEMS, skip=done))
        assert scorer.counts == counts
    assert not rest.keys() & done.keys()
    assert {**done, **rest} == whole


def test_windows_keep_the_indices(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scores(reward)
    monkeypatch.setattr("mt.engines.scoring.sequences.WINDOW", 5)
    assert scores(reward) == pytest.approx(expected, abs=1e-5)


def test_a_pad_token_inside_a_conversation_does_not_move_the_last_token(reward: Path) -> None:
    """Pooling by "last token that is not pad" would read another position here."""
    item: Item = ([{"role": "user", "content": "red"}], "blue", True)
    template = "{% for m in messages %}{{ ' <user> ' + m.content }}{% endfor %} <pad>"
    (reward / "chat_template.jinja").rename(reward / "kept.jinja")
    (reward / "chat_template.jinja").write_text(template)
    try:
        ids = answered_ids(reward, item[0], item[1])
        assert ids[-1] == 0
        model = AutoModelForSequenceClassification.from_pretrained(reward)
        with torch.no_grad():
            hidden = model.model(torch.tensor([ids])).last_hidden_state
        expected = model.score(hidden[:, -1]).item()
        assert scores(reward, [item, *ITEMS[:3]])[0] == pytest.approx(expected, abs=1e-5)
    finally:
        (reward / "kept.jinja").replace(reward / "chat_template.jinja")


def test_long_conversations_are_cut_on_the_left_and_counted(reward: Path) -> None:
    long: Item = ([{"role": "user", "content": "red " * 80}], "blue", True)
    with scorer_config().open(reward) as scorer:
        found = dict(scorer.score([long, *ITEMS]))
        assert scorer.counts["conversations"] == len(ITEMS) + 1
        assert scorer.counts["truncated"] == 1
    ids = answered_ids(reward, long[0], long[1])[-64:]
    model = AutoModelForSequenceClassification.from_pretrained(reward)
    with torch.no_grad():
        assert found[0] == pytest.approx(float(model(torch.tensor([ids])).logits), abs=1e-5)


def test_strip_bos_leaves_out_the_first_token(reward: Path) -> None:
    with (
        scorer_config().open(reward) as kept,
        scorer_config(strip_bos=True).open(reward) as stripped,
    ):
        with_bos, without = dict(kept.score(ITEMS)), dict(stripped.score(ITEMS))
        assert kept.counts["tokens"] == stripped.counts["tokens"] + len(ITEMS)
    assert with_bos[0] != pytest.approx(without[0], abs=1e-4)


def test_memory_that_runs_out_halves_the_batches_from_then_on(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, sizes, whole = scores(reward), [], engine.LocalRewardModel.rewards

    def rewards(scorer: engine.LocalRewardModel, rows: list[list[int]]) -> list[float]:
        sizes.append(len(rows))
        if len(rows) > 6:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return whole(scorer, rows)

    monkeypatch.setattr(engine.LocalRewardModel, "rewards", rewards)
    assert scores(reward, batch_tokens=100_000) == pytest.approx(expected, abs=1e-5)
    assert sizes[:3] == [23, 11, 5]
    assert sum(size for size in sizes if size <= 6) == 23


def test_other_errors_are_not_taken_for_a_lack_of_memory(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rewards(scorer: engine.LocalRewardModel, rows: list[list[int]]) -> list[float]:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(engine.LocalRewardModel, "rewards", rewards)
    with pytest.raises(RuntimeError, match="shapes"):
        scores(reward)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_names_its_item(
    reward: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    whole = engine.LocalRewardModel.rewards
    monkeypatch.setattr(engine.LocalRewardModel, "rewards", lambda self, rows: [value, *whole(self, rows)[1:]])
    with pytest.raises(EngineError, match=r"reward=(nan|inf): item \d+ has no finite reward"):
        scores(reward)


def test_a_length_beyond_the_context_is_refused(reward: Path) -> None:
    with pytest.raises(ModelError, match=r"scorer\.max_length=200.*at most 128"):
        scores(reward, max_length=200)
