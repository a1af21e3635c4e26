"""SAIL (Ding et al. 2024): offline preferences, mixed with responses that the policy itself labels."""

from __future__ import annotations

from typing import ClassVar

from mt.choice import Positive, Share
from mt.config.method import Method
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps
from mt.stages.implicit import ImplicitRewards
from mt.stages.select import MixPairs


class Sail(Method):
    """Offline preferences mixed with the policy's own labels (Ding et al. 2024)."""

    makes_pairs: ClassVar[bool] = True
    mixes_offline: ClassVar[bool] = True
    beta: Positive
    """β of the implicit reward; the order of responses does not depend on it."""
    offline_share: Share
    """Share of offline preferences in later iterations, in [0, 1)."""

    def build(self, steps: Steps) -> RunGraph:
        """Return the graph of a training on offline preferences, and of iterations on the policy's own labels.

        The policy labels its responses by its implicit reward β·log π_t(y)/π_0(y), 0 before the first training.
        """
        config = steps.config
        base = Iteration(0, steps.base_policy(), steps.base_reward())
        offline = steps.add(steps.source.preferences())
        steps.at("E-step", 1)
        policy = steps.train_policy(base.policy, offline, reference=base.policy)
        done = [base, Iteration(1, policy, base.reward, selected=offline)]
        for t, prompts in enumerate(steps.partition(config.iterations)[1:], start=2):
            steps.at("E-step", t)
            samples = steps.sample(policy, prompts)
            length = config.sampling.max_length
            how = (self.beta, config.logprobs, length, steps.policy_template)
            rewards = steps.add(ImplicitRewards(policy, base.policy, samples, *how))
            own = steps.select(samples, rewards)
            selected = steps.add(MixPairs(own, offline, self.offline_share, steps.seed("mix")))
            policy = steps.train_policy(policy, selected, reference=steps.reference(policy))
            done.append(Iteration(t, policy, base.reward, samples, rewards, selected))
        return RunGraph(tuple(done))
