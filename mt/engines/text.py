"""Conversations to token ids, and ids to text: the one place where chat templates and truncation are decided.

A policy reads `prompt_ids(messages) + response_ids(messages, response)`, where a sampled response keeps its ids; a
reward model reads `conversation_ids(messages, text)` in its own tokenizer. Ids equal those of the tokenizer's own
`apply_chat_template` unless a message spells a special token: that stays text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mt.engines.literal import Encoder, any_of
from mt.engines.template import DEFAULT_DATE, TemplateConfig
from mt.engines.tokenizer import declared_ends, fingerprint, read_tokenizer, set_pad, special_tokens
from mt.errors import DataError, ModelError, describe
from mt.types import Messages, Response

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Truncation = Literal["drop", "left"]
"""What happens to a sequence longer than `max_length`: dropped, or cut on its left; both are counted."""

_USER = {"role": "user", "content": "a"}
_PROBES: tuple[Messages, ...] = (
    [_USER],
    [{"role": "system", "content": "a"}, _USER],
    [_USER, {"role": "assistant", "content": "a"}, _USER],
)
_ANSWERS = ("a", "b")
_NEXT = "next question"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A sequence that fits: what is left of the prompt, the response, and whether the prompt was cut."""

    prompt: list[int]
    response: list[int]
    truncated: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a template writes before (after the generation prompt) and after an assistant's answer.

    `closing` is the part of `after` up to and including the token `end_id` that ends the turn, empty where the
    template writes none; both texts are None where a rendered conversation does not show the answer.
    """

    before: str | None
    after: str | None
    closing: str
    end_id: int


class Chat:
    """A model's tokenizer and chat template: the one place where conversations become token ids, and ids text.

    `end_id` ends an assistant turn, `stop_ids` end generation (the end of turn first), `pad_id` fills batches.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, folder: Path, template: TemplateConfig) -> None:
        self.tokenizer: Any = tokenizer
        self.folder = folder
        day = date.fromisoformat(template.date)
        today = {"date_string": day.strftime("%d %b %Y"), "strftime_now": day.strftime}
        self._kwargs: dict[str, Any] = {**today, **template.kwargs}
        stops = declared_ends(tokenizer, folder)
        self._encoder = Encoder(tokenizer, special_tokens(tokenizer, stops))
        self._specials = frozenset(self._encoder.specials.values())
        self._answer = self._probe(stops)
        self.end_id = self._answer.end_id
        self.stop_ids = [self.end_id, *sorted(set(stops) - {self.end_id})]
        self.pad_id = set_pad(tokenizer, folder, {self.end_id}, self._template_tokens())

    @property
    def shows_answers(self) -> bool:
        """Whether a rendered conversation shows the assistant's answer at its end."""
        return self._answer.after is not None

    @cached_property
    def fingerprint(self) -> str:
        """A name of what ids mean: ids under another fingerprint count as foreign text."""
        return fingerprint(self.tokenizer)

    def prompt_ids(self, messages: Messages) -> list[int]:
        """Return the ids of a prompt up to where the assistant's answer begins.

        Raises `DataError` where the template refuses the messages.
        """
        masks = self._encoder.masks(messages)
        return self._encoder.encode(self._render(self._encoder.masked(messages, masks), prompt=True), masks)

    def response_ids(self, messages: Messages, response: Response) -> list[int]:
        """Return a response's ids as sampled, or those of foreign text in context.

        In context: the ids that the rendered conversation has after the rendered prompt, up to and including the
        end of the turn; without it, and without what the template writes before it, where not `finished`. Where
        the rendered conversation does not begin with the rendered prompt or does not show the text as it is, the
        text itself continues the prompt. Where a token would span the boundary, it is split there.
        """
        if response.ids is not None and response.tokenizer == self.fingerprint:
            return list(response.ids)
        encoder = self._encoder
        masks = encoder.masks([*messages, response.text])
        asked, text = encoder.masked(messages, masks), encoder.masked(response.text, masks)
        prompt = self._render(asked, prompt=True)
        body = self._written(asked, text, prompt)
        ids = encoder.continuation(prompt, body + (self._answer.closing if response.finished else ""), masks)
        return [*ids, self.end_id] if response.finished and ids[-1:] != [self.end_id] else ids

    def conversation_ids(self, messages: Messages, text: str, *, strip_bos: bool = False) -> list[int]:
        """Return the ids of a whole conversation that ends with the answer `text`, as a reward model reads it.

        `strip_bos` removes one leading beginning-of-sequence id: some reward models were trained without it.
        """
        masks = self._encoder.masks([*messages, text])
        asked, answer = self._encoder.masked(messages, masks), self._encoder.masked(text, masks)
        ids = self._encoder.encode(self._conversation(asked, answer), masks)
        bos = self.tokenizer.bos_token_id
        return ids[1:] if strip_bos and bos is not None and ids[:1] == [bos] else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of a response's ids: special tokens left out, spaces as they are.

        The text is the one that gives these ids in context: the space of a first piece stays, although decoders of
        SentencePiece drop it, and a space that the template itself writes before an answer is not part of it.
        """
        if ids and ids[-1] in self.stop_ids:
            ids = ids[:-1]
        kept = [i for i in ids if i not in self._specials]
        text = self._plain(kept)
        if kept:
            first = str(self.tokenizer.convert_ids_to_tokens(kept[0])).replace("▁", " ")
            if first.startswith(" ") and self._plain(kept[:1]) == first[1:]:
                text = f" {text}"
        before = self._answer.before
        return text[len(before) :] if before and before.isspace() and text.startswith(before) else text

    def response(self, ids: Sequence[int], *, finished: bool, logprob: float | None = None) -> Response:
        """Return the response that consists of sampled ids, the end-of-turn id included where it was generated."""
        ended = bool(finished and ids and ids[-1] in self.stop_ids)
        return Response(self.decode(ids), len(ids) - ended, finished, list(ids), self.fingerprint, logprob)

    def check_prompt(self, messages: Messages) -> None:
        """Raise `DataError` where the template refuses a prompt, or an answer to it though it shows answers."""
        self._render(messages, prompt=True)
        if self.shows_answers:
            self._conversation(messages, _ANSWERS[0])

    def _plain(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _conversation(self, messages: Messages, text: str) -> str:
        return self._render([*messages, {"role": "assistant", "content": text}], prompt=False)

    def _render(self, messages: Messages, *, prompt: bool) -> str:
        try:
            text = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=prompt, tokenize=False, **self._kwargs
            )
        except Exception as error:  # a template is a program, and fails like one
            roles = "/".join(str(message.get("role", "?")) for message in messages)
            problem = f"the chat template of {self.folder} refuses them ({error})"
            fix = "Rewrite or drop the row, or give a template that takes these roles"
            raise DataError(describe("messages", roles, problem, fix=fix)) from error
        return str(text)

    def _written(self, messages: Messages, text: str, prompt: str) -> str:
        """Return what a conversation writes between its prompt and the end of its answer, else the text itself."""
        after = self._answer.after
        if after is None:
            return text
        try:
            whole = self._conversation(messages, text)
        except DataError:
            return text
        if not whole.startswith(prompt) or not whole.endswith(after):
            return text
        body = whole[len(prompt) : len(whole) - len(after)]
        return body if text.strip() in body else text

    def _probe(self, stops: Sequence[int]) -> _Answer:
        """Find what the template writes around an answer, and the end token of the turn in it."""
        messages = self._accepted()
        prompt = self._render(messages, prompt=True)
        if prompt == self._render([*messages[:-1], {**_USER, "content": _ANSWERS[1]}], prompt=True):
            problem = "does not show what the user says"  # a vision model's reads lists of parts, and of texts nothing
            fix = "Give one for messages whose content is a text, by policy.chat_template (reward.chat_template)"
            raise ModelError(describe("chat template", self.folder, problem, fix=fix))
        try:
            first, second = (self._conversation(messages, answer) for answer in _ANSWERS)
        except DataError:
            first = second = ""
        if first == second:
            return _Answer(None, None, "", self._eos())
        after = _common_start(first[::-1], second[::-1])[::-1]
        shown = first[: len(first) - len(after)]
        body = shown[len(prompt) :] if shown.startswith(prompt) else ""
        before = body.removesuffix(_ANSWERS[0]) if body.endswith(_ANSWERS[0]) else None
        ends = {str(self.tokenizer.decode([i], skip_special_tokens=False)): i for i in stops}
        # Phi-3 ends a turn by one token and the conversation by another; only the first stands in every turn.
        following = self._following(messages, shown)
        for text in (_common_start(following, after) if following is not None else after, after):
            for pattern in (any_of(ends), self._encoder.pattern):
                if found := pattern.search(text):
                    end = {**self._encoder.specials, **ends}[found.group()]
                    return _Answer(before, after, text[: found.end()], end)
        # Where nothing ends the last turn, what separates turns ends an answer.
        between = any_of(ends).search((following or "").partition(_NEXT)[0])
        return _Answer(before, after, "", ends[between.group()] if between else self._eos())

    def _accepted(self) -> Messages:
        """Return the first plain conversation that the template takes."""
        refusals = []
        for messages in _PROBES:
            try:
                self._render(messages, prompt=True)
                return messages
            except DataError as error:
                refusals.append(error)
        raise ModelError(str(refusals[0])) from refusals[0]

    def _following(self, messages: Messages, shown: str) -> str | None:
        """Return what follows an answer inside a conversation: "" where it changes, None where none is taken."""
        answered = [*messages, {"role": "assistant", "content": _ANSWERS[0]}, {"role": "user", "content": _NEXT}]
        try:
            longer = self._render(answered, prompt=False)
        except DataError:
            return None
        return longer[len(shown) :] if longer.startswith(shown) else ""

    def _template_tokens(self) -> set[str]:
        """Return the special tokens that the template spells, or writes in plain conversations."""
        texts = [self.tokenizer.get_chat_template()]
        for messages in (*_PROBES, [*_PROBES[1], {"role": "assistant", "content": _ANSWERS[0]}]):
            for prompt in (True, False):
                try:
                    texts.append(self._render(messages, prompt=prompt))
                except DataError:
                    continue
        return {token for text in texts for token in self._encoder.pattern.findall(text)}

    def _eos(self) -> int:
        if self.tokenizer.eos_token_id is None:
            problem = "nothing ends an assistant turn"
            raise ModelError(describe("tokenizer", self.folder, problem, fix="Set its eos_token"))
        return int(self.tokenizer.eos_token_id)


def open_chat(folder: Path | str, template: TemplateConfig | None = None, setting: str = "model folder") -> Chat:
    """Open a model folder's tokenizer and chat template, rendered as `template` says.

    Raises `ModelError` where there is no tokenizer or template, or where they cannot serve the folder's model; it
    names the folder by its `setting`.
    """
    template = template or TemplateConfig(file=None, fingerprint=None, kwargs={}, date=DEFAULT_DATE)
    return Chat(read_tokenizer(Path(folder), template, setting), Path(folder), template)


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


def _common_start(first: str, second: str) -> str:
    same = next((i for i, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), None)
    return first[:same] if same is not None else min(first, second, key=len)
