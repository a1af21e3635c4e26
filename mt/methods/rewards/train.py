"""A reward model that the run trains first (reward=train): r_0 from preferences."""

from __future__ import annotations

from mt.choice import Seed
from mt.engines.training.settings import TrainingConfig
from mt.methods.rewards.student import StudentReward, student
from mt.methods.steps import Steps
from mt.stages.train import TrainReward
from mt.workflow.keys import derive_seed
from mt.workflow.stage import Stage


class Train(StudentReward):
    """r_0 trained on preferences: those of the file that `data.preferences` names, or the data's own."""

    student: str
    """What r_0 is trained from: policy (the policy's own weights with a new head), model (the reward model that
    `reward.path` names, or that the data brings), or a folder or hub name of another."""
    base_training: TrainingConfig
    """How r_0 is trained; always by the Bradley-Terry loss (Eq. 1)."""
    base_seed: Seed
    """Seed of that training, apart from the run's: runs with several seeds share r_0."""

    def base(self, steps: Steps) -> Stage:
        """Return r_0."""
        return self.trained_model(steps, "base reward")

    def trained_model(self, steps: Steps, name: str) -> Stage:
        """Return a model trained on the preferences, by a seed of its name."""
        config, seed = steps.config, derive_seed(self.base_seed, name)
        start, pairs = steps.add(student(steps, self.student)), steps.add(steps.source.preferences())
        how = (self.base_training, config.trainer, self.strip_bos, seed, steps.reward_template)
        return TrainReward(start, pairs, *how, setting="reward.base_training")

    def first_student(self, steps: Steps) -> Stage:
        """Return r_0."""
        return self.base(steps)
