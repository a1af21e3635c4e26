"""What stages have in common that ask a judge."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from mt.engines.judging import JudgeContext, OpenJudge, Style, open_judge
from mt.engines.judging.base import Judge as JudgeSettings
from mt.engines.template import TemplateConfig
from mt.errors import JudgeError
from mt.gold import GoldJudgeConfig, GoldLanguage, gold_judge
from mt.types import Messages, Response
from mt.workflow.keys import digest
from mt.workflow.stage import Stage
from mt.workflow.volume import Use
from mt.workflow.work import Work, engine_key

CACHE = ".judgments"
"""Folder of the store in which judgments are kept by content, for all runs."""


@dataclass(frozen=True, slots=True)
class Oracle:
    """The gold judge of the data: of which language, and how noisy."""

    seed: int
    language: GoldLanguage
    judge: GoldJudgeConfig

    def prefer(self) -> Callable[[Messages, str, str], float]:
        """Return the function from two responses to a preference in [1, 2]."""
        gold = self.language.gold(self.seed)
        # The noise has two seeds, the second 0, as when the first judgments were made.
        return lambda messages, first, second: gold_judge(gold, self.judge, messages, first, second, self.seed, 0)

    def gold(self) -> Callable[[Messages, str], float]:
        """Return the function from a response to its gold reward, at most 1."""
        gold = self.language.gold(self.seed)
        return lambda messages, text: gold(messages, Response(text, 0))


def refuse_unanswered(problems: Counter[str], asked: int, what: str) -> None:
    """Raise JudgeError where nothing of what was asked is usable: every later run would reuse such an artifact.

    `problems` counts what was wrong with each missing answer.
    """
    if problems and problems.total() == asked:
        problem, times = problems.most_common(1)[0]
        said = f"none of {asked} {what} ({times} times: {problem})"
        raise JudgeError(f"judge: {said}. Check judge.* and run again.")


class AsksJudge(Stage):
    """A stage that asks a judge on this machine."""

    NEEDS: ClassVar[str] = "gpu"
    judge: JudgeSettings
    judge_model: Stage | None
    """The judge's own model; None for a judge without one."""
    chat_template: TemplateConfig | None
    """How that model's chat template is rendered; None without a model."""

    @property
    @abstractmethod
    def asks(self) -> Style:
        """What the judge is asked for."""

    @property
    def opens(self) -> str | None:
        """The judge's model, opened by its engine."""
        engine = self.judge.engine(self.asks)
        if self.judge_model is None or engine is None:
            return None
        return engine_key(engine[1], self.judge_model, self.chat_template)

    def check(self) -> None:
        """Refuse a judge that cannot be asked here."""
        self.judge.check()

    def opened(self, work: Work, oracle: Oracle | None = None) -> AbstractContextManager[OpenJudge]:
        """Open the judge; what it answered before comes from the cache, and the oracle costs nothing."""
        model = self.judge_model
        asked = JudgeContext(
            self.asks,
            model=work.path(model) if model else None,
            version=model.key[:12] if model else digest(oracle)[:12] if oracle else "",
            chat_template=self.chat_template,
            prefer=oracle.prefer() if oracle else None,
            gold=oracle.gold() if oracle and self.asks == "score" else None,
            announce=work.note,
            command=work.command,
            keep_open=(lambda settings: work.engine(settings, model, self.chat_template)) if model else None,
        )
        return open_judge(self.judge, asked, None if oracle else work.store.root / CACHE)

    def use(self) -> Use | None:
        """Return how it uses the judge's model; None where it has none."""
        engine = self.judge.engine(self.asks)
        if self.judge_model is None or engine is None:
            return None
        setting, settings, sequence = engine
        return Use("score", self.judge_model, settings, f"judge.{setting}", sequence=sequence)


class OverNetwork:
    """A stage whose judge is behind an endpoint: it needs a network and no GPU."""

    NEEDS: ClassVar[str] = "network"

    def outside(self) -> str:
        """Return the endpoint's host."""
        from mt.engines.judging.endpoint import endpoint_host

        host, port = endpoint_host()
        return f"the judge's endpoint {host}:{port}"

    def reach(self) -> None:
        """Raise JudgeError where there is no way to the endpoint."""
        from mt.engines.judging.endpoint import check_reachable

        check_reachable()
