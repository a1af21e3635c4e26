"""A compiled run: the stages of its method, the stages that evaluate them, and the plan of both."""

from __future__ import annotations

import inspect
import traceback
from dataclasses import dataclass
from pathlib import Path

from mt.choice import own_choices
from mt.config.run import RunConfig
from mt.errors import ConfigError, MutualTaughtError, describe
from mt.methods.combinations import refuse_greedy_pairs, refuse_impossible
from mt.methods.evaluations import Evaluation, evaluations
from mt.methods.run_graph import Iteration, RunGraph
from mt.methods.steps import Steps
from mt.workflow.plan import Plan, PublishedArtifacts, plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store


@dataclass(frozen=True)
class CompiledRun:
    """A run before anything is computed: its settings, its stages, its evaluations and its plan."""

    config: RunConfig
    graph: RunGraph
    evaluations: list[Evaluation]
    plan: Plan

    @property
    def store(self) -> Store:
        """The store that its stages are computed into."""
        return Store(Path(self.config.store))

    def stopped(self, artifacts: PublishedArtifacts) -> Iteration | None:
        """Return the iteration in which a decision has stopped the run; None where none has."""
        decided = (one for one in self.graph.iterations if one.policy.DECIDES)
        return next((one for one in decided if artifacts.stopped(one.policy)), None)

    def final(self, artifacts: PublishedArtifacts) -> Iteration:
        """Return the iteration whose models the run ends with: the last one, or the one before it stopped."""
        stopped = self.stopped(artifacts)
        return self.graph.final if stopped is None else self.graph.iterations[stopped.index - 1]


def compile_run(config: RunConfig) -> CompiledRun:
    """Compile a run: call its method with steps that only describe stages, and plan what its targets need.

    Raises ConfigError for what cannot be combined, and where a class of the user's own fails.
    """
    refuse_impossible(config)
    try:
        steps = Steps(config)
        graph: RunGraph = config.method.build(steps)
        measured = evaluations(steps, graph)
        targets: list[Stage] = []
        for one in graph.iterations:  # each iteration is measured before the next begins
            targets += [one.policy, one.reward]
            targets += [evaluation.stage for evaluation in measured if evaluation.iteration == one.index]
        planned = plan(targets, steps.positions)
        refuse_greedy_pairs(config, planned.order)
        return CompiledRun(config, graph, measured, planned)
    except MutualTaughtError:
        raise
    except Exception as error:  # a class of the user's own may raise anything
        own = {inspect.getfile(type(one)): (path, one) for path, one in own_choices(config)}
        if not own:
            raise
        frames = traceback.extract_tb(error.__traceback__)
        passed = [own[frame.filename] for frame in frames if frame.filename in own]
        path, choice = passed[-1] if passed else next(iter(own.values()))
        where = f"{frames[-1].filename}, line {frames[-1].lineno}"
        problem = f"planning fails with {type(error).__name__}: {error} ({where})"
        fix = "Correct that first; docs/extending.md says what a class must define"
        raise ConfigError(describe(f"{path}.class", choice.class_, problem, fix=fix)) from error
