"""What every method, every choice of a checkpoint and every mix of reward data is; the options lie in mt/methods/."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal

from mt.choice import Choice


class Method(Choice):
    """A method (`method=`), and what it can be combined with; everything else is refused before a run starts."""

    GROUP: ClassVar[str] = "method"
    PACKAGE: ClassVar[str] = "mt.methods"

    has_rounds: ClassVar[bool] = False
    """Whether it can start over from base (`rounds`)."""
    trains_once: ClassVar[bool] = False
    """Whether it has one iteration only."""
    retrains_reward: ClassVar[bool] = False
    """Whether it has an M-step, which retrains the reward model on what `rm_data` gives."""
    mixes_offline: ClassVar[bool] = False
    """Whether it mixes offline preferences by a share of its own, in place of `policy.offline_share`."""
    chooses_checkpoint: ClassVar[bool] = False
    """Whether its trainings follow `policy.checkpoint`, and it may therefore stop early."""
    makes_pairs: ClassVar[bool] = False
    """Whether it trains on pairs of its own making, beside or instead of what `selection` gives."""

    @property
    def has_win_probabilities(self) -> bool:
        """Whether all of its pairs compare responses of the K to one prompt, and so have win probabilities."""
        return not self.makes_pairs

    @abstractmethod
    def build(self, steps: Any) -> Any:
        """Return the `mt.methods.run_graph.RunGraph` of the run whose `mt.methods.steps.Steps` these are.

        It only describes stages. (The two types lie above the configuration, which therefore cannot name them.)
        """


class RewardData(Choice):
    """What an M-step retrains the reward model on (`rm_data=`, §5.3)."""

    GROUP: ClassVar[str] = "rm_data"
    PACKAGE: ClassVar[str] = "mt.methods.reward_data"

    e_step: Literal["reward", "gold"]
    """Who scores the E-steps after the first: the current reward model, or the gold judge of the data (the oracle, a
    control: what a perfect M-step could give)."""

    @property
    def needs_gold(self) -> bool:
        """Whether a gold judge scores or labels anything (the controls)."""
        return self.e_step == "gold"

    @property
    def trains(self) -> bool:
        """Whether there is an M-step at all."""
        return True

    @abstractmethod
    def tables(self, steps: Any, new_policy: Any, old_policy: Any, labeler: Any, prompts: Any) -> Any:
        """Return the stages of D(PM) and D(PM_new, PM_old), each None where the run does without.

        Args:
            steps: The run's `mt.methods.steps.Steps`.
            new_policy: π_t.
            old_policy: π_{t-1}.
            labeler: The reward model that orders the responses.
            prompts: D_R.
        """

    @abstractmethod
    def rows(self, steps: Any, *tables: Any) -> Any:
        """Return the stage of all rows that the reward model is trained on, or None where there are none."""


class Checkpoint(Choice):
    """Which of a training's models becomes the policy of the iteration (`policy.checkpoint=`)."""

    GROUP: ClassVar[str] = "policy.checkpoint"
    PACKAGE: ClassVar[str] = "mt.methods.checkpoints"

    @abstractmethod
    def policy(self, steps: Any, previous: Any, selected: Any, reward: Any) -> Any:
        """Return the stage of π_t.

        Args:
            steps: The run's `mt.methods.steps.Steps`.
            previous: π_{t-1}, from which the training starts.
            selected: What it learns from.
            reward: What scores the E-step: r_{t-1}.
        """
