"""Iterative preference optimization under a frozen reward model (§5.1, baselines)."""

from __future__ import annotations

from mt.config.method import Method
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps


class Iterative(Method):
    """One training per part of the prompts, under a frozen reward model."""

    def build(self, steps: Steps) -> RunGraph:
        """Return the graph of one training per part of the prompts, each on responses of the policy before it."""
        config = steps.config
        base = Iteration(0, steps.base_policy(), steps.base_reward())
        done = [base]
        for t, prompts in enumerate(steps.partition(config.iterations), start=1):
            steps.at("E-step", t)
            policy = done[-1].policy
            samples = steps.sample(policy, prompts)
            rewards = steps.score(steps.scorer(t, base.reward, base.reward), samples)
            selected = steps.with_offline(steps.select(samples, rewards))
            new_policy = steps.train_policy(policy, selected, reference=steps.reference(policy))
            done.append(Iteration(t, new_policy, base.reward, samples, rewards, selected))
        return RunGraph(tuple(done))
