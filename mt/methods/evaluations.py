"""The evaluations of a run graph: stages like any other, shared across a sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mt.methods.benchmarks import alpaca_eval, arena_hard, in_distribution, pairwise, reward_bench, reward_bench_2
from mt.methods.held_out import held_out
from mt.methods.run_graph import Found, Iteration, Model, RunGraph
from mt.methods.steps import Steps
from mt.stages.checkpoints import SelectPolicy
from mt.workflow.position import EVALUATION
from mt.workflow.stage import Stage


@dataclass(frozen=True)
class Evaluation:
    """A stage whose metrics belong to one iteration's policy or reward model."""

    iteration: int
    model: Model
    stage: Stage


Benchmark = Callable[[Steps, RunGraph, Iteration], Found]
BENCHMARKS: dict[str, Benchmark] = {
    "held_out": held_out,
    "alpaca_eval": alpaca_eval,
    "arena_hard": arena_hard,
    "reward_bench": reward_bench,
    "reward_bench_2": reward_bench_2,
    "in_distribution": in_distribution,
    "pairwise": pairwise,
}


def evaluations(steps: Steps, graph: RunGraph) -> list[Evaluation]:
    """Return everything that the run's `eval` asks for, iteration by iteration."""
    found = []
    for iteration in graph.iterations:
        made = steps.positions[iteration.policy.key]
        steps.at(EVALUATION, made.iteration, made.round)
        if isinstance(iteration.policy, SelectPolicy):
            found.append(Evaluation(iteration.index, "policy", iteration.policy))
        for name, benchmark in BENCHMARKS.items():
            if getattr(steps.config.eval, name) is not None:
                for model, stage in benchmark(steps, graph, iteration):
                    found.append(Evaluation(iteration.index, model, steps.add(stage)))
    return found
