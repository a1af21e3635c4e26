"""What is measured of an outcome: stages like any other, shared across a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mt.config.evaluation import HeldOutEval
from mt.methods.outcome import Iteration, Outcome
from mt.methods.steps import Steps
from mt.stages.evaluate_gold import GoldPolicy, GoldReward, LabelAccuracy, PairAccuracy
from mt.stages.evaluate_proxy import ProxyReward
from mt.stages.select import SelectDemonstrations
from mt.workflow.stage import Stage


@dataclass(frozen=True)
class Evaluation:
    """A stage whose metrics belong to one iteration's policy or reward model."""

    iteration: int
    model: Literal["policy", "reward"]
    stage: Stage


def evaluations(steps: Steps, outcome: Outcome) -> list[Evaluation]:
    """Return everything that the run's `eval` asks for, iteration by iteration."""
    found: list[Evaluation] = []
    for iteration in outcome.iterations:
        steps.at(f"iteration {iteration.index} · evaluation" if iteration.index else "base · evaluation")
        if held_out := steps.config.eval.held_out:
            found += _held_out(steps, outcome, iteration, held_out)
    return found


def _held_out(steps: Steps, outcome: Outcome, iteration: Iteration, settings: HeldOutEval) -> list[Evaluation]:
    samples = _answers(steps, iteration.policy, settings)
    base_samples = _answers(steps, outcome.base.policy, settings)
    found = _Collected(steps, iteration.index)
    base_rewards, rewards = (
        steps.score(outcome.base.reward, samples),
        steps.score(iteration.reward, samples),
    )
    found.policy(ProxyReward(samples, base_rewards, steps.score(outcome.base.reward, base_samples), "base"))
    found.policy(ProxyReward(samples, rewards, steps.score(iteration.reward, base_samples), "current"))
    if steps.source.has_gold:
        gold, base_gold = steps.gold(samples), steps.gold(base_samples)
        _, language = world = steps.source.world()
        found.policy(GoldPolicy(samples, gold, base_gold))
        found.reward(GoldReward(samples, gold, rewards, language, "gold"))
        fixed = steps.score(iteration.reward, base_samples)
        found.reward(GoldReward(base_samples, base_gold, fixed, language, "gold_base"))
        pairs = steps.add(steps.source.benchmark())
        found.reward(PairAccuracy(pairs, steps.score(iteration.reward, pairs)))
        for kind in ("selected", "self_training", "contrast"):
            table = getattr(iteration, kind)
            if table is not None and not isinstance(table, SelectDemonstrations):
                found.policy(LabelAccuracy(table, *world, kind))
    return found.evaluations


def _answers(steps: Steps, policy: Stage, settings: HeldOutEval) -> Stage:
    prompts = steps.add(steps.source.held_out(settings.prompts))
    return steps.sample(policy, prompts, settings.decoding)


class _Collected:
    """The evaluations of one iteration, labelled as they come."""

    def __init__(self, steps: Steps, iteration: int) -> None:
        self.steps, self.iteration = steps, iteration
        self.evaluations: list[Evaluation] = []

    def policy(self, stage: Stage) -> None:
        self.evaluations.append(Evaluation(self.iteration, "policy", self.steps.add(stage)))

    def reward(self, stage: Stage) -> None:
        self.evaluations.append(Evaluation(self.iteration, "reward", self.steps.add(stage)))
