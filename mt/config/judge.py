"""Settings of the judges that compare two responses (`judge=`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mt.config.base import Config, Unkeyed
from mt.config.engines import LogProbsConfig, ScorerConfig, TransformersGenerator, VllmGenerator
from mt.config.rendered import RenderedConfig
from mt.errors import describe

OWN, ALPACA_EVAL, ARENA_HARD = "own", "alpaca_eval", "arena_hard"
"""Prompts of a judge by name: this project's, and those of the two benchmarks."""

OWN_PROMPT = "own prompt, not comparable with published numbers"

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Usd = Annotated[float, Field(ge=0)]


class _Prompted(Config):
    """What every judge that reads a prompt needs."""

    preference_template: str
    """Prompt that asks for one token, m or M: own, alpaca_eval (from the installed package), or a file."""
    verdict_template: str
    """Prompt that asks for a verdict label: own, or a file: a template, or arena-hard-auto's YAML (system_prompt and
    prompt_template)."""
    official: bool = False
    """Ask by the benchmarks' own prompts: AlpacaEval's from the installed package, Arena-Hard's from the file that
    verdict_template names, which is a copy of the authors'."""
    max_tokens: Count
    """Longest text that the judge writes, in tokens, its thinking included; one token where log-probabilities are
    read."""

    @model_validator(mode="after")
    def _official_prompts_are_no_files_of_ones_own(self) -> Self:
        if self.official and self.preference_template not in (OWN, ALPACA_EVAL):
            problem = f"judge.preference_template={self.preference_template} is another prompt than AlpacaEval's"
            raise ValueError(describe("judge.official", self.official, problem, mend="Leave one of the two out"))
        return self

    def prompt_choice(self, style: Literal["preference", "verdict"]) -> str:
        """Return the choice of the prompt that asks for a preference or for a verdict."""
        choice = self.preference_template if style == "preference" else self.verdict_template
        if self.official and choice == OWN:
            return ALPACA_EVAL if style == "preference" else ARENA_HARD
        return choice


class GoldJudge(Config):
    """The synthetic world's oracle, with the noise that the world's own settings give it."""

    name: Literal["gold"]


class RewardModelJudge(Config):
    """A reward model as a judge: σ(r(model) − r(baseline)), the same in either order (Eq. 1)."""

    name: Literal["reward_model"]
    path: str | None
    """A local folder or a hub name; null takes the run's base reward model (Figure 5)."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    scorer: ScorerConfig
    """How its rewards are computed."""


class OpenAIJudge(_Prompted):
    """Any endpoint that speaks OpenAI's protocol; OPENAI_API_KEY and OPENAI_BASE_URL are read when it is called."""

    name: Literal["openai"]
    model: str | None
    """The model's name at the endpoint, from OPENAI_MODEL."""
    official_model: Unkeyed[str | None] = None
    """The snapshot that the benchmarks' authors ask, taken for official=true where no model is named."""
    preference_by: Literal["logprobs", "text"]
    """Weighted preferences from token log-probabilities, or 1 and 2 from the text: for endpoints without them, and
    for judges that think before they answer."""
    temperature: Annotated[float, Field(ge=0)]
    """Softmax temperature of the judge; 0 decodes greedily."""
    top_logprobs: Annotated[int, Field(ge=2, le=20)]
    """Alternatives asked for at the answer's token."""
    concurrency: Unkeyed[Count]
    """Requests under way at once."""
    timeout_s: Unkeyed[Positive]
    """Seconds without an answer after which a request counts as lost."""
    retries: Unkeyed[Annotated[int, Field(ge=0)]]
    """Further attempts after 429, 5xx, time-outs and broken connections."""
    backoff_s: Unkeyed[Positive]
    """Wait before the first retry; doubled each time, up to a minute."""
    give_up_after: Unkeyed[Count]
    """Comparisons in a row without an answer after which the endpoint counts as down."""
    prove_within: Unkeyed[Count]
    """Comparisons in a row, all without a usable answer, after which the settings or the account count as wrong."""
    usd_per_million_input: Unkeyed[Usd | None]
    """Price of a million tokens asked, for the estimate and the limit; null where unknown."""
    usd_per_million_output: Unkeyed[Usd | None]
    """Price of a million tokens answered, likewise."""
    limit_usd: Unkeyed[Usd | None]
    """Most that one stage may spend on new judgments; null sets no limit."""

    @model_validator(mode="before")
    @classmethod
    def _official_snapshot(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("official") is True and values.get("model") is None:
            return {**values, "model": values.get("official_model")}
        return values

    @model_validator(mode="after")
    def _limit_needs_prices(self) -> OpenAIJudge:
        if self.limit_usd is not None and None in (self.usd_per_million_input, self.usd_per_million_output):
            mend = "Set judge.usd_per_million_input and judge.usd_per_million_output"
            raise ValueError(describe("judge.limit_usd", self.limit_usd, "no limit without prices", mend=mend))
        return self


class _Local(_Prompted, RenderedConfig):
    """What a judge model on this machine needs."""

    GROUP: ClassVar[str] = "judge"
    path: str
    """A local folder or a hub name."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    preference_by: Literal["logprobs", "text"]
    """Weighted preferences from the log-probabilities of m and M as the answer's beginning, or 1 and 2 from the text:
    of judges that think before they answer."""
    max_length: Annotated[int, Field(ge=2)]
    """Longest prompt and answer together, in tokens; a longer comparison is not judged and counted as missing."""


class TransformersJudge(_Local):
    """A local judge model by transformers: log-probabilities of m and M, or a verdict text decoded greedily."""

    name: Literal["transformers"]
    generator: TransformersGenerator
    """How verdict texts are written."""
    logprobs: LogProbsConfig
    """How the log-probabilities of m and M are computed."""


class VllmJudge(_Local):
    """A local judge model by vLLM: log-probabilities of m and M, or a text decoded greedily."""

    name: Literal["vllm"]
    top_logprobs: Annotated[int, Field(ge=2, le=20)]
    """Likeliest first tokens among which m and M are looked for; vLLM tells at most 20."""
    generator: VllmGenerator
    """How texts are written."""


JudgeConfig = Annotated[
    GoldJudge | RewardModelJudge | OpenAIJudge | TransformersJudge | VllmJudge, Field(discriminator="name")
]


def judged_by(judge: Mapping[str, Any]) -> str:
    """Return a recorded judge as tables name it, with whose prompt it reads; a judge that reads none has none."""
    version = judge.get("model") or judge.get("path")
    revision = f"@{judge['revision'][:10]}" if judge.get("revision") else ""
    name = f"{judge['name']} {version}{revision}" if version else str(judge["name"])
    if "preference_template" not in judge:
        return name
    return f"official prompt, judge {name}" if judge.get("official") else f"{OWN_PROMPT}, judge {name}"
