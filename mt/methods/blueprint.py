"""A run on paper: its method's outcome, what will be measured of it, and the plan of both."""

from __future__ import annotations

from dataclasses import dataclass

from mt.config.run import RunConfig
from mt.methods.combinations import refuse_impossible
from mt.methods.evaluations import Evaluation, evaluations
from mt.methods.outcome import Outcome
from mt.methods.steps import Steps
from mt.workflow.plan import Plan, plan
from mt.workflow.stage import Stage


@dataclass(frozen=True)
class Blueprint:
    """Everything that is known of a run before anything is computed."""

    config: RunConfig
    outcome: Outcome
    evaluations: list[Evaluation]
    plan: Plan


def blueprint(config: RunConfig) -> Blueprint:
    """Draw up a run: call its method with steps that only describe, and collect what its targets need.

    Raises ConfigError for what cannot be combined.
    """
    refuse_impossible(config)
    steps = Steps(config)
    outcome: Outcome = config.method.build(steps)
    measured = evaluations(steps, outcome)
    targets: list[Stage] = []
    for one in outcome.iterations:  # each iteration is measured before the next begins
        targets += [one.policy, one.reward]
        targets += [evaluation.stage for evaluation in measured if evaluation.iteration == one.index]
    return Blueprint(config, outcome, measured, plan(targets, steps.positions))
