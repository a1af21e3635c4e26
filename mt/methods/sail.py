"""SAIL (Ding et al. 2024): offline preferences, mixed with responses that the policy itself labels."""

from __future__ import annotations

from mt.config.method import Sail
from mt.methods.outcome import Iteration, Outcome
from mt.methods.steps import Steps
from mt.stages.implicit import ImplicitRewards
from mt.stages.select import MixPairs


def sail(steps: Steps) -> Outcome:
    """Return the outcome of a training on offline preferences, and of iterations on the policy's own labels.

    The policy labels its responses by its implicit reward β·log π_t(y)/π_0(y), which is 0 before the first training.
    """
    config, settings = steps.config, steps.settings(Sail)
    base = Iteration(0, steps.base_policy(), steps.base_reward())
    offline = steps.add(steps.source.preferences())
    steps.at("iteration 1 · E-step")
    policy = steps.train_policy(base.policy, offline, reference=base.policy)
    done = [base, Iteration(1, policy, base.reward, selected=offline)]
    for t, prompts in enumerate(steps.partition(config.iterations)[1:], start=2):
        steps.at(f"iteration {t} · E-step")
        samples = steps.sample(policy, prompts)
        length = config.sampling.max_length
        how = (settings.beta, config.logprobs, length, steps.policy_template)
        rewards = steps.add(ImplicitRewards(policy, base.policy, samples, *how))
        own = steps.select(samples, rewards)
        selected = steps.add(MixPairs(own, offline, settings.offline_share, steps.seed("mix")))
        policy = steps.train_policy(policy, selected, reference=steps.reference(policy))
        done.append(Iteration(t, policy, base.reward, samples, rewards, selected))
    return Outcome(tuple(done))
