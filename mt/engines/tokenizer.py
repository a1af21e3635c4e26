"""A model folder's tokenizer: loaded, checked, named by what its ids mean, and given a token to pad with."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt.engines.contexts import read_json
from mt.engines.template import TemplateConfig
from mt.errors import ModelError, describe, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FAST = "Put the model's fast tokenizer there (tokenizer.json)"
_PAD_NAMES = (re.compile(r"(^|[^a-z])pad([^a-z]|$)", re.I), re.compile(r"reserved|unused", re.I))


def read_tokenizer(folder: Path, template: TemplateConfig, setting: str = "model folder") -> PreTrainedTokenizerBase:
    """Load a folder's tokenizer with the chat template that `template` names, else the folder's own.

    Raises `ModelError` where there is no folder, no tokenizer, no template, a template that is no Jinja, or a
    vocabulary that outgrows the model's embedding; it names the folder by its `setting`.
    """
    from transformers import AutoTokenizer

    if not folder.is_dir():
        raise ModelError(describe(setting, folder, "no such folder", fix="Give a model folder"))
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        limit = tokenizer.model_max_length
        if not isinstance(limit, int | float):
            raise TypeError(f"model_max_length={limit!r} in tokenizer_config.json is no number")
        tokenizer("\ue000")  # a character that no vocabulary holds: fails where an unknown token is named and absent
    except Exception as error:  # the tokenizers library raises plain ones
        fix = "" if (folder / "tokenizer.json").is_file() else _FAST
        problem = f"its tokenizer cannot be loaded or used ({first_line(error)})"
        raise ModelError(describe(setting, folder, problem, fix=fix)) from error
    if not tokenizer.is_fast or len(tokenizer) <= len(tokenizer.added_tokens_decoder):
        problem = (
            "is empty"
            if tokenizer.is_fast
            else "is written in Python, which cannot distinguish text from special tokens"
        )
        raise ModelError(describe(setting, folder, f"its tokenizer {problem}", fix=_FAST))
    if template.file is not None:
        tokenizer.chat_template = _template_file(Path(template.file), template.fingerprint)
    _check_template(tokenizer, template.file or folder)
    _check_vocabulary(tokenizer, folder, setting)
    return tokenizer


def fingerprint(tokenizer: Any) -> str:
    """Return a name of what ids mean: SHA-256 of the vocabulary, the special tokens and the decoder.

    Saving a tokenizer again rewrites its padding, truncation and post-processor, none of which is part of it.
    """
    backend = tokenizer.backend_tokenizer
    special = sorted(i for i, token in tokenizer.added_tokens_decoder.items() if token.special)
    decoder = backend.decoder.__getstate__() if backend.decoder is not None else b""
    vocabulary = backend.get_vocab(with_added_tokens=True)
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    ids = [vocabulary[token] for token in tokens]
    digest = hashlib.sha256(decoder if isinstance(decoder, bytes) else str(decoder).encode())
    for part in (special, ids if ids != list(range(len(ids))) else [], tokens):
        digest.update(json.dumps(part).encode())
    return digest.hexdigest()


def special_tokens(tokenizer: Any, ends: Collection[int]) -> dict[str, int]:
    """Return text → id of the tokens that only a template or a model may write, never a message.

    Beside those that are declared special these are the added tokens that end generation.
    """
    added = tokenizer.added_tokens_decoder
    return {token.content: i for i, token in added.items() if token.special or i in ends}


def declared_ends(tokenizer: Any, folder: Path) -> list[int]:
    """Return the ids that end generation: the tokenizer's eos, then those of generation_config.json.

    Where there is no such file, config.json names them, as in transformers. Raises `ModelError` where the file names
    something else than ids.
    """
    path = folder / "generation_config.json"
    if not path.is_file():
        path = folder / "config.json"
    declared = read_json(path).get("eos_token_id")
    ids = declared if isinstance(declared, list) else [declared]
    if any(i is not None and type(i) is not int for i in ids):
        value = f"eos_token_id={json.dumps(declared)}"
        raise ModelError(describe(str(path), value, "is no token id", allowed="an id or a list of ids"))
    return list(dict.fromkeys(i for i in (tokenizer.eos_token_id, *ids) if i is not None and i >= 0))


def set_pad(tokenizer: Any, folder: Path, ends: Collection[int], written: Collection[str]) -> int:
    """Choose the id that fills batches by the rule of `pad_token`, and set it as the tokenizer's pad token.

    Where no special token is free it is the first ordinary token that ends nothing, which the tokenizer does not
    learn: it would split texts at it. Any id serves, since engines know where every row ends and read no padding.
    """
    rows = embedding_rows(folder) or len(tokenizer)
    special = {token.content: i for i, token in tokenizer.added_tokens_decoder.items() if token.special and i < rows}
    taken = {*ends, tokenizer.eos_token_id, tokenizer.bos_token_id, *(special.get(token) for token in written)}
    free = {token: i for token, i in special.items() if i not in taken}
    pad = pad_token(free, tokenizer.pad_token, tokenizer.unk_token, declared_ends(tokenizer, folder))
    if pad is None:
        return next(i for i in range(rows) if i not in {*taken, *special.values()})
    tokenizer.pad_token = pad
    return special[pad]


def pad_token(free: Mapping[str, int], declared: str | None, unknown: str | None, stops: Collection[int]) -> str | None:
    """Return which of the special tokens that no conversation contains fills batches, None where there is none.

    It is the declared one; else one that is called pad, a reserved one, the unknown token, or the last of the
    others, of those that do not stop generation either. So a pad token never ends a turn and never begins a text.
    """
    if declared in free:
        return declared
    left = {token: i for token, i in free.items() if i not in stops}
    highest = sorted(left, key=left.__getitem__, reverse=True)
    for pattern in _PAD_NAMES:
        if spare := next((token for token in highest if pattern.search(token)), None):
            return spare
    return unknown if unknown in left else next(iter(highest), None)


def embedding_rows(folder: Path) -> int | None:
    """Return how many token ids the folder's model knows, None where its config does not say."""
    config = read_json(folder / "config.json")
    inner = config.get("text_config")
    rows = config.get("vocab_size", inner.get("vocab_size") if isinstance(inner, dict) else None)
    if rows is not None and type(rows) is not int:
        raise ModelError(
            describe(f"{folder / 'config.json'}: vocab_size", rows, "is no number", allowed="a whole number")
        )
    return rows


def _template_file(file: Path, expected: str | None) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise ModelError(describe("chat_template", file, problem, fix="Give a Jinja file")) from error
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        fix = "Run the command again, or put the file back as it was"
        raise ModelError(describe("chat_template", file, "has changed since this run was planned", fix=fix))
    try:
        return content.decode("utf-8-sig")  # else a byte order mark would begin every prompt
    except UnicodeDecodeError as error:
        raise ModelError(describe("chat_template", file, "is not UTF-8 text", fix="Give a Jinja file")) from error


def _check_template(tokenizer: Any, place: Path | str) -> None:
    from jinja2 import TemplateSyntaxError

    if not tokenizer.chat_template:
        fix = "Add chat_template.jinja to the folder, or give a file by policy.chat_template (reward.chat_template)"
        raise ModelError(describe("tokenizer", place, "has no chat template", fix=fix))
    try:
        tokenizer.get_chat_template()
        tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
    except TemplateSyntaxError as error:
        problem = f"is no Jinja template (line {error.lineno}: {error.message})"
        raise ModelError(describe("chat_template", place, problem, fix="Correct it")) from error
    except ValueError as error:
        problem = "has several chat templates and none called default"
        raise ModelError(describe("tokenizer", place, problem, fix="Name one of them default")) from error
    except Exception:
        return  # A template may refuse this conversation, or need arguments that are not given here.


def _check_vocabulary(tokenizer: Any, folder: Path, setting: str) -> None:
    """Refuse ids beyond the embedding, but for special tokens that neither text nor template can contain."""
    rows, added = embedding_rows(folder), tokenizer.added_tokens_decoder
    if rows is None or max([len(tokenizer) - 1, *added]) < rows:
        return
    template = tokenizer.get_chat_template()
    needed = {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id}
    beyond = (i for i in tokenizer.get_vocab().values() if i >= rows)
    if any(i in needed or i not in added or not added[i].special or added[i].content in template for i in beyond):
        problem = f"its tokenizer has {len(tokenizer)} tokens, the model's embedding {rows} rows"
        fix = "Resize the model's embedding yourself and save it, or remove the added tokens"
        raise ModelError(describe(setting, folder, problem, fix=fix))
