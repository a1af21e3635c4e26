"""The final answers of two responses, where there are such: a vote, as in self-consistency (Wang et al. 2022)."""

from __future__ import annotations

import re

from mt.selection.similarities import Similarity

_MARKED = re.compile(
    r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}"
    r"|^####\s*(\S.*)$"
    r"|answer\s*(?:is|:)\s*(\S.*?)(?:[.!?](?=\s|$)|$)",  # to the end of its sentence
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class FinalAnswer(Similarity):
    r"""1 where the final answers are the same, else 0: `\boxed{…}`, `#### …`, "the answer is …", or the last number."""

    def between(self, first: str, second: str) -> float:
        """Return 1 or 0; a response without a final answer agrees with none."""
        one, other = final_answer(first), final_answer(second)
        return float(one is not None and one == other)


def final_answer(text: str) -> str | None:
    """Return the last marked answer of a text, or its last number; None where it has neither.

    Numbers are compared by value: thousands separators, a leading $ and a final .0 make no difference.
    """
    marked = [next(part for part in found if part) for found in _MARKED.findall(text) if any(found)]
    if marked:
        answer = marked[-1].strip().strip("*$ ").rstrip(".").strip("*$ ")
        return _number(answer) or answer.casefold() or None
    numbers = _NUMBER.findall(text)
    return _number(numbers[-1]) if numbers else None


def _number(text: str) -> str | None:
    plain = text.replace(",", "")
    if not re.fullmatch(r"-?\d+(\.\d+)?", plain):
        return None
    whole, _, fraction = plain.partition(".")
    fraction = fraction.rstrip("0")
    return whole + (f".{fraction}" if fraction else "")
