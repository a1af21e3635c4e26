"""The five verdict labels on two answers, A shown first: how they are written, read and weighed."""

from __future__ import annotations

import re

LABELS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
# How reasoning models mark what they think before they answer.
_TAG = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
_OPENING = re.compile(rf"<{_TAG}>|\[THINK\]|◁think▷", re.I)
_CLOSING = re.compile(rf"</{_TAG}>|\[/THINK\]|◁/think▷", re.I)
_CHANNEL = "<|channel|>"
_FINAL = re.compile(r"<\|channel\|>final\b[^<]*<\|message\|>")
_IN_BRACKETS = re.compile(r"\[\[([AB<>=]+)\]\]")
# Upper ends of the second answer's win probability for the first four labels: our choice.
_UPPER = (0.1, 0.45, 0.55, 0.9)
# The newer rule also reads a verdict that points the other way round.
MIRRORED = {"B<<A": "A>>B", "B<A": "A>B", "B=A": "A=B", "A<B": "B>A", "A<<B": "B>>A"}
_PREFERENCE = {"A>>B": 1.0, "A>B": 1.0, "A=B": 1.5, "B>A": 2.0, "B>>A": 2.0}


def without_thinking(text: str) -> str:
    """Return what a reasoning model answers after its thinking; an empty text where it is still thinking.

    Only thinking at the beginning is removed (chat templates often write the opening tag themselves, so that a text
    may begin inside of it): further on, a tag may be quoted from what is judged.
    """
    if text.lstrip().startswith(_CHANNEL):
        final = _FINAL.search(text)
        return text[final.end() :] if final else ""
    while True:
        opening, closing = _OPENING.search(text), _CLOSING.search(text)
        begins = opening is not None and not text[: opening.start()].strip()
        if closing is None:
            return "" if begins else text
        if opening is not None and not begins and opening.start() < closing.start():
            return text
        text = text[closing.end() :]


def extract_label(text: str) -> str | None:
    """Return what stands in double brackets if all such verdicts of the text agree, else None."""
    found = set(_IN_BRACKETS.findall(text))
    return found.pop() if len(found) == 1 else None


def preference_of(label: str) -> float | None:
    """Return 1 where the first answer is better, 2 where the second is, 1.5 for a tie; None for no label.

    A label may point the other way round (A<B): whether that counts is the benchmark's rule.
    """
    return _PREFERENCE.get(MIRRORED.get(label, label))


def label_of(preference: float) -> str:
    """Return the label of a weighted preference in [1, 2] for the second answer.

    A tie within 0.05 of the middle, a strong verdict from 0.9 on: the scale for judges that compute a preference.
    """
    return next((label for label, upper in zip(LABELS, _UPPER, strict=False) if preference - 1 <= upper), LABELS[-1])
