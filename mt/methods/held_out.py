"""Held-out prompts: proxy rewards everywhere; gold rewards and label accuracy where the data has a gold judge."""

from __future__ import annotations

from mt.methods.run_graph import Found, Iteration, RunGraph
from mt.methods.steps import Steps
from mt.stages.evaluate_diagnostics import PolicyDiagnostics, RewardCalibration
from mt.stages.evaluate_gold import GoldPolicyMetrics, GoldRewardMetrics, LabelAccuracy, RewardComparison
from mt.stages.evaluate_without_gold import Disagreements, PreferenceAccuracy, ProxyReward
from mt.stages.rewards import compares_responses
from mt.stages.select import SelectDemonstrations
from mt.workflow.stage import Stage


def held_out(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """Yield the metrics of one iteration's models on held-out prompts."""
    base = graph.base
    samples, base_samples = answers(steps, iteration), answers(steps, base)
    for judge, reward in (("base", base.reward), ("current", iteration.reward)):
        yield "policy", ProxyReward(samples, steps.score(reward, samples), steps.score(reward, base_samples), judge)
    if steps.config.data.has_gold:
        yield from _gold(steps, graph, iteration)
    else:
        yield from _without_gold(steps, graph, iteration)
    yield from _same_responses(steps, graph, iteration)
    settings = steps.config.eval.held_out
    if settings is not None and settings.diagnostics:
        yield from _diagnostics(steps, graph, iteration)


def answers(steps: Steps, iteration: Iteration) -> Stage:
    """The iteration's policy on the held-out prompts."""
    settings = steps.config.eval.held_out
    if settings is None:
        raise TypeError("held_out is not among the run's evaluations")
    return steps.sample(iteration.policy, steps.add(steps.source.held_out(settings.prompts)), settings.decoding)


def _gold(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    samples, base_samples = answers(steps, iteration), answers(steps, graph.base)
    gold, base_gold = steps.gold(samples), steps.gold(base_samples)
    truth = _, language = steps.source.gold()
    margin = language.gold_margin
    rewards, fixed = steps.score(iteration.reward, samples), steps.score(iteration.reward, base_samples)
    yield "policy", GoldPolicyMetrics(samples, gold, base_gold)
    yield "reward", GoldRewardMetrics(samples, gold, rewards, margin, "gold")
    yield "reward", GoldRewardMetrics(base_samples, base_gold, fixed, margin, "gold_base")
    for kind in ("selected", "self_training", "contrast"):
        table = getattr(iteration, kind)
        if table is not None and not isinstance(table, SelectDemonstrations):
            yield "policy", LabelAccuracy(table, *truth, kind)


def _same_responses(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """Compare a retrained reward model with r_0 and with the one before it, on the responses of the same policy."""
    samples = answers(steps, iteration)
    gold, margin = (
        (steps.gold(samples), steps.source.gold()[1].gold_margin) if steps.config.data.has_gold else (None, None)
    )
    previous = graph.iterations[max(iteration.index - 1, 0)]
    if iteration.reward.key != graph.base.reward.key:
        for which, other in (("base", graph.base), ("previous", previous)):
            rewards, earlier = steps.score(iteration.reward, samples), steps.score(other.reward, samples)
            yield "reward", RewardComparison(rewards, earlier, which, gold, margin)


def _without_gold(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """Measure the reward model on the user's own pairs, and look for what it and r_0 disagree on."""
    settings = steps.config.eval.held_out
    pairs = steps.source.held_out_preferences(steps.positions, settings.prompts) if settings else None
    if pairs is not None and not compares_responses(iteration.reward):
        yield "reward", PreferenceAccuracy(steps.add(pairs), steps.score(iteration.reward, pairs))
    if iteration.reward.key != graph.base.reward.key:
        samples, before = answers(steps, iteration), graph.iterations[iteration.index - 1].reward
        rewards, base = (steps.score(one.reward, samples) for one in (iteration, graph.base))
        previous = steps.score(before, samples) if before.key != graph.base.reward.key else None
        yield "reward", Disagreements(samples, rewards, base, previous)


def _diagnostics(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    config, samples = steps.config, answers(steps, iteration)
    rewards, length = steps.score(iteration.reward, samples), config.sampling.max_length
    base, how = graph.base.policy, (config.logprobs, length, steps.policy_template)
    yield "policy", PolicyDiagnostics(iteration.policy, base, samples, rewards, *how)
    if steps.config.data.has_gold:
        yield "reward", RewardCalibration(steps.gold(samples), rewards, steps.source.gold()[1])
