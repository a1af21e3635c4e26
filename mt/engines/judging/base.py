"""What every judge is: its settings, what it needs, and the backend that it asks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from mt.choice import Choice, Tokens
from mt.engines.judging.protocol import JudgeBackend
from mt.engines.judging.template import ALPACA_EVAL, ARENA_HARD, OWN, PromptTemplate, Style, load_template
from mt.engines.template import TemplateConfig
from mt.errors import ConfigError, JudgeError, describe
from mt.types import Messages

Prefer = Callable[[Messages, str, str], float]
"""(the prompt's messages, first text, second text) → preference in [1, 2], 2 where the second is better."""

OWN_PROMPT = "own prompt, not comparable with published numbers"


@dataclass(frozen=True)
class JudgeContext:
    """What a judge is opened with, beside its settings."""

    style: Style
    model: Path | None = None
    """The folder of the judge's model."""
    version: str = ""
    """What distinguishes this judge from others of its name: a model's fingerprint, a world's settings."""
    chat_template: TemplateConfig | None = None
    """How that model's conversations are rendered; None takes its folder's own template."""
    prefer: Prefer | None = None
    """The gold judge of the data."""
    gold: Callable[[Messages, str], float] | None = None
    """The gold reward of a response, likewise."""
    announce: Callable[[str], None] = lambda line: None
    """Called with the expected cost before the first paid call."""
    command: str = ""
    """The run or sweep that pays (openai): what it has spent, of `limit_usd` too, is kept beside the cache."""
    cache: Path | None = None
    """The folder of judgments by content; `open_judge` fills it in."""
    keep_open: Callable[[Any], Any] | None = None
    """Opens the judge's model by an engine of some settings and leaves it open for others; None keeps none open."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[Any]:
        """Open the judge's model by an engine of these settings for the length of a block, or longer (`keep_open`)."""
        if self.keep_open is not None:
            yield self.keep_open(settings)
        else:
            with settings.open(self.model, self.chat_template) as engine:
                yield engine


class Judge(Choice):
    """A judge that compares two responses, or scores one (`judge=`)."""

    GROUP: ClassVar[str] = "judge"
    PACKAGE: ClassVar[str] = "mt.engines.judging"

    needs_gold: ClassVar[bool] = False
    """Whether it asks the gold judge of the data."""
    writes: ClassVar[bool] = False
    """Whether it answers in words."""
    needs_network: ClassVar[bool] = False
    """Whether it is asked over a network; otherwise on this machine, with a GPU where there is one."""
    model_kind: ClassVar[Literal["policy", "reward"] | None] = None
    """What kind of model answers on this machine; None for no model of its own."""

    def engine(self, style: Style) -> tuple[str, Any, int] | None:
        """Return the engine that it asks on this machine: its setting's name, its settings, the longest text's tokens.

        None where it asks none.
        """
        return None

    @property
    def at_once(self) -> int:
        """Calls over a network that are under way at a time."""
        return 1

    def usd(self, input_tokens: float, output_tokens: float) -> float:
        """Return what so many tokens cost; 0 where it costs nothing or its price is not known."""
        return 0.0

    def check(self) -> None:
        """Raise a clear error where it cannot be asked; called before there is anything to judge."""

    def prompt_choice(self, style: Style) -> str | None:
        """Return the choice of the prompt that asks for a judgment of a style; None reads no prompt."""
        return None

    def prompt(self, style: Style) -> PromptTemplate | None:
        """Return the prompt that asks for a preference or for a verdict; None where it reads none."""
        return None

    @abstractmethod
    def backend(self, context: JudgeContext) -> JudgeBackend:
        """Return the backend; raises JudgeError where something is missing, ConfigError for a bad template."""

    def require_model(self, context: JudgeContext) -> None:
        """Raise JudgeError where the judge's model has no folder."""
        if context.model is None:
            raise JudgeError(f"judge={self.name}: no model folder. Set judge.path=DIR.")


class PromptedJudge(Judge):
    """A judge that reads a prompt."""

    writes: ClassVar[bool] = True

    preference_template: str
    """Prompt that asks for one token, m or M: own, alpaca_eval (from the installed package), or a file."""
    verdict_template: str
    """Prompt that asks for a verdict label: own, or a file: a template, or arena-hard-auto's YAML (system_prompt and
    prompt_template)."""
    score_template: str | None = None
    """Prompt that asks for a score from 1 to 10 in double brackets (reward=judge): a file; null is the own one."""
    official: bool = False
    """Ask by the benchmarks' own prompts: AlpacaEval's from the installed package, Arena-Hard's from the file that
    verdict_template names, which is a copy of the authors'."""
    max_tokens: Tokens
    """Longest text that the judge writes, in tokens, its thinking included; one token where log-probabilities are
    read."""

    @model_validator(mode="after")
    def _official_prompts_are_no_files_of_ones_own(self) -> Self:
        if self.official and self.preference_template not in (OWN, ALPACA_EVAL):
            problem = f"judge.preference_template={self.preference_template} is another prompt than AlpacaEval's"
            raise ConfigError(describe("judge.official", self.official, problem, fix="Leave one of the two out"))
        return self

    def prompt(self, style: Style) -> PromptTemplate:
        """Return the prompt that asks for a preference or for a verdict; raises ConfigError where it cannot be used."""
        return load_template(self.prompt_choice(style), style, official=self.official)

    def prompt_choice(self, style: Style) -> str:
        """Return the choice of the prompt that asks for a judgment of a style; benchmarks have none for scores."""
        if style == "text":
            return OWN
        if style == "score":
            return self.score_template or OWN
        choice = self.preference_template if style == "preference" else self.verdict_template
        if self.official and choice == OWN:
            return ALPACA_EVAL if style == "preference" else ARENA_HARD
        return choice


def judge_name(judge: Mapping[str, Any]) -> str:
    """Return a recorded judge and its version, such as "openai gpt-4o-2024-08-06"."""
    version = judge.get("model") or judge.get("path")
    revision = f"@{judge['revision'][:10]}" if judge.get("revision") else ""
    return f"{judge['name']} {version}{revision}" if version else str(judge["name"])


def judged_by(judge: Mapping[str, Any]) -> str:
    """Return a recorded judge as tables name it, with whose prompt it reads; a judge that reads none has none."""
    name = judge_name(judge)
    if "preference_template" not in judge:
        return name
    return f"official prompt, judge {name}" if judge.get("official") else f"{OWN_PROMPT}, judge {name}"
