"""A judge behind an endpoint that speaks OpenAI's protocol (judge=openai)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mt.choice import Count, NotNegative, Positive, Unkeyed
from mt.engines.judging.base import JudgeContext, PromptedJudge
from mt.errors import ConfigError, JudgeError, describe

if TYPE_CHECKING:
    from mt.engines.judging.openai_judge import OpenAIBackend


class OpenAIJudge(PromptedJudge):
    """Any endpoint that speaks OpenAI's protocol; OPENAI_API_KEY and OPENAI_BASE_URL are read when it is called."""

    needs_network: ClassVar[bool] = True

    model: str | None
    """The model's name at the endpoint, from OPENAI_MODEL."""
    official_model: Unkeyed[str | None] = None
    """The snapshot that the benchmarks' authors ask, taken for official=true where no model is named."""
    preference_by: Literal["logprobs", "text"]
    """Weighted preferences from token log-probabilities, or 1 and 2 from the text: for endpoints without them, and
    for judges that think before they answer."""
    temperature: NotNegative
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
    usd_per_million_input: Unkeyed[NotNegative | None]
    """Price of a million tokens asked, for the estimate and the limit; null where unknown."""
    usd_per_million_output: Unkeyed[NotNegative | None]
    """Price of a million tokens answered, likewise."""
    limit_usd: Unkeyed[NotNegative | None]
    """Most that a command (a run, or a sweep with all its jobs, and their reruns) may spend on judgments, in dollars;
    only requests under way can pass it. Null sets no limit."""

    @model_validator(mode="before")
    @classmethod
    def _official_snapshot(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("official") is True and values.get("model") is None:
            return {**values, "model": values.get("official_model")}
        return values

    @model_validator(mode="after")
    def _limit_needs_prices(self) -> OpenAIJudge:
        if self.limit_usd is not None and None in (self.usd_per_million_input, self.usd_per_million_output):
            fix = "Set judge.usd_per_million_input and judge.usd_per_million_output"
            raise ConfigError(describe("judge.limit_usd", self.limit_usd, "no limit without prices", fix=fix))
        return self

    @property
    def at_once(self) -> int:
        """`concurrency` calls."""
        return self.concurrency

    def usd(self, input_tokens: float, output_tokens: float) -> float:
        """Return what so many tokens cost by the prices that are known."""
        price_in, price_out = self.usd_per_million_input or 0.0, self.usd_per_million_output or 0.0
        return (input_tokens * price_in + output_tokens * price_out) / 1e6

    def check(self) -> None:
        """Raise ConfigError without a model's name, NotHereError without a key."""
        from mt.engines.judging.endpoint import check_environment

        if self.model is None:
            raise ConfigError(describe("judge.model", None, "no judge model is named", fix="Export OPENAI_MODEL"))
        check_environment()

    def backend(self, context: JudgeContext) -> OpenAIBackend:
        """Return the endpoint."""
        from mt.engines.judging.ledger import LEDGER, Ledger
        from mt.engines.judging.openai_judge import OpenAIBackend

        cache = context.cache
        if cache is None:
            raise JudgeError("judge=openai: no folder for its judgments, which are paid for.")
        account = partial(Ledger, cache / LEDGER, context.command, self.limit_usd)
        return OpenAIBackend(self, context.style, account, context.announce)
