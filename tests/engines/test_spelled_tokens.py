"""Special tokens that a message spells stay text; texts and ids come back from one another."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from mt.engines.text import Chat, open_chat
from mt.types import Response
from tests.engines.realistic import MAKERS, saved

STATIC = [
    "llama3",
    "chatml",
    "qwen3",
    "zephyr",
    "zephyr-legacy",
    "zephyr-always",
    "mistral",
    "llama2",
    "gemma",
    "unigram",
    "lstrip",
    "rstrip",
]
"""Makers whose templates spell their special tokens out, so that both can be renamed."""
EXACT = [name for name in MAKERS if name not in ("llama3", "llama2", "gemma", "qwen3", "unigram", "lstrip", "rstrip")]
"""Makers that lose nothing of a text: their templates do not trim or rewrite it, their models know every letter."""
SPELLED = ["<s>", "</s>", "<|im_end|>", "<|im_start|>", "<|eot_id|>", "<end_of_turn>", "<unk>", "<pad>", "<|end|>",
           "<｜end▁of▁sentence｜>", "<|endoftext|>", "<|TURN|>"]  # fmt: skip


@cache
def made(name: str) -> Any:
    return MAKERS[name]()


@cache
def chat_of(name: str) -> Chat:
    return open_chat(saved(made(name), Path(mkdtemp())))


@cache
def renamed(name: str) -> Any:
    """Return the tokenizer with other names of its special tokens, to which the usual ones are ordinary text."""
    tokenizer = made(name)
    special = sorted((t.content for t in tokenizer.added_tokens_decoder.values() if t.special), key=len, reverse=True)
    names = {token: f"⟪{i}⟫" for i, token in enumerate(special)}
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in state["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = state["model"]
    model["unk_token"] = names.get(model.get("unk_token"), model.get("unk_token"))
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(piece, piece): i for piece, i in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
    kinds = ("bos_token", "eos_token", "unk_token", "pad_token")
    given_names = {kind: names[getattr(tokenizer, kind)] for kind in kinds if getattr(tokenizer, kind) is not None}
    other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), **given_names)
    template = tokenizer.chat_template
    for token, name in names.items():
        template = template.replace(token, name)
    other.chat_template = template
    return other


def ids_of(tokenizer: Any, messages: list[dict[str, str]], *, prompt: bool) -> Any:
    return tokenizer.apply_chat_template(
        messages, add_generation_prompt=prompt, return_dict=False, date_string="26 Jul 2024"
    )


words = st.lists(st.sampled_from([*SPELLED, "Paris", " is", "it ", "\n", "ä☃", "<", "|>", "x"]), max_size=6).map(
    "".join
)
talk = st.tuples(words, words, words).map(
    lambda texts: [{"role": r, "content": t} for r, t in zip(("user", "assistant", "user"), texts, strict=True)]
)


@pytest.mark.parametrize("name", STATIC)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(messages=talk, answer=words)
def test_spelled_tokens_have_the_ids_of_text(name: str, messages: list[dict[str, str]], answer: str) -> None:
    """The right ids are those of a tokenizer to whose special tokens and template the spelled ones mean nothing."""
    chat, other = chat_of(name), renamed(name)
    prompt = ids_of(other, messages, prompt=True)
    whole = ids_of(other, [*messages, {"role": "assistant", "content": answer}], prompt=False)
    assert chat.prompt_ids(messages) == prompt
    assert chat.conversation_ids(messages, answer) == whole
    if whole[: len(prompt)] == prompt:
        assert (
            chat.response_ids(messages, Response(answer, 0))
            == whole[len(prompt) : whole.index(chat.end_id, len(prompt)) + 1]
        )


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(text=words)
def test_text_comes_back_from_its_ids(name: str, text: str) -> None:
    chat = chat_of(name)
    ids = chat.response_ids([{"role": "user", "content": "x"}], Response(text, 0))
    spaces = text.replace("▁", " ") if chat.tokenizer.unk_token == "<unk>" else text  # SentencePiece knows no other
    assert chat.decode(ids) == spaces
    assert ids.count(chat.end_id) == 1
    assert ids[-1] == chat.end_id


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_text_of_sampled_ids_says_the_same_when_it_is_tokenised_again(name: str, data: st.DataObject) -> None:
    chat = chat_of(name)
    ordinary = [i for i in range(len(chat.tokenizer)) if i not in chat.tokenizer.added_tokens_decoder]
    text = chat.decode(data.draw(st.lists(st.sampled_from(ordinary), min_size=1, max_size=6)))
    if "�" not in text:
        again = chat.response_ids([{"role": "user", "content": "x"}], Response(text, 0))
        assert chat.decode(again) == text


@pytest.mark.parametrize(("name", "tokens", "text"), [
    ("zephyr", ["▁Paris", "▁is"], " Paris is"),
    ("zephyr", ["Par", "is"], "Paris"),
    ("zephyr-legacy", ["▁Paris", "▁is"], " Paris is"),
    ("mistral", ["▁Paris", "▁is"], "Paris is"),
    ("gemma", ["▁Paris", "▁is"], " Paris is"),
    ("chatml", ["ĠParis", "Ġis"], " Paris is"),
    ("plain", ["ĠParis", "Ġis"], "Paris is"),
])  # fmt: skip
def test_a_first_space_is_the_answers_where_the_template_writes_none(name: str, tokens: list[str], text: str) -> None:
    chat = chat_of(name)
    ids = chat.tokenizer.convert_tokens_to_ids(tokens)
    assert chat.decode(ids) == text
    if name != "gemma":  # Its template trims.
        assert chat.response_ids([{"role": "user", "content": "x"}], Response(text, 0, finished=False)) == ids


def test_special_tokens_and_the_end_are_left_out_of_text() -> None:
    chat = chat_of("chatml")
    start, end = chat.tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    x = chat.tokenizer.convert_tokens_to_ids("x")
    assert chat.decode([x, start, x, end]) == "xx"
    assert chat.decode([end]) == chat.decode([]) == ""


def test_tokens_of_other_turns_and_fields_stay_text() -> None:
    chat, other = chat_of("chatml"), renamed("chatml")
    messages = [{"role": "system", "content": "never say <|im_end|>"}, {"role": "user", "content": "<|im_start|>user"}]
    assert chat.prompt_ids(messages) == ids_of(other, messages, prompt=True)
    assert chat.prompt_ids(messages).count(chat.end_id) == 2


def test_a_declared_end_that_is_no_special_token_stays_text_too(tmp_path: Path) -> None:
    """As of fine-tuned models that added <|im_end|> as an ordinary token."""
    from tests.engines.realistic import CHATML, byte_level

    tokenizer = byte_level(["<|endoftext|>"], CHATML, plain=["<|im_start|>", "<|im_end|>"], eos_token="<|endoftext|>")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    chat = open_chat(saved(tokenizer, tmp_path, [end]))
    ids = chat.response_ids([{"role": "user", "content": "x"}], Response("say <|im_end|>", 0))
    assert chat.end_id == end
    assert (ids.count(end), ids[-1]) == (1, end)
    assert chat.decode(ids) == "say <|im_end|>"


def test_private_characters_of_a_message_are_kept() -> None:
    chat, other = chat_of("chatml"), renamed("chatml")
    messages = [{"role": "user", "content": "\U000f0000\U000f0001 <|im_end|> \U0010f8f0"}]
    assert chat.prompt_ids(messages) == ids_of(other, messages, prompt=True)
