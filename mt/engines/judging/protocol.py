"""What judges are, and the part that all of them share: nothing is asked twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mt.engines.judging.answers import READING
from mt.engines.judging.cache import Answer, JudgmentCache, content_key
from mt.engines.judging.template import Style
from mt.errors import JudgeError, describe
from mt.types import Comparison, Judgment, Messages
from mt.verdicts import label_of, without_thinking

Question = tuple[Messages, str, str]
"""The prompt's messages, the text shown first, the text shown second."""

Keep = Callable[[int, Answer], None]
"""Called with a question's index as soon as its answer is there, from any thread, before it is yielded."""


class JudgeBackend(Protocol):
    """A judge's backend: its `name` and `version`, its `identity` (what shapes the answers), and `ask`."""

    name: str
    version: str
    identity: Mapping[str, Any]

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Yield (index, answer) in any order; `keep` what should never be asked again."""
        ...


class OpenJudge:
    """A judge that is ready: compares responses, from the cache where it was asked before."""

    def __init__(self, backend: JudgeBackend, style: Style, cache: Path | None):
        """Open the judge's own part of the cache folder; without one nothing is kept."""
        self.name, self.version, self.style = backend.name, backend.version, style
        self._backend = backend
        who = {"judge": backend.name, "version": backend.version, "style": style, "reading": READING}
        self._identity = {**who, **backend.identity}
        self._cache: JudgmentCache | None = None
        if cache is not None:  # a folder for each judge, which says whose judgments it holds
            own = cache / f"{backend.name}-{content_key(self._identity, [], '', '')[:12]}"
            self._cache, described = JudgmentCache(own), json.dumps(self._identity, indent=2, sort_keys=True)
            (own / "judge.json").write_text(described + "\n", encoding="utf-8")
        self.counts: dict[str, float] = dict.fromkeys(
            ("judgments", "cached", "missing", "calls", "input_tokens", "output_tokens", "usd"), 0
        )

    def judge(self, items: Sequence[Comparison]) -> Iterator[Judgment]:
        """Yield one judgment for every comparison, cached ones first, the others as they arrive.

        Raises `JudgeError` where the judge cannot be reached or the spending limit is met; what was answered until
        then is kept, so that the same call goes on there.
        """
        for index, answer in self._answers([_question(item) for item in items]):
            self.counts["missing"] += answer.preference is None
            item, preference = items[index], answer.preference
            if preference is not None and item.order == "model_first":
                preference = 3 - preference  # of the second text it becomes one of the model
            yield Judgment(
                prompt_id=item.prompt_id,
                order=item.order,
                preference=preference,
                verdict=answer.label,
                raw=answer.raw,
                problem=answer.problem,
                judge=self.name,
                version=self.version,
            )

    def score(self, items: Sequence[tuple[Messages, str]]) -> Iterator[tuple[int, float | None, str | None]]:
        """Yield (index, score from 1 to 10 or None, why there is none) of every prompt and response, likewise."""
        for index, answer in self._answers([(messages, response, "") for messages, response in items]):
            self.counts["missing"] += answer.label is None
            yield index, None if answer.label is None else float(answer.label), answer.problem

    def write(self, prompts: Sequence[Messages]) -> Iterator[tuple[int, str, str | None]]:
        """Yield (index, text without any thinking, why it is of no use or None) of every prompt, likewise."""
        for index, answer in self._answers([(messages, "", "") for messages in prompts]):
            self.counts["missing"] += answer.problem is not None
            yield index, without_thinking(answer.raw).strip(), answer.problem

    def close(self) -> None:
        """Close the cache's file."""
        if self._cache is not None:
            self._cache.close()

    def _answers(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Yield (index, answer) of every question; equal questions are asked once."""
        same: dict[str, list[int]] = {}
        for index, question in enumerate(questions):
            same.setdefault(content_key(self._identity, *question), []).append(index)
        self.counts["judgments"] += len(questions)
        open_keys = []
        for key, indices in same.items():
            answer = self._cache.get(key) if self._cache else None
            if answer is None:
                open_keys.append(key)
            else:
                self.counts["cached"] += len(indices)
                yield from ((index, answer) for index in indices)

        def keep(at: int, answer: Answer) -> None:
            if self._cache is not None:
                self._cache.keep(open_keys[at], answer)

        if open_keys:
            for at, answer in self._backend.ask([questions[same[key][0]] for key in open_keys], keep):
                for name in ("calls", "input_tokens", "output_tokens", "usd"):
                    self.counts[name] += getattr(answer, name)
                yield from ((index, answer) for index in same[open_keys[at]])


def scored(quality: float) -> Answer:
    """Return the answer of a judge that computes a response's quality, from 0 to 1: a score from 1 to 10."""
    return Answer(None, repr(1 + 9 * min(max(quality, 0.0), 1.0)))


def computed(preference: float, style: Style) -> Answer:
    """Return the answer of a judge that computes its preference for the second text."""
    return Answer(preference, label_of(preference) if style == "verdict" else None)


def _question(item: Comparison) -> Question:
    if item.order == "baseline_first":
        return item.messages, item.baseline, item.model
    if item.order == "model_first":
        return item.messages, item.model, item.baseline
    raise JudgeError(describe("order", item.order, "not an order", allowed="baseline_first, model_first"))
