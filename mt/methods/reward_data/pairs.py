"""The paper's reward-model data (§5.3) and its ablations: self-training pairs, contrast pairs, or both."""

from __future__ import annotations

from typing import Literal

from mt.choice import Share
from mt.config.method import RewardData
from mt.errors import ConfigError, describe
from mt.methods.steps import Steps
from mt.selection import PairSelection
from mt.selection.label_filters import LabelFilter
from mt.stages.gold import GoldLabels
from mt.stages.select import ContrastPairs, MixPairs, SelectPairs
from mt.workflow.stage import Stage


class Pairs(RewardData):
    """What an M-step retrains the reward model on (§5.3); with neither kind of pairs it stays the base model."""

    self_training: bool
    """Use D(PM): the new policy's responses, one pair per prompt, labelled by a reward model."""
    contrast: bool
    """Use D(PM_new, PM_old): a response of the new policy over one of the old policy."""
    labels: Literal["reward", "gold"]
    """Who orders the pairs: the method itself, or the gold judge of the data (the positive control)."""
    label_filter: LabelFilter | None
    """How the labeler's rewards filter or weight contrast pairs; null trusts that new is better than old (Eq. 5)."""
    replay: Share
    """Share, in [0, 1), of older preferences in what the reward model is retrained on: the base one's own."""

    @property
    def needs_gold(self) -> bool:
        """Whether gold orders the pairs, or scores the E-steps after the first."""
        return super().needs_gold or self.labels == "gold"

    @property
    def trains(self) -> bool:
        """Whether there are pairs of either kind."""
        return self.self_training or self.contrast

    def tables(
        self, steps: Steps, new_policy: Stage, old_policy: Stage, labeler: Stage, prompts: Stage
    ) -> tuple[Stage | None, Stage | None]:
        """Return D(PM) and D(PM_new, PM_old)."""
        self_training = contrast = None
        if self.self_training:
            self_training = self._self_training(steps, steps.sample(new_policy, prompts), labeler)
        if self.contrast:
            new, old = steps.sample(new_policy, prompts), steps.sample(old_policy, prompts)
            contrast = self._contrast(steps, new, old, labeler)
        return self_training, contrast

    def rows(self, steps: Steps, *tables: Stage | None) -> Stage | None:
        """Return the union of the tables, mixed with the base reward model's own preferences where that is asked."""
        given = [table for table in tables if table is not None]
        if not given:
            return None
        pairs = steps.union(*given)
        if not self.replay:
            return pairs
        return steps.add(MixPairs(pairs, steps.add(steps.source.preferences()), self.replay, steps.seed("replay")))

    def _self_training(self, steps: Steps, samples: Stage, labeler: Stage) -> Stage:
        """One pair per prompt of the policy's responses, ordered by `labeler` (or by gold)."""
        rewards = steps.gold(samples) if self.labels == "gold" else steps.score(labeler, samples)
        selection = steps.config.reward.selection or steps.config.selection
        if not isinstance(selection, PairSelection):
            problem = "self-training needs pairs, and the policy's selection makes demonstrations"
            mend = "Set reward.selection, as objective=rest_em does"
            raise ConfigError(describe("reward.selection", None, problem, mend=mend))
        return steps.add(SelectPairs(samples, rewards, selection, "self_training", steps.seed("select")))

    def _contrast(self, steps: Steps, new: Stage, old: Stage, labeler: Stage) -> Stage:
        """The new policy's response over the old one's (or ordered by gold)."""
        rewards = (steps.score(labeler, new), steps.score(labeler, old)) if self.label_filter else ()
        pairs = steps.add(ContrastPairs(new, old, steps.seed("contrast"), self.label_filter, *rewards))
        return steps.add(GoldLabels(pairs, *steps.source.gold())) if self.labels == "gold" else pairs
