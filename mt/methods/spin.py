"""SPIN (Chen et al. 2024): demonstrations over the policy's own responses; no reward model takes part."""

from __future__ import annotations

from typing import ClassVar

from mt.config.method import Method
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps
from mt.stages.demonstrations import DemonstrationPrompts, SpinPairs


class Spin(Method):
    """Demonstrations over the policy's own responses (Chen et al. 2024)."""

    makes_pairs: ClassVar[bool] = True

    def build(self, steps: Steps) -> RunGraph:
        """Return the graph of self-play fine-tuning: one training per part of the demonstrations' prompts.

        Chosen is the demonstration, rejected the response of the policy before, which is the reference too.
        """
        base = Iteration(0, steps.base_policy(), steps.base_reward())
        demonstrations = steps.add(steps.source.demonstrations())
        prompts = steps.add(DemonstrationPrompts(demonstrations, steps.source.size()))
        done = [base]
        for t, part in enumerate(steps.parts_of(prompts, steps.config.iterations), start=1):
            steps.at("E-step", t)
            policy = done[-1].policy
            samples = steps.sample(policy, part)
            pairs = steps.with_offline(steps.add(SpinPairs(samples, demonstrations, steps.seed("spin"))))
            new_policy = steps.train_policy(policy, pairs, reference=steps.reference(policy))
            done.append(Iteration(t, new_policy, base.reward, samples, selected=pairs))
        return RunGraph(tuple(done))
