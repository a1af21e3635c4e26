"""Offline preference optimization: one training on a policy's own responses (§5.1, baselines; Table 3)."""

from __future__ import annotations

from typing import ClassVar

from mt.choice import Count
from mt.config.method import Method
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps
from mt.workflow.stage import Stage


class Offline(Method):
    """One training on responses of the base policy, scored by the base reward model."""

    trains_once: ClassVar[bool] = True
    parts: Count
    """Parts in which the prompts are sampled; 3 as in the paper's iterative methods, so that they share samples."""

    def build(self, steps: Steps) -> RunGraph:
        """Return the graph of one training of the base policy on pairs from all prompts."""
        base = Iteration(0, steps.base_policy(), steps.base_reward())
        return train_once(steps, base, base.reward, self.parts)


def train_once(steps: Steps, base: Iteration, reward: Stage, parts: int) -> RunGraph:
    """Train the base policy once on its own responses to all prompts, scored by `reward`.

    The prompts are worked on in the same parts as by the iterative methods, so that a sweep samples them once.
    """
    steps.at("E-step", 1)
    tables = []
    for prompts in steps.partition(parts):
        samples = steps.sample(base.policy, prompts)
        tables.append(steps.select(samples, steps.score(reward, samples)))
    selected = steps.with_offline(steps.union(*tables))
    policy = steps.train_policy(base.policy, selected, reference=base.policy)
    return RunGraph((base, Iteration(1, policy, reward, selected=selected)))
