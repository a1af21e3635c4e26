"""Chat templates, padding and truncation: where peers get double BOS, wrong ends of turn and silent cuts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mt.engines.text import (
    conversation_ids,
    end_of_turn_id,
    fit_conversation,
    fit_response,
    load_tokenizer,
    prompt_ids,
    response_ids,
    stop_ids,
)
from mt.errors import DataError, ModelError
from mt.types import Response
from tests.engines.tiny import SPECIALS, TEMPLATE, tiny_policy, tiny_tokenizer

BOS, END, USER, ASSISTANT = (SPECIALS.index(name) for name in ("<s>", "<end>", "<user>", "<assistant>"))
ASK = [{"role": "user", "content": "tell me"}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_policy(tmp_path)


def saved(folder: Path, **changes: Any) -> Path:
    tiny_tokenizer(**changes).save_pretrained(folder)
    return folder


def test_a_policy_reads_prompt_and_response(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    words = tokenizer.convert_tokens_to_ids(["tell", "me", "red", "fox"])
    assert prompt_ids(tokenizer, ASK) == [BOS, USER, *words[:2], END, ASSISTANT]
    assert response_ids(tokenizer, Response("red fox", 3), END) == [*words[2:], END]
    assert response_ids(tokenizer, Response("red fox", 2, finished=False), END) == words[2:]


def test_a_reward_model_reads_the_whole_conversation(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    whole = conversation_ids(tokenizer, ASK, "red")
    assert whole == [*prompt_ids(tokenizer, ASK), *response_ids(tokenizer, Response("red", 2), END)]
    assert whole.count(BOS) == 1
    assert conversation_ids(tokenizer, ASK, "red", strip_bos=True) == whole[1:]


def test_the_end_of_turn_is_what_the_template_writes(folder: Path) -> None:
    """As in Llama 3, whose end of turn is not its tokenizer's eos."""
    tokenizer = load_tokenizer(folder)
    tokenizer.eos_token = "<unk>"
    assert end_of_turn_id(tokenizer, folder) == END
    assert stop_ids(tokenizer, folder) == [END, tokenizer.eos_token_id]
    (folder / "generation_config.json").unlink()
    assert end_of_turn_id(tokenizer, folder) == END


def test_a_template_that_closes_no_turn_ends_with_eos(folder: Path) -> None:
    open_ended = TEMPLATE.replace("m.content + ' <end>' }}{% endif", "m.content }}{% endif")
    assert open_ended != TEMPLATE
    assert end_of_turn_id(load_tokenizer(saved(folder, template=open_ended)), folder) == END


@pytest.mark.parametrize("pad", [None, "<end>"])
def test_padding_never_ends_a_turn(folder: Path, pad: str | None) -> None:
    tokenizer = load_tokenizer(saved(folder, pad=pad))
    assert tokenizer.pad_token_id not in (None, END)


def test_reserved_tokens_pad_before_the_unknown_one(folder: Path) -> None:
    plain = tiny_tokenizer(pad=None)
    plain.add_special_tokens({"extra_special_tokens": ["<reserved_0>", "<reserved_1>"]})
    plain.save_pretrained(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"vocab_size": ', '"vocab_size": 1'))
    assert load_tokenizer(folder).pad_token == "<reserved_1>"


def test_a_tokenizer_without_a_token_to_pad_with_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"no pad token distinct .*Set pad_token"):
        load_tokenizer(saved(folder, pad="<end>", unk="<end>"))


def test_a_tokenizer_without_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load_tokenizer(saved(folder, template=None))


def test_a_vocabulary_beyond_the_embedding_is_refused(folder: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["new"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"embedding .* rows"):
        load_tokenizer(folder)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        load_tokenizer(tmp_path / "nowhere")


def test_messages_that_a_template_refuses_are_named(folder: Path) -> None:
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
    tokenizer = load_tokenizer(saved(folder, template=strict))
    with pytest.raises(DataError, match=r"messages=system/user.*no system role"):
        prompt_ids(tokenizer, [{"role": "system", "content": "red"}, *ASK])


def test_only_the_prompt_is_cut() -> None:
    prompt, response = [1, 2, 3, 4], [5, 6, 7]
    whole = fit_response(prompt, response, 7, "left")
    assert whole is not None
    assert (whole.prompt, whole.response, whole.truncated) == (prompt, response, False)
    cut = fit_response(prompt, response, 5, "left")
    assert cut is not None
    assert (cut.prompt, cut.response, cut.truncated) == ([3, 4], response, True)
    assert fit_response(prompt, response, 6, "drop") is None
    assert fit_response(prompt, response, 3, "left") is None
    assert fit_response(prompt, [], 7, "left") is None


def test_conversations_are_cut_on_the_left() -> None:
    assert fit_conversation([1, 2, 3], 3, "drop") == ([1, 2, 3], False)
    assert fit_conversation([1, 2, 3], 2, "left") == ([2, 3], True)
    assert fit_conversation([1, 2, 3], 2, "drop") is None
