"""A run on paper: its method's outcome, what will be measured of it, and the plan of both."""

from __future__ import annotations

import inspect
import traceback
from contextlib import suppress
from dataclasses import dataclass

from mt.choice import own_choices
from mt.config.run import RunConfig
from mt.errors import ConfigError, MutualTaughtError, NotHereError, describe
from mt.methods.combinations import refuse_impossible
from mt.methods.evaluations import Evaluation, evaluations
from mt.methods.outcome import Iteration, Outcome
from mt.methods.steps import Steps
from mt.workflow.plan import Plan, Shelf, plan
from mt.workflow.stage import Stage


@dataclass(frozen=True)
class Blueprint:
    """Everything that is known of a run before anything is computed."""

    config: RunConfig
    outcome: Outcome
    evaluations: list[Evaluation]
    plan: Plan

    def stopped(self, shelf: Shelf) -> Iteration | None:
        """Return the iteration in which a decision has stopped the run; None where none has."""
        decided = (one for one in self.outcome.iterations if one.policy.DECIDES)
        return next((one for one in decided if shelf.stopped(one.policy)), None)

    def final(self, shelf: Shelf) -> Iteration:
        """Return the iteration whose models the run ends with: the last one, or the one before it stopped."""
        stopped = self.stopped(shelf)
        return self.outcome.final if stopped is None else self.outcome.iterations[stopped.index - 1]


def blueprint(config: RunConfig) -> Blueprint:
    """Draw up a run: call its method with steps that only describe, and collect what its targets need.

    Raises ConfigError for what cannot be combined, and where a class of the user's own fails.
    """
    refuse_impossible(config)
    try:
        return _drawn_up(config)
    except MutualTaughtError:
        raise
    except Exception as error:  # a class of the user's own may raise anything
        own = {inspect.getfile(type(one)): (path, one) for path, one in own_choices(config)}
        if not own:
            raise
        frames = traceback.extract_tb(error.__traceback__)
        passed = [own[frame.filename] for frame in frames if frame.filename in own]
        path, one = passed[-1] if passed else next(iter(own.values()))
        where = f"{frames[-1].filename}, line {frames[-1].lineno}"
        problem = f"planning fails with {type(error).__name__}: {error} ({where})"
        mend = "Correct that first; docs/extending.md says what a class must define"
        raise ConfigError(describe(f"{path}.class", one.class_, problem, mend=mend)) from error


def _drawn_up(config: RunConfig) -> Blueprint:
    steps = Steps(config)
    outcome: Outcome = config.method.build(steps)
    measured = evaluations(steps, outcome)
    targets: list[Stage] = []
    for one in outcome.iterations:  # each iteration is measured before the next begins
        targets += [one.policy, one.reward]
        targets += [evaluation.stage for evaluation in measured if evaluation.iteration == one.index]
    drawn = plan(targets, steps.positions)
    for stage in drawn.order:
        if hasattr(stage, "trainer"):  # a trainer knows from the settings alone what it cannot train
            with suppress(NotHereError):
                stage.check()
    return Blueprint(config, outcome, measured, drawn)
