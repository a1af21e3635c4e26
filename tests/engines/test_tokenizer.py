"""A folder's tokenizer: what it pads with, what its ids mean, and which folders are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, decoders, normalizers
from transformers import AutoTokenizer

from mt.engines.text import open_chat
from mt.engines.tokenizer import fingerprint, pad_token
from mt.errors import ModelError
from mt.types import Response
from tests.engines.realistic import CHATML, MAKERS, byte_level, saved
from tests.engines.tiny import tiny_policy, tiny_tokenizer

ASK = [{"role": "user", "content": "x"}]
IM = ["<|im_start|>", "<|im_end|>"]


def padded(folder: Path, special: list[str], **names: Any) -> tuple[str, Any]:
    tokenizer = byte_level(special, CHATML, **{"eos_token": "<|im_end|>", **names})
    chat = open_chat(saved(tokenizer, folder))
    return chat.tokenizer.convert_ids_to_tokens(chat.pad_id), chat


@pytest.mark.parametrize(
    ("special", "names", "pad"),
    [
        (["<pad>"], {"pad_token": "<pad>"}, "<pad>"),
        (["<|endoftext|>"], {"pad_token": "<|endoftext|>"}, "<|endoftext|>"),
        # As SmolLM2, whose pad token is its end of turn.
        (["<|endoftext|>", "<repo>"], {"pad_token": "<|im_end|>", "unk_token": "<|endoftext|>"}, "<|endoftext|>"),
        (["<s>", "<|reserved_0|>", "<|reserved_1|>"], {"bos_token": "<s>", "pad_token": "<s>"}, "<|reserved_1|>"),
        (["<|reserved_0|>", "<|right_pad_id|>"], {}, "<|right_pad_id|>"),
        (["<unk>", "<repo>"], {"unk_token": "<unk>"}, "<unk>"),
        (["<repo>", "<file>"], {}, "<file>"),
        (["<repo>"], {"pad_token": "<|im_start|>"}, "<repo>"),
    ],
)
def test_the_pad_token_is_one_that_no_conversation_contains(
    tmp_path: Path, special: list[str], names: dict[str, str], pad: str
) -> None:
    found, chat = padded(tmp_path, [*special, *IM], **names)
    assert found == pad
    assert chat.tokenizer.pad_token == pad


def test_a_folder_without_a_free_token_pads_with_one_that_ends_nothing(tmp_path: Path) -> None:
    """As GPT-2, whose one special token begins, ends and pads; the tokenizer itself learns nothing."""
    found, chat = padded(tmp_path, IM, bos_token="<|im_start|>", pad_token="<|im_end|>")
    assert chat.pad_id not in chat.tokenizer.added_tokens_decoder
    text = f"a {found} b{found}"
    assert chat.conversation_ids(ASK, text) == byte_level(IM, CHATML, eos_token="<|im_end|>").apply_chat_template(
        [*ASK, {"role": "assistant", "content": text}], return_dict=False
    )


def test_a_token_that_stops_generation_is_not_chosen_to_pad() -> None:
    free = {"<|pad_stop|>": 1, "<repo>": 2}
    assert pad_token(free, None, None, stops=[1]) == "<repo>"
    assert pad_token(free, "<|pad_stop|>", None, stops=[1]) == "<|pad_stop|>"
    assert pad_token({}, "<pad>", "<unk>", stops=[]) is None


def test_a_pad_token_beyond_the_embedding_is_not_used(tmp_path: Path) -> None:
    """As of fine-tuned models whose tokenizer got a pad token that the model never learned."""
    tokenizer = byte_level(["<unk>", *IM], CHATML, eos_token="<|im_end|>", unk_token="<unk>")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    rows = tokenizer.convert_tokens_to_ids("[PAD]")
    folder = saved(tokenizer, tmp_path)
    (folder / "config.json").write_text(json.dumps({"text_config": {"vocab_size": rows}}))
    chat = open_chat(folder)
    assert chat.tokenizer.convert_ids_to_tokens(chat.pad_id) == "<unk>"
    assert max(chat.conversation_ids(ASK, "say [PAD]")) < rows
    assert chat.decode(chat.response_ids(ASK, Response("say [PAD]", 0))) == "say [PAD]"


@pytest.mark.parametrize(("token", "special"), [("new", False), ("<|im_end|>", True)])
def test_a_vocabulary_beyond_the_embedding_is_refused(tmp_path: Path, token: str, special: bool) -> None:
    tokenizer = byte_level(["<eos>", "<|im_start|>"], CHATML, eos_token="<eos>")
    tokenizer.add_tokens([AddedToken(token, special=special)])
    folder = saved(tokenizer, tmp_path)
    (folder / "config.json").write_text(json.dumps({"vocab_size": len(tokenizer) - 1}))
    with pytest.raises(ModelError, match=r"the model's embedding \d+ rows"):
        open_chat(folder)


@pytest.mark.parametrize("name", [*MAKERS, "tiny"])
def test_a_published_tokenizer_has_the_fingerprint_of_its_base(tmp_path: Path, name: str) -> None:
    folder = saved(MAKERS[name](), tmp_path / "base") if name != "tiny" else tiny_policy(tmp_path / "base")
    chat = open_chat(folder)
    if (pad := chat.tokenizer.pad_token) is not None:
        chat.tokenizer.backend_tokenizer.enable_padding(pad_token=pad, pad_id=chat.pad_id, length=9)
    chat.tokenizer.backend_tokenizer.enable_truncation(9)
    published = saved(chat.tokenizer, tmp_path / "published")
    assert (published / "tokenizer.json").read_text() != (folder / "tokenizer.json").read_text()
    assert open_chat(published).fingerprint == chat.fingerprint == fingerprint(AutoTokenizer.from_pretrained(folder))


def test_other_ids_or_texts_have_another_fingerprint() -> None:
    def tokenizer() -> Any:
        return byte_level(["<|endoftext|>", *IM], CHATML, eos_token="<|im_end|>")

    base, swapped, decoded, added, plain = (tokenizer() for _ in range(5))
    state = json.loads(base.backend_tokenizer.to_str())
    state["model"]["vocab"]["x"], state["model"]["vocab"]["y"] = (state["model"]["vocab"][w] for w in "yx")
    swapped._tokenizer = type(base.backend_tokenizer).from_str(json.dumps(state))
    decoded.backend_tokenizer.decoder = decoders.Fuse()
    added.add_tokens(["new"])
    plain = byte_level(["<|endoftext|>", IM[0]], CHATML, plain=[IM[1]], eos_token="<|endoftext|>")
    names = [fingerprint(one) for one in (base, swapped, decoded, added, plain)]
    assert len(set(names)) == 5
    assert fingerprint(tokenizer()) == names[0]


def test_a_special_token_that_normalisation_makes_stays_text(tmp_path: Path) -> None:
    tokenizer = byte_level([], CHATML.replace("<|im_end|>", "<end>"))
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.add_special_tokens({"eos_token": AddedToken("<end>", special=True, normalized=True)})
    assert tokenizer.eos_token_id in tokenizer("<END>")["input_ids"]
    chat = open_chat(saved(tokenizer, tmp_path))
    ids = chat.response_ids(ASK, Response("a <END> b <end>", 0))
    assert (ids.count(chat.end_id), ids[-1]) == (1, chat.end_id)
    assert chat.decode(ids) == "a <end> b <end>"


@pytest.mark.parametrize("content", ["not json", "{}"])
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    folder = saved(MAKERS["chatml"](), tmp_path)
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"its tokenizer cannot be loaded"):
        open_chat(folder)


@pytest.mark.parametrize(
    ("file", "path", "value", "said"),
    [
        ("tokenizer_config.json", ["model_max_length"], "text", "model_max_length='text' in tokenizer_config.json"),
        ("tokenizer.json", ["model", "unk_token"], "absent", r"Missing \[UNK\] token"),
    ],
)
def test_a_tokenizer_that_fails_on_text_is_refused(
    tmp_path: Path, file: str, path: list[str], value: str, said: str
) -> None:
    folder = tiny_policy(tmp_path / "model")
    values = json.loads((folder / file).read_text())
    inner = values
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (folder / file).write_text(json.dumps(values))
    with pytest.raises(ModelError, match=rf"its tokenizer cannot be loaded or used \(.*{said}"):
        open_chat(folder)


def test_several_templates_need_a_default(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = {"default": tokenizer.chat_template, "rag": "x"}
    assert open_chat(saved(tokenizer, tmp_path / "named")).prompt_ids([{"role": "user", "content": "red"}])
    tokenizer.chat_template = {"tool_use": "x", "rag": "x"}
    with pytest.raises(ModelError, match="none called default"):
        open_chat(saved(tokenizer, tmp_path / "unnamed"))


@pytest.mark.parametrize(("kind", "problem"), [("ByT5Tokenizer", "is written in Python"), (None, "cannot be loaded")])
def test_a_folder_without_a_fast_tokenizer_is_refused(tmp_path: Path, kind: str | None, problem: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind, "chat_template": CHATML}))
    with pytest.raises(ModelError, match=rf"its tokenizer .*{problem}.*tokenizer\.json"):
        open_chat(tmp_path)


@pytest.mark.parametrize("ends", ["</s>", {"a": 1}, [[2]], True, 2.5])
def test_ends_that_are_no_ids_are_refused(tmp_path: Path, ends: Any) -> None:
    folder = tiny_policy(tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    with pytest.raises(ModelError, match=r"eos_token_id=.*is no token id\. Allowed: an id or a list of ids"):
        open_chat(folder)
