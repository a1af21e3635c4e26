"""A judge's answer is data from outside: read strictly, never trusted to be well-formed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mt.engines.judging.cache import Answer
from mt.engines.judging.template import Style
from mt.runtime.text import parse_json, whole
from mt.verdicts import extract_label, preference_of, without_thinking

NAMES = ("m", "M")
"""What the prompt calls the first and the second answer."""

READING = 2
"""Raised where the same reply would be read otherwise, so that kept judgments are not mixed with new ones."""

NO_NAME = "the answer is neither m nor M"
NO_LOGPROBS = "no log-probabilities of m or M; judge.preference_by=text reads the answer's text"
NO_LABEL = "no verdict label, or several that differ"
NO_TEXT = "no text"
NO_SCORE = "no score from 1 to 10 in double brackets, or several that differ"
CUT = "the judge was cut at judge.max_tokens before it answered; a judge that thinks needs more of them"
NOT_A_COMPLETION = "the reply is not a chat completion"
_LEAST_LOGPROB = 1e9
"""No log-probability is so small: what is smaller, or minus infinity, is none."""
_MOST_TOKENS = 10**8
"""No context is so long: a larger count is none."""


_SCORE = re.compile(r"\[\[\s*(\d{1,2}(?:\.\d+)?)\s*(?:/\s*10\s*)?\]\]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What can be used of a chat completion; tokens are None where the endpoint does not count them.

    `text` is the answer; thinking that the endpoint returns apart (`reasoning_content`) is not part of it. `cut` says
    that the text ended at the limit of tokens.
    """

    text: str
    cut: bool
    top_logprobs: dict[str, float] | None
    input_tokens: int | None
    output_tokens: int | None
    served_by: str | None


def read_reply(body: str) -> Reply | None:
    """Return the parts of a chat completion's JSON, or None where the body is none."""
    try:
        value = parse_json(body)
    except ValueError:
        return None
    choice = _get(value, "choices", 0)
    message = _get(choice, "message")
    if not isinstance(message, dict):
        return None
    # A judge that refuses has no content, and is paid all the same.
    text = _text(message.get("content") or message.get("refusal") or "")
    if text is None:
        return None
    served_by = _get(value, "model")
    return Reply(
        text=whole(text),
        cut=_get(choice, "finish_reason") == "length",
        top_logprobs=_top_logprobs(_get(choice, "logprobs", "content", 0, "top_logprobs")),
        input_tokens=_count(_get(value, "usage", "prompt_tokens")),
        output_tokens=_output_tokens(_get(value, "usage")),
        served_by=whole(served_by) if isinstance(served_by, str) else None,
    )


def reported_error(body: str) -> tuple[int, str] | None:
    """Return the status and the words of an error that an endpoint reports inside a reply (as OpenRouter does)."""
    try:
        value = parse_json(body)
    except ValueError:
        return None
    for place in (("error",), ("choices", 0, "error")):
        status = _get(value, *place, "code")
        if isinstance(status, int) and not isinstance(status, bool):
            return status, str(_get(value, *place, "message") or "")
    return None


def read_answer(text: str, style: Style, *, cut: bool = False) -> Answer:
    """Return what a judge's text says after any thinking: a name (m, M), a verdict label, (as a label) a score, or all.

    `cut` says that the text ended at the limit of tokens.
    """
    answered = without_thinking(text)
    if style == "text":
        return Answer(None, None, text, CUT if cut else None if answered.strip() else NO_TEXT)
    if style == "score":
        score = score_from_text(answered)
        return Answer(None, None, text, CUT if cut else NO_SCORE) if score is None else Answer(None, f"{score:g}", text)
    if style == "preference":
        preference, label, problem = preference_from_text(answered), None, NO_NAME
    else:
        label = extract_label(answered)
        preference, problem = None if label is None else preference_of(label), NO_LABEL
    if preference is None:
        return Answer(None, None, text, CUT if cut else problem)
    return Answer(preference, label, text)


def read_logprobs(top: Mapping[str, float] | None) -> Answer:
    """Return the weighted preference that the answer token's alternatives give."""
    preference = None if top is None else preference_from_logprobs(top)
    raw = "" if top is None else json.dumps(top, ensure_ascii=False)
    return Answer(preference, None, raw, NO_LOGPROBS if preference is None else None)


def preference_from_logprobs(top: Mapping[str, float]) -> float | None:
    """Return 2 − p(m), p over m and M alone; a name that is not among the alternatives has probability 0.

    A name's probability is the sum over all tokens that write it, with white space or quotation marks around it:
    tokenizers have " m" and "m" as different tokens. The original counts "m" and "M" alone.
    """
    named = {token: _name(token) for token in top}
    found = {name: [top[token] for token, written in named.items() if written == name] for name in NAMES}
    if not any(found.values()):
        return None
    highest = max(value for values in found.values() for value in values)
    m, M = (sum(math.exp(value - highest) for value in found[name]) for name in NAMES)
    return 2 - m / (m + M)


def preference_from_text(text: str) -> float | None:
    """Return 1 for m and 2 for M; quotation marks, a full stop and white space around the name are ignored."""
    return {"m": 1.0, "M": 2.0}.get(_name(text))


def score_from_text(text: str) -> float | None:
    """Return the score from 1 to 10 in double brackets, or that is all of the text; None for none or several."""
    found = {float(score) for score in _SCORE.findall(text) or _SCORE.findall(f"[[{text.strip()}]]")}
    score = found.pop() if len(found) == 1 else None
    return score if score is not None and 1 <= score <= 10 else None


def _name(text: str) -> str:
    """Return a text without what models write around a name; "▁" and "Ġ" are how tokenizers write a space."""
    return text.strip().strip("▁Ġ\"'`*.").strip()


def _text(content: Any) -> str | None:
    """Return a message's text: some endpoints send it in parts, of which those that hold thinking are left out."""
    if isinstance(content, list):
        shown = [part for part in content if isinstance(part, dict) and part.get("type") in ("text", "output_text")]
        return "".join(str(part.get("text") or "") for part in shown)
    return content if isinstance(content, str) else None


def _get(value: Any, *path: str | int) -> Any:
    """Follow a path through objects and lists; None where it does not exist."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _top_logprobs(entries: Any) -> dict[str, float] | None:
    if not isinstance(entries, list):
        return None
    top: dict[str, float] = {}
    for entry in entries:
        token, logprob = _get(entry, "token"), _get(entry, "logprob")
        number = isinstance(logprob, int | float) and not isinstance(logprob, bool)
        # A log-probability above 0 is none; endpoints send -9999 for what they cut off, which is a small one.
        if isinstance(token, str) and number and -_LEAST_LOGPROB <= logprob <= 1e-6:
            top.setdefault(whole(token), float(logprob))
    return top


def _output_tokens(usage: Any) -> int | None:
    """Return the tokens that are paid as output: of some judges (Grok, Gemini) the total alone counts thinking."""
    written, read, total = (_count(_get(usage, f"{what}_tokens")) for what in ("completion", "prompt", "total"))
    return written if written is None or read is None or total is None else max(written, total - read)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None
