"""Mutual-Taught: a policy and a reward model teach each other (Algorithm 1; rounds: Appendix B)."""

from __future__ import annotations

from typing import ClassVar, Literal

from mt.config.method import Method
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps


class MutualTaught(Method):
    """E-steps and M-steps in turn (Algorithm 1)."""

    has_rounds: ClassVar[bool] = True
    retrains_reward: ClassVar[bool] = True
    chooses_checkpoint: ClassVar[bool] = True

    round_data: Literal["matched", "last"]
    """Whose responses and rewards the later rounds learn from: iteration t from the models of iteration t of the round
    before (matched, our reading), or only its first iteration from those that the round before ended with (last).
    Appendix B has all of round 2's preference data from round 1's models, which is true of matched alone."""

    def build(self, steps: Steps) -> RunGraph:
        """Return the run graph of `rounds` times `iterations` E-steps and M-steps.

        Every round restarts both models from base. An iteration's data come from previous models: those of the
        iteration before, or in later rounds those of the round before, as `round_data` says. Each round contrasts its
        own new policy with its own previous one.
        """
        config = steps.config
        *policy_parts, reward_part = steps.partition(config.iterations + 1)
        base = Iteration(0, steps.base_policy(), steps.base_reward())
        done = [base]
        for round_ in range(1, config.rounds + 1):
            policy, own_reward = base.policy, base.reward
            for t, prompts in enumerate(policy_parts, start=1):
                matched = round_ > 1 and self.round_data == "matched"
                previous = done[len(done) - config.iterations] if matched else done[-1]
                steps.at("E-step", t, round_)
                samples = steps.sample(previous.policy, prompts)
                by_gold = config.rm_data.e_step == "gold" and len(done) > 1
                scorer = steps.scorer(len(done), base.reward, previous.reward)
                rewards = steps.gold(samples) if by_gold else steps.score(scorer, samples)
                selected = steps.with_offline(steps.select(samples, rewards))
                new_policy = config.policy.checkpoint.policy(steps, policy, selected, scorer)
                steps.at("M-step", t, round_)
                labeler = previous.reward if config.reward.labeler == "current" else base.reward
                self_training, contrast = config.rm_data.tables(steps, new_policy, policy, labeler, reward_part)
                rows = config.rm_data.rows(steps, self_training, contrast)
                if rows is None:
                    own_reward = base.reward
                else:  # only then does there have to be a model that can be trained
                    own_reward = steps.train_reward(steps.initial_reward(base.reward, own_reward), rows)
                policy, index = new_policy, len(done)
                tables = (samples, rewards, selected, self_training, contrast)
                done.append(Iteration(index, new_policy, own_reward, *tables))
        return RunGraph(tuple(done), reward_part)
