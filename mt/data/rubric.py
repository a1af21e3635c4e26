"""How a policy is asked to judge, and how its answers are read: the world's words, or English for real models."""

from __future__ import annotations

import re
from typing import Literal, Protocol

from mt.types import Messages

Better = Literal["first", "second"]


class Rubric(Protocol):
    """Prompts for judgments and comparisons, and strict readings of the answers."""

    def judge_prompt(self, messages: Messages, response: str) -> Messages:
        """Return the prompt that asks for a response's score from 0 to 5."""
        ...

    def compare_prompt(self, judge_messages: Messages, first: str, second: str) -> Messages:
        """Return the prompt that asks which of two judgments, answers to `judge_messages`, is better."""
        ...

    def parse_judgment(self, text: str) -> int | None:
        """Return the score from 0 to 5, or None where there is none that can be trusted."""
        ...

    def parse_comparison(self, text: str) -> Better | None:
        """Return which judgment is preferred, or None."""
        ...


class WorldRubric:
    """The synthetic world's own words."""

    def judge_prompt(self, messages: Messages, response: str) -> Messages:
        """Return `judge QUESTION answer RESPONSE`."""
        from mt.world import judging

        return judging.judge_prompt(messages, response)

    def compare_prompt(self, judge_messages: Messages, first: str, second: str) -> Messages:
        """Return `compare QUESTION answer RESPONSE first JUDGMENT second JUDGMENT`."""
        from mt.world import judging

        question, _, response = judge_messages[-1]["content"].removeprefix("judge ").partition(" answer ")
        return judging.compare_prompt([{"role": "user", "content": question}], response, first, second)

    def parse_judgment(self, text: str) -> int | None:
        """Return the score of a well-formed judgment."""
        from mt.world import judging

        return judging.parse_judgment(text)

    def parse_comparison(self, text: str) -> Better | None:
        """Return `first` or `second`."""
        from mt.world import judging

        return judging.parse_comparison(text)


_CRITERIA = (
    "Read the conversation and the answer to it. Award one point for each of these that the answer meets: it is "
    "relevant to what was asked; it covers a good part of it; it settles the main question; it is complete, clear and "
    "well ordered, from an assistant's point of view; it could hardly be better for this very question. Explain your "
    "points in a few sentences, then end with one line of the form `Score: N`, N being the sum from 0 to 5."
)
_COMPARISON = (
    "Two reviewers were given the instructions below. Decide which of the two reviews judges the answer more "
    "accurately and argues better. Explain in a few sentences, then end with one line: `Better: A` or `Better: B`."
)
_SCORE = re.compile(r"^[^\w\n]*score\W{1,4}([0-5])(?:\s*/\s*5)?[^\w\n]*$", re.IGNORECASE | re.MULTILINE)
_BETTER = re.compile(r"^[^\w\n]*better\W{1,4}([AB])[^\w\n]*$", re.IGNORECASE | re.MULTILINE)


class EnglishRubric:
    """A five-point additive rubric in English, in our own words (after Yuan et al. 2024, Figure 2)."""

    def judge_prompt(self, messages: Messages, response: str) -> Messages:
        """Return the criteria, the conversation and the answer."""
        turns = "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
        return _ask(f"{_CRITERIA}\n\n# Conversation\n\n{turns}\n\n# Answer\n\n{response}")

    def compare_prompt(self, judge_messages: Messages, first: str, second: str) -> Messages:
        """Return the task that both reviewers were given, and their reviews."""
        task = judge_messages[-1]["content"]
        return _ask(f"{_COMPARISON}\n\n# Instructions\n\n{task}\n\n# Review A\n\n{first}\n\n# Review B\n\n{second}")

    def parse_judgment(self, text: str) -> int | None:
        """Return the score of the only score line; several that disagree are no judgment."""
        found = set(_SCORE.findall(text))
        return int(found.pop()) if len(found) == 1 else None

    def parse_comparison(self, text: str) -> Better | None:
        """Return the choice of the only line that states one."""
        found = {letter.upper() for letter in _BETTER.findall(text)}
        if len(found) != 1:
            return None
        return "first" if found.pop() == "A" else "second"


RUBRICS: dict[str, Rubric] = {"world": WorldRubric(), "english": EnglishRubric()}


def _ask(text: str) -> Messages:
    return [{"role": "user", "content": text}]
