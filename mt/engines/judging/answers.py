"""A judge's answer is data from outside: read strictly, never trusted to be well-formed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mt.engines.judging.cache import Answer
from mt.engines.judging.template import Style
from mt.verdicts import extract_label, preference_of

NAMES = ("m", "M")
"""What the prompt calls the first and the second answer."""

NO_NAME = "the answer is neither m nor M"
NO_LOGPROBS = "no log-probabilities of m or M"
NO_LABEL = "no verdict label, or several that differ"
NOT_A_COMPLETION = "the reply is not a chat completion"


@dataclass(frozen=True, slots=True)
class Reply:
    """What can be used of a chat completion; tokens are None where the endpoint does not count them."""

    text: str
    top_logprobs: dict[str, float] | None
    input_tokens: int | None
    output_tokens: int | None
    served_by: str | None


def read_reply(body: str) -> Reply | None:
    """Return the parts of a chat completion's JSON, or None where the body is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    choice = _get(value, "choices", 0)
    message = _get(choice, "message")
    if not isinstance(message, dict):
        return None
    # A judge that refuses has no content, and is paid all the same.
    text = message.get("content") or message.get("refusal") or ""
    if not isinstance(text, str):
        return None
    served_by = _get(value, "model")
    return Reply(
        text=text,
        top_logprobs=_top_logprobs(_get(choice, "logprobs", "content", 0, "top_logprobs")),
        input_tokens=_count(_get(value, "usage", "prompt_tokens")),
        output_tokens=_count(_get(value, "usage", "completion_tokens")),
        served_by=served_by if isinstance(served_by, str) else None,
    )


def read_answer(text: str, style: Style) -> Answer:
    """Return what a judge's text says: a name (m, M), or a verdict label."""
    if style == "preference":
        preference = preference_from_text(text)
        return Answer(preference, None, text, NO_NAME if preference is None else None)
    label = extract_label(text)
    preference = None if label is None else preference_of(label)
    return Answer(preference, None if preference is None else label, text, NO_LABEL if preference is None else None)


def read_logprobs(top: Mapping[str, float] | None) -> Answer:
    """Return the weighted preference that the answer token's alternatives give."""
    preference = None if top is None else preference_from_logprobs(top)
    raw = "" if top is None else json.dumps(top, ensure_ascii=False)
    return Answer(preference, None, raw, NO_LOGPROBS if preference is None else None)


def preference_from_logprobs(top: Mapping[str, float]) -> float | None:
    """Return 2 − p(m), p over m and M alone; a name that is not among the alternatives has probability 0.

    Tokens must be exactly m or M, as the original has it; only where neither is there is white space forgiven.
    """
    exact = {name: [top[name]] for name in NAMES if name in top}
    found = exact or {
        name: values for name in NAMES if (values := [lp for token, lp in top.items() if token.strip() == name])
    }
    if not found:
        return None
    highest = max(value for values in found.values() for value in values)
    m, M = (sum(math.exp(value - highest) for value in found.get(name, [])) for name in NAMES)
    return 2 - m / (m + M)


def preference_from_text(text: str) -> float | None:
    """Return 1 for m and 2 for M; quotation marks, a full stop and white space around the name are forgiven."""
    name = text.strip().strip("\"'`.").strip()
    return {"m": 1.0, "M": 2.0}.get(name)


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
        if isinstance(token, str) and number and math.isfinite(logprob) and logprob <= 1e-6:
            top.setdefault(token, float(logprob))
    return top


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
