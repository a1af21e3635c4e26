"""Model selection by win rate (policy.checkpoint=win_rate): the published version of the method (arXiv 2506.06292)."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from mt.choice import Count, Probability
from mt.config.method import Checkpoint
from mt.engines.settings import DecodingConfig
from mt.errors import ConfigError, describe
from mt.methods.steps import Steps
from mt.stages.checkpoints import SampleCheckpoints, SelectPolicy
from mt.stages.prompts import RandomPrompts
from mt.workflow.stage import Stage


class WinRate(Checkpoint):
    """The checkpoint that wins most comparisons with π_{t-1} by r_{t-1}; where none wins enough, the run stops."""

    every_steps: Count
    """Steps between two checkpoints; the last step makes one in any case."""
    prompts: Count
    """Prompts of D_MS, at most: drawn at random from D once, so that D_1 … D_T and D_R hold some of them as well."""
    threshold: Probability
    """τ, a share: where even the best checkpoint wins less, π_{t-1} is kept and the run stops."""
    decoding: DecodingConfig
    """How a checkpoint and π_{t-1} answer a prompt of D_MS, once each."""

    @model_validator(mode="after")
    def _answers_once(self) -> Self:
        if self.decoding.samples != 1:
            problem = "a prompt has one comparison"
            raise ConfigError(
                describe("policy.checkpoint.decoding.samples", self.decoding.samples, problem, allowed="1")
            )
        return self

    def policy(self, steps: Steps, previous: Stage, selected: Stage, reward: Stage) -> Stage:
        """Return the choice among the training's checkpoints, whose responses are scored as all others are."""
        reference = steps.reference(previous)
        checkpoints = steps.train_checkpoints(previous, selected, self.every_steps, reference=reference)
        prompts = steps.add(RandomPrompts(steps.source.prompts(), self.prompts, steps.seed("model selection")))
        how = (self.decoding, steps.config.generator, steps.seed("sample"), steps.policy_template)
        samples = steps.add(SampleCheckpoints(checkpoints, prompts, *how))
        before = steps.sample(previous, prompts, self.decoding)
        rewards, rewards_before = steps.score(reward, samples), steps.score(reward, before)
        return steps.add(SelectPolicy(checkpoints, previous, rewards, rewards_before, self.threshold), "policy")
