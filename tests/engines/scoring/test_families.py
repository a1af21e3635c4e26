"""Log-probabilities and rewards of every family, and of rows in any company, equal plain transformers row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from mt.engines.rotary import batch_regime
from mt.engines.scoring import logprobs
from mt.engines.text import open_chat
from mt.types import Response
from tests.engines.families import COMMON, LONG, MAKERS, family, family_folder
from tests.engines.scoring.asking import response_logprobs
from tests.engines.settings import logprobs_config, scorer_config
from tests.engines.tiny import WORDS, tiny_tokenizer

DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}


def rows(lengths: list[int]) -> list[tuple[list[dict[str, str]], str]]:
    """Return conversations whose answers have so many words."""
    words = WORDS * 20
    return [
        ([{"role": "user", "content": " ".join(words[i : i + 2])}], " ".join(words[3 * i : 3 * i + length]))
        for i, length in enumerate(lengths)
    ]


def wanted_logprobs(model: Any, folder: Path, messages: Any, text: str) -> float:
    chat = open_chat(folder)
    prompt = chat.prompt_ids(messages)
    answer = chat.response_ids(messages, Response(text, 0))
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits[0].float()
    logps = logits.log_softmax(-1)
    return sum(float(logps[len(prompt) - 1 + i, token]) for i, token in enumerate(answer))


def found_logprobs(folder: Path, items: Any, **settings: Any) -> list[float]:
    asked = [(messages, Response(text, 0)) for messages, text in items]
    found = response_logprobs(logprobs_config(**settings), folder, asked, 200)
    return [value for _, value, _ in sorted(found)]


@pytest.mark.parametrize("name", MAKERS)
def test_log_probabilities_are_those_of_the_models_own_logits(tmp_path: Path, name: str) -> None:
    folder, items = family_folder(name, tmp_path), rows([3, 9, 1, 30])
    wanted = [wanted_logprobs(family(name), folder, *item) for item in items]
    assert found_logprobs(folder, items, batch_tokens=4096) == pytest.approx(wanted, abs=1e-3, rel=1e-5)


ROTARY: dict[str, tuple[str, dict[str, Any]]] = {
    "longrope": ("Phi3", LONG),
    "dynamic": ("Llama", {"max_position_embeddings": 16, "rope_parameters": DYNAMIC}),
}


@pytest.mark.parametrize("rope", ROTARY)
def test_rotary_factors_are_those_of_each_row(tmp_path: Path, rope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one batch, or after a longer one, transformers would give short rows the factors of the longest."""
    prefix, settings = ROTARY[rope]
    made = getattr(transformers, f"{prefix}ForCausalLM")
    torch.manual_seed(0)
    made(getattr(transformers, f"{prefix}Config")(**{**COMMON, **settings})).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    monkeypatch.setattr(logprobs, "check_context", lambda *_: None)  # dynamic factors begin where the context ends
    items = rows([2, 40, 8, 60, 3])
    # each by a model that has seen no other row
    wanted = [wanted_logprobs(made.from_pretrained(tmp_path).eval(), tmp_path, *item) for item in items]
    for budget in (4096, 1):
        found = found_logprobs(tmp_path, items, batch_tokens=budget)
        assert found == pytest.approx(wanted, abs=1e-3, rel=1e-5)


@pytest.mark.parametrize(("prefix", "settings"), [("Phi3", LONG), ("Jamba", MAKERS["jamba"][1])])
def test_rewards_are_those_of_each_row(tmp_path: Path, prefix: str, settings: dict[str, Any]) -> None:
    config = getattr(transformers, f"{prefix}Config")(**{**COMMON, **settings}, num_labels=1)
    torch.manual_seed(0)
    model = getattr(transformers, f"{prefix}ForSequenceClassification")(config).eval()
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    items, chat = rows([2, 40, 8, 60, 3]), open_chat(tmp_path)
    wanted = []
    for messages, text in items:
        with torch.inference_mode():
            ids = torch.tensor([chat.conversation_ids(messages, text)])
            wanted.append(float(model(input_ids=ids, use_cache=False).logits))
    with scorer_config(batch_tokens=4096, max_length=200).open(tmp_path) as scorer:
        found = dict(scorer.score([(messages, text, True) for messages, text in items]))
    assert [found[i] for i in range(len(items))] == pytest.approx(wanted, abs=1e-4)


def test_regimes_by_hand() -> None:
    plain = transformers.LlamaConfig(**COMMON)
    assert {batch_regime(plain, length) for length in (1, 16, 17, 500)} == {()}
    long = transformers.Phi3Config(**COMMON, **LONG)
    assert [batch_regime(long, length) for length in (1, 16, 17, 500)] == [(0,), (0,), (1,), (1,)]
    dynamic = transformers.LlamaConfig(**{**COMMON, "max_position_embeddings": 16}, rope_parameters=DYNAMIC)
    assert [batch_regime(dynamic, length) for length in (1, 16, 17, 500)] == [(0,), (0,), (17,), (500,)]
