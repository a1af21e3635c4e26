"""Rendered conversations to token ids, where a special token that a message spells stays text.

A tokenizer cannot tell the `<|im_end|>` that a template writes from one that a user typed. So the messages are
rendered with every spelled special token masked by a private-use character; whatever special token stands in the
rendering is then the template's own.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from mt.errors import DataError, describe

_MASKS = range(0xF0000, 0xFFFFE)
_HIDDEN = "\U0010fffd"
_ANCHORS = ("", "\n", "a", ".", "0")


class Encoder:
    """Token ids of rendered text; `specials` maps the tokens that only a template may write to their ids."""

    def __init__(self, tokenizer: Any, specials: Mapping[str, int]) -> None:
        self.tokenizer = tokenizer
        self.specials = dict(specials)
        self.pattern = any_of(self.specials)
        normalised = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.content in self.specials and token.normalized
        ]
        self._normalise = tokenizer.backend_tokenizer.normalizer if normalised else None
        self._normalised = any_of(normalised)
        self._backend: Any = None
        self._sentinels: dict[str, str] = {}
        self._ids: dict[int, int] = {}
        self._written: frozenset[int] = frozenset()

    def masks(self, values: Any) -> dict[str, str] | None:
        """Return masks (special token → one private-use character) for what messages spell, None where nothing."""
        texts = list(_strings(values))
        found = {token for text in texts for token in self.pattern.findall(text)}
        hidden = self._normalise is not None and any(
            self._normalised.search(self._normalise.normalize_str(text)) for text in texts
        )
        if not found and not hidden:
            return None
        used = set().union(*texts)
        free = (chr(code) for code in _MASKS if chr(code) not in used)
        return dict(zip(sorted(found), free, strict=False))

    def masked(self, value: Any, masks: Mapping[str, str] | None) -> Any:
        """Return messages (or one text) with the special tokens that they spell replaced by their masks."""
        if isinstance(value, str):
            return self.pattern.sub(lambda found: masks[found.group()], value) if masks else value
        if isinstance(value, Mapping):
            return {key: item if key == "role" else self.masked(item, masks) for key, item in value.items()}
        return [self.masked(item, masks) for item in value] if isinstance(value, list | tuple) else value

    def encode(self, rendered: str, masks: Mapping[str, str] | None) -> list[int]:
        """Return the ids of a rendering; masked tokens are text, all others are what the template wrote."""
        if masks is None:
            return list(self.tokenizer(rendered, add_special_tokens=False, verbose=False)["input_ids"])
        marked, written = self._marked(rendered, masks)
        ids = self._encoded(marked).ids
        if sum(i in self._written for i in ids) != written:
            problem = "the tokenizer finds its special tokens only after normalisation"
            raise DataError(describe("messages", ", ".join(masks), problem, fix="Remove that text from the row"))
        return [self._ids.get(i, i) for i in ids]

    def continuation(self, before: str, rest: str, masks: Mapping[str, str] | None) -> list[int]:
        """Return the ids of `rest` as it follows `before`: those of the whole text after those of `before`.

        Where a token of the whole text spans the boundary, that token's part of `rest` is encoded by itself, so
        that the ids of `before` and the result together still decode to the whole text.
        """
        first, whole = self.encode(before, masks), self.encode(before + rest, masks)
        if whole[: len(first)] == first:
            return whole[len(first) :]
        masks = masks or {}
        start = len(self._marked(before, masks)[0])
        text, _ = self._marked(before + rest, masks)
        encoding = self._encoded(text)
        reach = start
        for i, (left, right) in enumerate(encoding.offsets):
            if left >= reach:
                tail = [self._ids.get(j, j) for j in encoding.ids[i:]]
                break
            reach = max(reach, right)
        else:
            tail, reach = [], len(text)
        return [*self._piece(text[start:reach], first), *tail]

    def _piece(self, text: str, before: list[int]) -> list[int]:
        """Return ids of a piece of text that decode to it after `before`, without a space put in front of it."""
        decode = self.tokenizer.backend_tokenizer.decode
        wanted = decode(before, skip_special_tokens=False) + text
        for anchor in _ANCHORS:
            encoding = self._encoded(anchor + text)
            if any(left < len(anchor) < right for left, right in encoding.offsets):
                continue
            pairs = zip(encoding.ids, encoding.offsets, strict=True)
            ids = [self._ids.get(i, i) for i, (left, _) in pairs if left >= len(anchor)]
            if decode([*before, *ids], skip_special_tokens=False) == wanted:
                return ids
        return [self._ids.get(i, i) for i in self._encoded(text).ids]

    def _marked(self, rendered: str, masks: Mapping[str, str]) -> tuple[str, int]:
        """Return a rendering with the template's special tokens as sentinels and the masked ones spelled again."""
        self._prepare()
        marked, written = self.pattern.subn(lambda found: self._sentinels[found.group()], rendered)
        return marked.translate({ord(mask): token for token, mask in masks.items()}), written

    def _encoded(self, text: str) -> Any:
        self._prepare()
        return self._backend.encode(text, add_special_tokens=False)

    def _prepare(self) -> None:
        """Build the tokenizer that knows sentinels in the place of special tokens, when it is first needed."""
        if self._backend is None:
            salt = secrets.token_hex(8)
            self._sentinels = {token: f"\U0010f8f0{salt}{i}\U0010f8f1" for i, token in enumerate(sorted(self.specials))}
            self._backend, self._ids = _without_specials(self.tokenizer, self.specials, self._sentinels)
            self._written = frozenset(map(self._backend.token_to_id, self._sentinels.values()))


def _without_specials(
    tokenizer: Any, specials: Mapping[str, int], sentinels: Mapping[str, str]
) -> tuple[Any, dict[int, int]]:
    """Return a copy of a tokenizer in which only sentinels stand for special tokens, and its new ids → the old ones.

    A model whose vocabulary holds a special token as an ordinary piece (Unigram, WordLevel) would find it in the
    text again, so such pieces get names that no text has.
    """
    from tokenizers import Tokenizer

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    # Without a post-processor, since byte-level ones cut spaces off the offsets that a continuation is found by.
    state |= {"padding": None, "truncation": None, "post_processor": None}
    added = [token for token in state["added_tokens"] if token["content"] not in specials]
    old = {token["content"]: token["id"] for token in added}
    for token in state["added_tokens"]:
        if token["content"] in specials:
            added.append(token | {"content": sentinels[token["content"]], "special": False})
            old[sentinels[token["content"]]] = token["id"]
    _hide(state["model"], specials)
    state["added_tokens"] = added
    backend: Any = Tokenizer.from_str(json.dumps(state))
    return backend, {backend.token_to_id(content): i for content, i in old.items()}


def _hide(model: dict[str, Any], specials: Mapping[str, int]) -> None:
    names = {token: f"{_HIDDEN}{i}" for i, token in enumerate(sorted(specials))}
    if isinstance(model["vocab"], dict):
        vocabulary = {names.get(piece, piece): i for piece, i in model["vocab"].items()}
        # New tokens are numbered from the vocabulary's size, which must not be the id of a piece.
        gaps = set(range(max(vocabulary.values(), default=-1) + 1)) - set(vocabulary.values())
        model["vocab"] = vocabulary | {f"{_HIDDEN}gap{i}": i for i in gaps}
    else:
        model["vocab"] = [[names.get(piece, piece), *rest] for piece, *rest in model["vocab"]]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    if model.get("merges"):
        pairs = (pair if isinstance(pair, list) else pair.split(" ", 1) for pair in model["merges"])
        model["merges"] = [pair for pair in pairs if not {*pair, "".join(pair)}.intersection(specials)]


def any_of(tokens: Any) -> re.Pattern[str]:
    """Return a pattern of the longest token that starts at a place, as tokenizers match them."""
    longest = sorted(filter(None, tokens), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest)) or r"(?!)")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key != "role":
                yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
