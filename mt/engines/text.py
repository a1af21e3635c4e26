"""Conversations to token ids: the one place where chat templates, padding and truncation are decided.

A policy reads `prompt_ids(messages) + response_ids(response)`; a reward model reads `conversation_ids(messages,
text)` in its own tokenizer. Ids come from the template itself, never from text tokenised twice (no double BOS).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mt.config.template import DEFAULT_DATE, TemplateConfig
from mt.errors import DataError, ModelError, describe
from mt.types import Messages, Response

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Truncation = Literal["drop", "left"]
"""What happens to a sequence longer than `max_length`: dropped, or cut on its left; both are counted."""

_PAD_NAMES = (re.compile(r"(^|[^a-z])pad([^a-z]|$)", re.I), re.compile(r"reserved|unused", re.I))
_PROBE: Messages = [{"role": "user", "content": "a"}]
_ANSWER = "a"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A sequence that fits: what is left of the prompt, the response, and whether the prompt was cut."""

    prompt: list[int]
    response: list[int]
    truncated: bool


class Chat:
    """A model's tokenizer and chat template: the one place where conversations become token ids, and ids text.

    `end_id` ends an assistant turn, `stop_ids` end generation (the end of turn first), `pad_id` fills batches,
    `fingerprint` names the tokenizer: ids under another fingerprint count as foreign text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, folder: Path, template: TemplateConfig) -> None:
        self.tokenizer = tokenizer
        self.folder = folder
        day = date.fromisoformat(template.date)
        self._kwargs: dict[str, Any] = {
            "date_string": day.strftime("%d %b %Y"),
            "strftime_now": day.strftime,
            **template.kwargs,
        }
        self.stop_ids = stop_ids(tokenizer, folder)
        self.end_id = self.stop_ids[0]
        self.pad_id = int(tokenizer.pad_token_id)
        self.fingerprint = _fingerprint(tokenizer)

    def prompt_ids(self, messages: Messages) -> list[int]:
        """Return the ids of a prompt up to where the assistant's answer begins."""
        return self._render(messages, add_generation_prompt=True)

    def response_ids(self, messages: Messages, response: Response) -> list[int]:
        """Return a response's ids as sampled; foreign text is tokenised, the end of turn added where it `finished`."""
        if response.ids is not None and response.tokenizer == self.fingerprint:
            return list(response.ids)
        return response_ids(self.tokenizer, response, self.end_id)

    def conversation_ids(self, messages: Messages, text: str, *, strip_bos: bool = False) -> list[int]:
        """Return the ids of a whole conversation that ends with the answer `text`, as a reward model reads it.

        `strip_bos` removes one leading beginning-of-sequence id: some reward models were trained without it.
        """
        ids = self._render([*messages, {"role": "assistant", "content": text}], add_generation_prompt=False)
        bos = self.tokenizer.bos_token_id
        return ids[1:] if strip_bos and bos is not None and ids[:1] == [bos] else ids

    def decode(self, ids: list[int]) -> str:
        """Return the text of ids, special tokens left out."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def response(self, ids: list[int], *, finished: bool, logprob: float | None = None) -> Response:
        """Return the response that consists of sampled ids, the end-of-turn id included where it was generated."""
        n_tokens = len(ids) - (1 if finished and ids and ids[-1] in self.stop_ids else 0)
        return Response(self.decode(ids), n_tokens, finished, list(ids), self.fingerprint, logprob)

    def check_prompt(self, messages: Messages) -> None:
        """Raise `DataError` where the template refuses a prompt."""
        self.prompt_ids(messages)

    def _render(self, messages: Messages, *, add_generation_prompt: bool) -> list[int]:
        return _render(self.tokenizer, messages, add_generation_prompt=add_generation_prompt, **self._kwargs)


def open_chat(folder: Path | str, template: TemplateConfig | None = None) -> Chat:
    """Open a model folder's tokenizer and chat template, rendered as `template` says.

    Raises `ModelError` as `load_tokenizer` does.
    """
    template = template or TemplateConfig(file=None, fingerprint=None, kwargs={}, date=DEFAULT_DATE)
    text = None if template.file is None else Path(template.file).read_text("utf-8")
    return Chat(load_tokenizer(folder, text), Path(folder), template)


def load_tokenizer(folder: Path | str, chat_template: str | None = None) -> PreTrainedTokenizerBase:
    """Load a model folder's tokenizer with a chat template and a pad token that never ends a turn.

    Raises `ModelError` where there is no tokenizer, no template, no usable pad token, or where the vocabulary
    outgrows the model's embedding.
    """
    from transformers import AutoTokenizer

    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(describe("model folder", folder, "no such folder", mend="Give a model folder"))
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(describe("tokenizer", folder, f"cannot be loaded ({reason})")) from error
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    _check_template(tokenizer, folder)
    _check_vocabulary(tokenizer, folder)
    _ensure_pad(tokenizer, folder)
    return tokenizer


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """Return the ids of a prompt up to where the assistant's answer begins."""
    return _render(tokenizer, messages, add_generation_prompt=True)


def response_ids(tokenizer: PreTrainedTokenizerBase, response: Response, end_id: int) -> list[int]:
    """Return the ids of a response, followed by the end-of-turn id where it `finished` by itself."""
    ids = list(tokenizer(response.text, add_special_tokens=False)["input_ids"])
    return [*ids, end_id] if response.finished else ids


def conversation_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, text: str, *, strip_bos: bool = False
) -> list[int]:
    """Return the ids of a whole conversation that ends with the answer `text`, as a reward model reads it.

    `strip_bos` removes one leading beginning-of-sequence id: some reward models were trained without it.
    """
    ids = _render(tokenizer, [*messages, {"role": "assistant", "content": text}], add_generation_prompt=False)
    if strip_bos and tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]:
        return ids[1:]
    return ids


def end_of_turn_id(tokenizer: PreTrainedTokenizerBase, folder: Path | str) -> int:
    """Return the id that ends an assistant turn: what its template writes there, else the eos id."""
    closing = _closing_ids(tokenizer)
    for ends in (_declared_ends(tokenizer, Path(folder)), _special_ids(tokenizer)):
        if written := [token for token in closing if token in ends]:
            return int(written[-1])
    if tokenizer.eos_token_id is None:
        raise ModelError(describe("tokenizer", folder, "nothing ends an assistant turn", mend="Set its eos_token"))
    return int(tokenizer.eos_token_id)


def stop_ids(tokenizer: PreTrainedTokenizerBase, folder: Path | str) -> list[int]:
    """Return every id that ends generation: the end of turn first, then the generation config's and eos."""
    end = end_of_turn_id(tokenizer, folder)
    return [end, *sorted(_declared_ends(tokenizer, Path(folder)) - {end})]


def fit_response(prompt: list[int], response: list[int], max_length: int, truncation: Truncation) -> Fitted | None:
    """Fit a prompt and its response into `max_length` tokens, or return None where they are to be dropped.

    Only the prompt is ever cut, on its left: the log-probability of a cut response would be another quantity.
    At least one prompt token stays, since the first response token is predicted from it.
    """
    excess = len(prompt) + len(response) - max_length
    if excess <= 0:
        return Fitted(prompt, response, truncated=False) if prompt and response else None
    if truncation == "drop" or excess >= len(prompt) or not response:
        return None
    return Fitted(prompt[excess:], response, truncated=True)


def fit_conversation(ids: list[int], max_length: int, truncation: Truncation) -> tuple[list[int], bool] | None:
    """Fit a reward model's conversation into `max_length` tokens: (ids, whether cut), None where dropped."""
    if len(ids) <= max_length:
        return ids, False
    return None if truncation == "drop" else (ids[-max_length:], True)


def spare_pad(special: dict[str, int], taken: set[int | None]) -> str | None:
    """Return the special token to pad with where none is declared: one named pad, else the last reserved one."""
    free = sorted((name for name, i in special.items() if i not in taken), key=special.__getitem__, reverse=True)
    for pattern in _PAD_NAMES:
        if found := next((name for name in free if pattern.search(name)), None):
            return found
    return None


def _render(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, *, add_generation_prompt: bool, **kwargs: Any
) -> list[int]:
    from jinja2 import TemplateError

    try:
        ids = tokenizer.apply_chat_template(
            messages, add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=False, **kwargs
        )
    except TemplateError as error:
        roles = "/".join(message.get("role", "?") for message in messages)
        raise DataError(describe("messages", roles, f"the chat template refuses them ({error})")) from error
    return list(ids)


def _fingerprint(tokenizer: Any) -> str:
    described = json.loads(tokenizer.backend_tokenizer.to_str()) | {"padding": None, "truncation": None}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _check_template(tokenizer: Any, folder: Path) -> None:
    if not tokenizer.chat_template:
        mend = "Add chat_template.jinja to the folder, or a chat_template to its tokenizer_config.json"
        raise ModelError(describe("tokenizer", folder, "has no chat template", mend=mend))


def _check_vocabulary(tokenizer: Any, folder: Path) -> None:
    size = _json(folder / "config.json").get("vocab_size")
    if size is not None and len(tokenizer) > size:
        problem = f"has {len(tokenizer)} tokens, the model's embedding {size} rows"
        mend = "Resize the model's embedding yourself and save it, or remove the added tokens"
        raise ModelError(describe("tokenizer", folder, problem, mend=mend))


def _ensure_pad(tokenizer: Any, folder: Path) -> None:
    """Pad by a token of its own: with pad = eos the end of a turn would be taken for padding."""
    ends = {tokenizer.eos_token_id}
    if tokenizer.pad_token_id is not None:
        ends.add(end_of_turn_id(tokenizer, folder))
        if tokenizer.pad_token_id not in ends:
            return
    pad = _reserved_token(tokenizer, ends)
    if pad is None:
        mend = "Set pad_token in tokenizer_config.json to a token of the vocabulary that no text uses"
        problem = "has no pad token distinct from its end-of-turn token, and no reserved token to use instead"
        raise ModelError(describe("tokenizer", folder, problem, mend=mend))
    tokenizer.pad_token = pad


def _reserved_token(tokenizer: Any, ends: set[int | None]) -> str | None:
    """Return a special token that no text uses, else the unknown token, else None."""
    taken = {*ends, tokenizer.bos_token_id}
    special = {str(token): i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    if found := spare_pad(special, taken):
        return found
    return tokenizer.unk_token if tokenizer.unk_token_id not in {*taken, None} else None


def _declared_ends(tokenizer: Any, folder: Path) -> set[int]:
    declared = _json(folder / "generation_config.json").get("eos_token_id")
    ids = declared if isinstance(declared, list) else [declared]
    return {int(token) for token in (*ids, tokenizer.eos_token_id) if token is not None}


def _closing_ids(tokenizer: Any) -> list[int]:
    """Return what the template writes after an answer."""
    opening = prompt_ids(tokenizer, _PROBE)
    whole = conversation_ids(tokenizer, _PROBE, _ANSWER)
    same = next((i for i, pair in enumerate(zip(opening, whole, strict=False)) if pair[0] != pair[1]), len(opening))
    tail = whole[same:]
    answer = list(tokenizer(_ANSWER, add_special_tokens=False)["input_ids"])
    return tail[len(answer) :] if tail[: len(answer)] == answer else tail


def _special_ids(tokenizer: Any) -> set[int]:
    return {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}


def _json(path: Path) -> dict[str, Any]:
    """Read a folder's own description, or an empty one where it has none."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
