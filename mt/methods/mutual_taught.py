"""Mutual-Taught: a policy and a reward model teach each other (Algorithm 1; rounds: Appendix B)."""

from __future__ import annotations

from typing import ClassVar

from mt.config.method import Method
from mt.methods.outcome import Iteration, Outcome
from mt.methods.steps import Steps


class MutualTaught(Method):
    """E-steps and M-steps in turn (Algorithm 1)."""

    has_rounds: ClassVar[bool] = True
    retrains_reward: ClassVar[bool] = True

    def build(self, steps: Steps) -> Outcome:
        """Return the outcome of `rounds` times `iterations` E-steps and M-steps.

        Every round restarts both models from base; the first iteration of a later round samples from, and scores
        with, the models that the previous round ended with.
        """
        config = steps.config
        *policy_parts, reward_part = steps.partition(config.iterations + 1)
        base = Iteration(0, steps.base_policy(), steps.base_reward())
        done = [base]
        for round_ in range(1, config.rounds + 1):
            policy, teacher = base.policy, done[-1]
            for t, prompts in enumerate(policy_parts, start=1):
                steps.at("E-step", t, round_)
                samples = steps.sample(teacher.policy, prompts)
                by_gold = config.rm_data.e_step == "gold" and len(done) > 1
                scorer = steps.scorer(len(done), base.reward, teacher.reward)
                rewards = steps.gold(samples) if by_gold else steps.score(scorer, samples)
                selected = steps.with_offline(steps.select(samples, rewards))
                new_policy = steps.train_policy(policy, selected, reference=steps.reference(policy))
                steps.at("M-step", t, round_)
                labeler = teacher.reward if config.reward.labeler == "current" else base.reward
                self_training, contrast = config.rm_data.tables(steps, new_policy, policy, labeler, reward_part)
                rows = config.rm_data.rows(steps, self_training, contrast)
                new_reward = base.reward
                if rows is not None:
                    new_reward = steps.train_reward(steps.initial_reward(base.reward, teacher.reward), rows)
                policy, index = new_policy, len(done)
                teacher = Iteration(index, new_policy, new_reward, samples, rewards, selected, self_training, contrast)
                done.append(teacher)
        return Outcome(tuple(done))
