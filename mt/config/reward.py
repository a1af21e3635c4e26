"""What every reward is (`reward=`); the options lie in mt/methods/rewards/."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from mt.choice import Choice, Unkeyed
from mt.engines.template import RenderedModelConfig
from mt.engines.training.settings import TrainingConfig
from mt.errors import describe
from mt.selection import PairSelection

if TYPE_CHECKING:
    from mt.config.run import RunConfig


def _not_all_zero(weights: list[float]) -> list[float]:
    if not any(weights):
        problem = "all weights are 0, which makes every reward 0"
        raise ValueError(describe("reward.head_weights", weights, problem, allowed="at least one weight that is not 0"))
    return weights


class Reward(Choice, RenderedModelConfig):
    """What says how good a response is, and how the reward model is retrained in an M-step (`reward=`)."""

    GROUP: ClassVar[str] = "reward"
    PACKAGE: ClassVar[str] = "mt.methods.rewards"

    is_model: ClassVar[bool] = True
    """Whether r_0 is one reward model; a judge or a function, for example, is none."""
    compares_responses: ClassVar[bool] = False
    """Whether a response's reward depends on the prompt's other responses, so that one response alone has none."""
    path: str | None
    """The reward model: a local Hugging Face folder or a hub name; null takes the data's own (the world's)."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    allow_extra_weights: Unkeyed[bool]
    """Leave out weights of the folder that the model does not have, instead of refusing them."""
    head_weights: Annotated[list[float], Field(min_length=2), AfterValidator(_not_all_zero)] | None
    """How the outputs of that model become one reward, where its head has several: their weighted sum. null: one."""
    initial: Literal["base", "previous"]
    """Where every retraining starts: the base reward model (§5.1, against overfitting), or the previous one."""
    labeler: Literal["current", "base"]
    """Which reward labels the self-training pairs: the reward model of the iteration before (r_{t-1}), or the base
    reward."""
    scores: Literal["current", "base", "later"]
    """Who scores the E-step: the reward model of the iteration before (r_{t-1}), or the base reward throughout; later
    (only where the base reward is no model): the reward model to be trained scores the first E-step."""
    selection: PairSelection | None
    """How self-training pairs are selected; null takes the policy's selection (our choice)."""
    strip_bos: bool
    """Read conversations without the beginning-of-sequence token (FsfairX was trained so)."""
    training: TrainingConfig
    """How a reward model is trained."""

    @property
    def needs_gold(self) -> bool:
        """Whether it asks the gold judge of the data."""
        return False

    @property
    def needs_path(self) -> bool:
        """Whether it reads the reward model that `path` names, or that the data brings."""
        return True

    @abstractmethod
    def base(self, steps: Any) -> Any:
        """Return the stage of r_0, as `mt.methods.steps.Steps` of the run describe it."""

    @abstractmethod
    def first_student(self, steps: Any) -> Any:
        """Return the stage of the model that the first M-step trains: r_0 where that is a model."""

    def scorer(self, steps: Any, number: int, base: Any, current: Any) -> Any:
        """Return who scores the E-step of a number, from 1: `current` (r_{t-1}) or `base` (r_0)."""
        return current if self.scores == "current" else base

    @abstractmethod
    def reader(self, config: RunConfig) -> Any:
        """Return the given model whose chat template renders what the reward model reads; None where there is none."""
