"""The interface of conversations and ids on one tiny tokenizer, and what fits into a length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mt.engines.text import fit_conversation, fit_response, open_chat
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
    chat = open_chat(folder)
    words = chat.tokenizer.convert_tokens_to_ids(["tell", "me", "red", "fox"])
    assert chat.prompt_ids(ASK) == [BOS, USER, *words[:2], END, ASSISTANT]
    assert chat.response_ids(ASK, Response("red fox", 3)) == [*words[2:], END]
    assert chat.response_ids(ASK, Response("red fox", 2, finished=False)) == words[2:]
    assert chat.response([*words[2:], END], finished=True) == Response(
        "red fox", 2, ids=[*words[2:], END], tokenizer=chat.fingerprint
    )


def test_a_reward_model_reads_the_whole_conversation(folder: Path) -> None:
    chat = open_chat(folder)
    whole = chat.conversation_ids(ASK, "red")
    assert whole == [*chat.prompt_ids(ASK), *chat.response_ids(ASK, Response("red", 2))]
    assert whole.count(BOS) == 1
    assert chat.conversation_ids(ASK, "red", strip_bos=True) == whole[1:]


def test_the_end_of_turn_is_what_the_template_writes(folder: Path) -> None:
    """As in Llama 3, whose end of turn is not its tokenizer's eos."""
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "<unk>"
    tokenizer.save_pretrained(folder)
    chat = open_chat(folder)
    assert chat.end_id == END
    assert chat.stop_ids == [END, tokenizer.eos_token_id]
    (folder / "generation_config.json").unlink()
    assert open_chat(folder).stop_ids == [END, tokenizer.eos_token_id]


def test_a_template_that_closes_no_turn_ends_with_eos(folder: Path) -> None:
    open_ended = TEMPLATE.replace("m.content + ' <end>' }}{% endif", "m.content }}{% endif")
    assert open_ended != TEMPLATE
    chat = open_chat(saved(folder, template=open_ended))
    assert chat.end_id == END
    assert chat.response_ids(ASK, Response("red", 2)) == [*chat.tokenizer.convert_tokens_to_ids(["red"]), END]


def test_a_tokenizer_without_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        open_chat(saved(folder, template=None))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        open_chat(tmp_path / "nowhere")


def test_messages_that_a_template_refuses_are_named(folder: Path) -> None:
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
    chat = open_chat(saved(folder, template=strict))
    with pytest.raises(DataError, match=r"messages=system/user.*no system role"):
        chat.prompt_ids([{"role": "system", "content": "red"}, *ASK])


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
