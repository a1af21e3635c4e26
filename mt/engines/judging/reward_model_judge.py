"""A reward model as a judge: the difference of two rewards (Eq. 1, Figure 5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mt.config.judge import RewardModelJudge
from mt.config.template import TemplateConfig
from mt.engines.judging.cache import Answer
from mt.engines.judging.protocol import Keep, Question, computed
from mt.engines.judging.template import Style
from mt.engines.scoring import Scorer, open_scorer
from mt.types import Messages


class RewardModelAsker:
    """P(second ≻ first) = σ(r(second) − r(first)); equal rewards are a draw."""

    def __init__(
        self, config: RewardModelJudge, model: Path, version: str, style: Style, chat_template: TemplateConfig | None
    ):
        """Take the reward model's folder and its fingerprint, which is the judge's version."""
        self.name, self.version = "reward_model", version
        rendered = chat_template.identity() if chat_template else None
        self.identity: Mapping[str, Any] = {**config.scorer.identity(), "chat_template": rendered}
        self._config, self._model, self._style, self._chat_template = config, model, style, chat_template

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Score every different response once, and yield a comparison as soon as both of its rewards are known."""
        items: dict[str, tuple[Messages, str, bool]] = {}
        sides = [[_enter(items, messages, text) for text in texts] for messages, *texts in questions]
        waiting: dict[str, list[int]] = {}
        for index, names in enumerate(sides):
            for name in set(names):
                waiting.setdefault(name, []).append(index)
        rewards: dict[str, float] = {}
        with open_scorer(self._config.scorer, self._model, self._chat_template) as scorer:
            for name in self._scored(scorer, items, rewards):
                for index in waiting[name]:
                    if all(side in rewards for side in sides[index]):
                        answer = self._answer(*(rewards[side] for side in sides[index]))
                        keep(index, answer)
                        yield index, answer

    def _scored(
        self, scorer: Scorer, items: Mapping[str, tuple[Messages, str, bool]], rewards: dict[str, float]
    ) -> Iterator[str]:
        names = list(items)
        for at, reward in scorer.score(list(items.values())):
            rewards[names[at]] = reward
            yield names[at]

    def _answer(self, first: float, second: float) -> Answer:
        preference = 1 + 1 / (1 + math.exp(-max(-700.0, min(700.0, second - first))))
        answer = computed(preference, self._style)
        return Answer(answer.preference, answer.label, raw=f"{first!r} {second!r}")


def _enter(items: dict[str, tuple[Messages, str, bool]], messages: Messages, text: str) -> str:
    """Add a conversation to be scored and return its name; the same conversation is added once."""
    name = repr((messages, text))
    items.setdefault(name, (messages, text, True))
    return name
