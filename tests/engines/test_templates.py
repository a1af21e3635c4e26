"""Conversations to ids under realistic tokenizers and templates, compared with transformers' own ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tokenizers import processors

from mt.engines.template import TemplateConfig
from mt.engines.text import Chat, open_chat
from mt.errors import DataError, ModelError
from mt.types import Response
from tests.engines.realistic import CHATML, ENDS, LLAMA3, MAKERS, PLAIN, byte_level, metaspace, saved

ASK = [{"role": "user", "content": "What is the capital of France ?"}]
LONGER = [*ASK, {"role": "assistant", "content": "Paris , zwölf"}, {"role": "user", "content": " 2 + 2 ?\n"}]
TEXTS = ["Paris .", "x", "\n\nÄ ☃ <b>", "two\nlines  with   spaces", "", " a cat"]
TODAY = {"date_string": "26 Jul 2024"}


@pytest.fixture(params=MAKERS)
def case(request: Any, tmp_path: Path) -> tuple[str, Any, Chat]:
    """Return a tokenizer's name, the tokenizer as transformers made it, and the chat of its saved folder."""
    tokenizer = MAKERS[request.param]()
    return request.param, tokenizer, open_chat(saved(tokenizer, tmp_path))


def rendered(tokenizer: Any, messages: list[dict[str, str]], text: str | None = None, **kwargs: Any) -> Any:
    whole = messages if text is None else [*messages, {"role": "assistant", "content": text}]
    return tokenizer.apply_chat_template(
        whole, add_generation_prompt=text is None, return_dict=False, **TODAY, **kwargs
    )


@pytest.mark.parametrize("messages", [ASK, LONGER], ids=["one", "longer"])
def test_ids_are_those_of_transformers(case: tuple[str, Any, Chat], messages: list[dict[str, str]]) -> None:
    _, tokenizer, chat = case
    assert chat.prompt_ids(messages) == rendered(tokenizer, messages)
    for text in TEXTS:
        assert chat.conversation_ids(messages, text) == rendered(tokenizer, messages, text)


@pytest.mark.parametrize("text", TEXTS)
def test_foreign_text_has_the_ids_that_it_has_in_its_conversation(case: tuple[str, Any, Chat], text: str) -> None:
    name, tokenizer, chat = case
    prompt, end = rendered(tokenizer, ASK), tokenizer.convert_tokens_to_ids(ENDS.get(name, "</s>"))
    if name == "deepseek":  # Its prompt opens a thought that the conversation does not show.
        whole = tokenizer(rendered(tokenizer, ASK, tokenize=False) + text, add_special_tokens=False)["input_ids"]
        whole = [*whole, end]
    elif name == "plain":  # Nothing ends its turns, so eos does.
        whole = [
            *tokenizer(rendered(tokenizer, ASK, text, tokenize=False)[:-1], add_special_tokens=False)["input_ids"],
            end,
        ]
    else:
        whole = rendered(tokenizer, ASK, text)
    ids = chat.response_ids(ASK, Response(text, 0))
    if whole[: len(prompt)] == prompt:
        assert ids == whole[len(prompt) : whole.index(end, len(prompt)) + 1]
    elif (name, text) == ("lstrip", ""):  # The end token swallows the line break that the prompt ends with.
        assert ids == [end]
    else:  # A token of the conversation spans the boundary.
        assert tokenizer.decode(prompt + ids) == tokenizer.decode(whole[: whole.index(end, len(prompt)) + 1])


def test_an_unfinished_answer_has_no_end(case: tuple[str, Any, Chat]) -> None:
    _, tokenizer, chat = case
    whole = rendered(tokenizer, ASK, "Paris", tokenize=False)
    shown = whole[: whole.index("Paris") + len("Paris")]
    if case[0] == "deepseek":
        shown = rendered(tokenizer, ASK, tokenize=False) + "Paris"
    ids = chat.response_ids(ASK, Response("Paris", 0, finished=False))
    assert [*chat.prompt_ids(ASK), *ids] == tokenizer(shown, add_special_tokens=False)["input_ids"]


def test_the_end_of_a_turn_is_the_first_end_token_after_the_answer(case: tuple[str, Any, Chat]) -> None:
    name, tokenizer, chat = case
    assert tokenizer.convert_ids_to_tokens(chat.end_id) == ENDS.get(name, "</s>")
    assert chat.stop_ids[0] == chat.end_id
    assert tokenizer.eos_token_id in chat.stop_ids
    assert (
        chat.pad_id not in {*chat.stop_ids, tokenizer.bos_token_id}
        or tokenizer.pad_token_id == chat.pad_id != chat.end_id
    )


@pytest.mark.parametrize("declared", [None, "eos", "all"])
def test_phi3_ends_a_turn_before_its_conversation(tmp_path: Path, declared: str | None) -> None:
    tokenizer = MAKERS["phi3"]()
    eos, end, user = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|end|>", "<|user|>"])
    stops = {None: None, "eos": eos, "all": [eos, user, end]}[declared]
    chat = open_chat(saved(tokenizer, tmp_path, stops))
    assert chat.end_id == end
    assert chat.response_ids(ASK, Response("Paris", 0))[-1] == end
    assert set(chat.stop_ids) == {end, eos, *([user] if declared == "all" else [])}


def test_a_conversation_may_end_otherwise_than_its_turns(tmp_path: Path) -> None:
    """As gpt-oss: an answer inside a conversation ends by one token, the last answer by another one."""
    closing = "{{ '<|return|>' if loop.last and m.role == 'assistant' else '<|end|>' }}"
    template = (
        "{% for m in messages %}{{ '<|start|>' + m.role + '<|message|>' + m.content }}" + closing + "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
    )
    special = ["<|start|>", "<|message|>", "<|end|>", "<|return|>"]
    tokenizer = byte_level(special, template, eos_token="<|return|>")
    chat = open_chat(saved(tokenizer, tmp_path))
    assert tokenizer.convert_ids_to_tokens(chat.response_ids(ASK, Response("x", 0))) == [
        "<|message|>",
        "x",
        "<|return|>",
    ]


def test_ends_that_the_tokenizer_does_not_know_end_no_turn(tmp_path: Path) -> None:
    tokenizer = MAKERS["chatml"]()
    chat = open_chat(saved(tokenizer, tmp_path, [len(tokenizer) + 3, -1]))
    assert chat.end_id == tokenizer.eos_token_id
    assert chat.response_ids(ASK, Response("x", 0)) == [tokenizer.convert_tokens_to_ids("x"), tokenizer.eos_token_id]


def test_an_ordinary_word_may_end_a_turn(tmp_path: Path) -> None:
    tokenizer = byte_level(["<|endoftext|>"], PLAIN, eos_token="<|endoftext|>")
    newline = tokenizer.convert_tokens_to_ids("Ċ")
    chat = open_chat(saved(tokenizer, tmp_path, [newline]))
    assert chat.end_id == newline
    ids = chat.response_ids(ASK, Response("two\nlines", 0))
    assert ids.count(newline) == 2
    assert ids[-1] == newline
    assert chat.decode(ids) == "two\nlines"


def test_sampled_ids_are_kept_and_those_of_another_tokenizer_are_not(case: tuple[str, Any, Chat]) -> None:
    _, tokenizer, chat = case
    letters = tokenizer("x y", add_special_tokens=False)["input_ids"]
    sampled = chat.response([*letters[::-1], chat.end_id], finished=True, logprob=-2.5)
    assert chat.response_ids(ASK, sampled) == [*letters[::-1], chat.end_id]
    assert (sampled.n_tokens, sampled.logprob) == (len(letters), -2.5)
    foreign = Response("x", 1, ids=[7, 7, 7], tokenizer="another")
    assert chat.response_ids(ASK, foreign) == chat.response_ids(ASK, Response("x", 1))


@pytest.mark.parametrize("opening", ["Assistant: ", "Assistant:\n"])
def test_a_token_across_the_boundary_is_split_there(tmp_path: Path, opening: str) -> None:
    template = PLAIN.replace("'Assistant:'", repr(opening)).replace(
        "m.role.title() + ': '", "m.role.title() + ':' + sep"
    )
    template = "{% set sep = " + repr(opening[-1]) + " %}" + template
    tokenizer = byte_level(["<|endoftext|>"], template, eos_token="<|endoftext|>")
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    chat = open_chat(saved(tokenizer, tmp_path))
    for text in ("Paris is it", "\n\nÄ", " x"):
        prompt, ids = chat.prompt_ids(ASK), chat.response_ids(ASK, Response(text, 0, finished=False))
        assert tokenizer.decode(ids) == text
        whole = tokenizer(tokenizer.decode(prompt) + text, add_special_tokens=False)["input_ids"]
        assert whole[: len(prompt)] != prompt or whole == prompt + ids
    split = chat.response_ids(ASK, Response("Paris is it", 0, finished=False))
    assert split == tokenizer("Paris is it", add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("scheme", ["first", "always", "legacy"])
def test_no_space_is_put_in_front_where_a_token_is_split(tmp_path: Path, scheme: str) -> None:
    template = PLAIN.replace("'Assistant:'", "'Assistant: Par'").replace("m.content", "prefix + m.content")
    template = template.replace("{{ m.role", "{% set prefix = 'Par' if m.role == 'assistant' else '' %}{{ m.role", 1)
    tokenizer = metaspace(["<unk>", "<s>", "</s>"], template, scheme=scheme, eos_token="</s>", unk_token="<unk>")
    chat = open_chat(saved(tokenizer, tmp_path))
    prompt, ids = chat.prompt_ids(ASK), chat.response_ids(ASK, Response("is is it", 0, finished=False))
    whole = tokenizer(tokenizer.decode(prompt) + "is is it", add_special_tokens=False)["input_ids"]
    assert whole[: len(prompt)] != prompt
    assert tokenizer.decode(prompt + ids) == tokenizer.decode(prompt) + "is is it"


@pytest.mark.parametrize(("thinking", "opening"), [(True, ""), (False, "<think>\n\n</think>\n\n")])
def test_thinking_is_a_setting_of_the_template(tmp_path: Path, thinking: bool, opening: str) -> None:
    tokenizer = MAKERS["qwen3"]()
    chat = open_chat(saved(tokenizer, tmp_path), settings(kwargs={"enable_thinking": thinking}))
    prompt = rendered(tokenizer, ASK, enable_thinking=thinking)
    assert chat.prompt_ids(ASK) == prompt
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n" + opening)
    answer = [*prompt, *chat.response_ids(ASK, Response("Paris", 0))]
    assert tokenizer.decode(answer).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\nParis<|im_end|>")
    thought = "<think>\nhm\n</think>\n\nParis"
    assert chat.decode(chat.response_ids(ASK, Response(thought, 0))) == thought


def test_an_answer_that_a_template_cuts_follows_the_prompt_as_it_is(tmp_path: Path) -> None:
    """As DeepSeek-like templates, which leave thoughts out of a conversation."""
    template = CHATML.replace("m.content", "m.content.split('</think>')[-1]")
    tokenizer = byte_level(
        ["<eos>", "<|im_start|>", "<|im_end|>"], template, plain=["<think>", "</think>"], eos_token="<eos>"
    )
    chat = open_chat(saved(tokenizer, tmp_path))
    text = "<think>two</think>Paris"
    assert (
        chat.response_ids(ASK, Response(text, 0))
        == tokenizer(f"{text}<|im_end|>", add_special_tokens=False)["input_ids"]
    )


def test_a_template_that_shows_no_answer_lets_the_text_follow_the_prompt(tmp_path: Path) -> None:
    silent = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}{{ '<|im_start|>' }}"
    tokenizer = byte_level(["<|im_start|>", "<|im_end|>"], silent, eos_token="<|im_end|>")
    chat = open_chat(saved(tokenizer, tmp_path))
    ids = tokenizer("Paris<|im_end|>", add_special_tokens=False)["input_ids"]
    assert chat.response_ids(ASK, Response("Paris", 0)) == ids


def settings(**changes: Any) -> TemplateConfig:
    return TemplateConfig(**{"file": None, "fingerprint": None, "kwargs": {}, "date": "2024-07-26", **changes})


def test_a_template_shows_the_date_of_its_setting(tmp_path: Path) -> None:
    tokenizer = MAKERS["llama3"]()
    now = LLAMA3.replace("date_string is not defined", "true")
    for template, day in ((LLAMA3, "2031-02-03"), (now, "2031-02-03"), (now, "2024-07-26")):
        tokenizer.chat_template = template
        chat = open_chat(saved(tokenizer, tmp_path), settings(date=day))
        shown = "03 Feb 2031" if day.startswith("2031") else "26 Jul 2024"
        assert f"Today: {shown}\n" in tokenizer.decode(chat.prompt_ids(ASK))


def test_a_file_gives_the_template(tmp_path: Path) -> None:
    tokenizer = MAKERS["chatml"]()
    tokenizer.chat_template = None
    folder = saved(tokenizer, tmp_path / "model")
    file = tmp_path / "chat.jinja"
    file.write_text(CHATML)
    chat = open_chat(folder, settings(file=str(file)))
    chat.tokenizer.save_pretrained(tmp_path / "published")
    tokenizer.chat_template = CHATML
    assert chat.prompt_ids(ASK) == rendered(tokenizer, ASK)
    file.write_text(CHATML, encoding="utf-8-sig")
    assert open_chat(folder, settings(file=str(file))).prompt_ids(ASK) == rendered(tokenizer, ASK)
    assert open_chat(saved(chat.tokenizer, tmp_path / "published")).prompt_ids(ASK) == chat.prompt_ids(ASK)
    with pytest.raises(ModelError, match="no chat template"):
        open_chat(folder)
    with pytest.raises(ModelError, match="has changed since"):
        open_chat(folder, settings(file=str(file), fingerprint="0" * 64))
    file.write_text("{% for %}")
    with pytest.raises(ModelError, match=r"chat\.jinja: is no Jinja template \(line 1"):
        open_chat(folder, settings(file=str(file)))
    with pytest.raises(ModelError, match=r"cannot be read"):
        open_chat(folder, settings(file=str(tmp_path / "nowhere")))


@pytest.mark.parametrize("name", ["messages", "add_generation_prompt", "tokenize", "strftime_now"])
def test_arguments_that_are_ours_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=rf"template_kwargs\.{name}=1: cannot be set"):
        settings(kwargs={name: 1})


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="template_date=2024-02-30: is not a date"):
        settings(date="2024-02-30")


@pytest.mark.parametrize("name", ["gemma", "mistral"])
def test_prompts_that_a_template_refuses_are_named(tmp_path: Path, name: str) -> None:
    chat = open_chat(saved(MAKERS[name](), tmp_path))
    chat.check_prompt(ASK)
    with pytest.raises(DataError, match=r"messages=system/user: the chat template of .* refuses them"):
        chat.check_prompt([{"role": "system", "content": "Be brief."}, *ASK])


def test_what_stands_between_turns_ends_an_answer_where_nothing_else_does(tmp_path: Path) -> None:
    template = (
        "{%- for m in messages %}{{- '<|im_end|>' if not loop.first }}{{- m['role'] + ': ' + m['content'] }}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_end|>assistant: ' }}{%- endif %}"
    )
    tokenizer = byte_level(["<|endoftext|>", "<|im_end|>"], template, eos_token="<|endoftext|>")
    folder = saved(tokenizer, tmp_path)
    eos, end = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [eos, end]}))
    chat = open_chat(folder)
    assert chat.end_id == end
    assert chat.response_ids([{"role": "user", "content": "x"}], Response("a", 1, True))[-1] == end


def test_a_template_that_fails_like_a_program_is_refused(tmp_path: Path) -> None:
    folder = saved(byte_level(["<|endoftext|>"], "{{ 1 / 0 }}", eos_token="<|endoftext|>"), tmp_path)
    with pytest.raises(ModelError, match="division by zero"):
        open_chat(folder)


@pytest.mark.parametrize("shown", ["{% for part in m.content %}{{ part.text }}{% endfor %}", ""])
def test_a_template_that_hides_what_the_user_says_is_refused(tmp_path: Path, shown: str) -> None:
    """As of vision models, whose messages are lists of parts: the parts of a text are its letters."""
    template = CHATML.replace("{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}", f"{shown}<|im_end|>")
    tokenizer = byte_level(["<|im_start|>", "<|im_end|>"], template, eos_token="<|im_end|>")
    assert rendered(tokenizer, ASK) == rendered(tokenizer, [{"role": "user", "content": "?"}])
    with pytest.raises(ModelError, match="does not show what the user says"):
        open_chat(saved(tokenizer, tmp_path))
