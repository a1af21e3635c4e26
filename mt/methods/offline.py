"""Offline preference optimization: one training on the base policy's responses (§5.1, baselines)."""

from __future__ import annotations

from mt.config.method import Offline
from mt.methods.outcome import Iteration, Outcome
from mt.methods.steps import Steps


def offline(steps: Steps) -> Outcome:
    """Return the outcome of one training on pairs from all prompts.

    The prompts are worked on in the same parts as by the iterative methods, so that a sweep samples them once.
    """
    settings = steps.settings(Offline)
    base = Iteration(0, steps.base_policy(), steps.base_reward())
    steps.at("iteration 1 · E-step")
    tables = []
    for prompts in steps.partition(settings.parts):
        samples = steps.sample(base.policy, prompts)
        tables.append(steps.select(samples, steps.score(base.reward, samples)))
    selected = steps.union(*tables)
    policy = steps.train_policy(base.policy, selected, reference=base.policy)
    return Outcome((base, Iteration(1, policy, base.reward, selected=selected)))
