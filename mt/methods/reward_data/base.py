"""What all pairs for the reward model have in common: where they come from, filtering and replay."""

from __future__ import annotations

from abc import abstractmethod

from mt.choice import Share
from mt.config.method import RewardData
from mt.errors import ConfigError, describe
from mt.methods.steps import Steps
from mt.selection import PairSelection
from mt.selection.label_filters import LabelFilter
from mt.stages.select import ContrastPairs, MixPairs, SelectPairs
from mt.workflow.stage import Stage


class PairData(RewardData):
    """Self-training pairs, contrast pairs, or both (§5.3); with neither the reward model stays the base model."""

    self_training: bool
    """Use D(PM): the new policy's responses, one pair per prompt, labelled by a reward."""
    contrast: bool
    """Use D(PM_new, PM_old): a response of the new policy over one of the old policy."""
    label_filter: LabelFilter | None
    """How the labeler's rewards filter or weight contrast pairs; null trusts that new is better than old (Eq. 5)."""
    replay: Share
    """Share, in [0, 1), of older preferences in what the reward model is retrained on: the base one's own."""

    @property
    def trains(self) -> bool:
        """Whether there are pairs of either kind."""
        return self.self_training or self.contrast

    @abstractmethod
    def labels_of(self, steps: Steps, samples: Stage, labeler: Stage) -> Stage:
        """Return the rewards by which self-training pairs are selected; `labeler` is the run's (reward.labeler)."""

    def tables(
        self, steps: Steps, new_policy: Stage, old_policy: Stage, labeler: Stage, prompts: Stage
    ) -> tuple[Stage | None, Stage | None]:
        """Return D(PM), one pair per prompt of the new policy's responses, and D(PM_new, PM_old)."""
        self_training = contrast = None
        if self.self_training:
            samples = steps.sample(new_policy, prompts)
            rewards = self.labels_of(steps, samples, labeler)
            selection = steps.config.reward.selection or steps.config.selection
            if not isinstance(selection, PairSelection):
                problem = "self-training needs pairs, and the policy's selection makes demonstrations"
                fix = "Set reward.selection, as objective=rest_em does"
                raise ConfigError(describe("reward.selection", None, problem, fix=fix))
            self_training = steps.add(SelectPairs(samples, rewards, selection, "self_training", steps.seed("select")))
        if self.contrast:
            new, old = steps.sample(new_policy, prompts), steps.sample(old_policy, prompts)
            contrast = self.contrast_pairs(steps, new, old, labeler)
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

    def contrast_pairs(self, steps: Steps, new: Stage, old: Stage, labeler: Stage) -> Stage:
        """Return the new policy's responses over the old one's, with rewards where filter or loss read them."""
        scored = self.label_filter or steps.config.reward_loss.needs_margins
        rewards = (steps.score(labeler, new), steps.score(labeler, old)) if scored else ()
        return steps.add(ContrastPairs(new, old, steps.seed("contrast"), self.label_filter, *rewards))
