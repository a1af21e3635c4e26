"""A reward model as a judge: the difference of two rewards (Eq. 1, Figure 5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from mt.engines.judging.base import Judge, JudgeContext
from mt.engines.judging.cache import Answer
from mt.engines.judging.protocol import Keep, Question, computed, scored
from mt.engines.judging.template import Style
from mt.engines.scoring import Item, Scorer


class RewardModelJudge(Judge):
    """A reward model as a judge: σ(r(model) − r(baseline)), the same in either order (Eq. 1); σ(r) of one response."""

    model_kind: ClassVar[Literal["policy", "reward"] | None] = "reward"

    path: str | None
    """A local folder or a hub name; null takes the run's base reward model (Figure 5)."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    scorer: Scorer
    """How its rewards are computed."""

    def engine(self, style: Style) -> tuple[str, Any, int]:
        """Return the scorer."""
        return "scorer", self.scorer, self.scorer.max_length

    def check(self) -> None:
        """Refuse a scorer that is not installed."""
        self.scorer.check()

    def backend(self, context: JudgeContext) -> RewardModelBackend:
        """Return the reward model."""
        return RewardModelBackend(self, context)


class RewardModelBackend:
    """P(second ≻ first) = σ(r(second) − r(first)); equal rewards are a draw."""

    def __init__(self, config: RewardModelJudge, context: JudgeContext):
        """Take the reward model's folder and its fingerprint, which is the judge's version."""
        self.name, self.version = "reward_model", context.version
        rendered = context.chat_template.identity() if context.chat_template else None
        self.identity: Mapping[str, Any] = {**config.scorer.identity(), "chat_template": rendered}
        config.require_model(context)
        self._config, self._context = config, context

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Score every different response once, and yield a judgment as soon as its one or two rewards are known."""
        texts = 1 if self._context.style == "score" else 2
        items: dict[str, Item] = {}  # every different conversation by its name
        sides: list[list[str]] = []
        waiting: dict[str, list[int]] = {}
        for index, (messages, *both) in enumerate(questions):
            conversations: list[Item] = [(messages, text, True) for text in both[:texts]]
            sides.append([repr(one) for one in conversations])
            items |= dict(zip(sides[-1], conversations, strict=True))
            for name in set(sides[-1]):
                waiting.setdefault(name, []).append(index)
        names, rewards = list(items), dict[str, float]()
        with self._context.open(self._config.scorer) as reward_model:
            for at, reward in reward_model.score(list(items.values())):
                rewards[names[at]] = reward
                for index in waiting[names[at]]:
                    if all(side in rewards for side in sides[index]):
                        answer = self._answer([rewards[side] for side in sides[index]])
                        keep(index, answer)
                        yield index, answer

    def _answer(self, rewards: Sequence[float]) -> Answer:
        gain = rewards[-1] if len(rewards) == 1 else rewards[1] - rewards[0]
        probability = 1 / (1 + math.exp(-max(-700.0, min(700.0, gain))))
        answer = scored(probability) if len(rewards) == 1 else computed(1 + probability, self._context.style)
        return Answer(answer.preference, answer.label, raw=" ".join(map(repr, rewards)))
