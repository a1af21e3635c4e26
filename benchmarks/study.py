"""The world study: what updating the reward model does to the policy and to the reward model.

python -m benchmarks.study --worlds 20,21 [--seeds 0,1] [--first 7] [-- OVERRIDE …]      runs what is missing

The arms are the runs of conf/experiment/study*.yaml, in their order. A finished run appends one row an iteration to
benchmarks/study.csv and is left out from then on; a run that was stopped goes on where it was. Several processes may
work at once, on different worlds. What a pair of world and seed has computed is deleted once all of its arms are
measured, but for the base models.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import TypeVar

from benchmarks.measured import append_csv, read_csv, rewards_of, rows_of
from mt.config.compose import compose_runs
from mt.config.run import RunConfig
from mt.methods.compile import CompiledRun, compile_run
from mt.methods.held_out import answers
from mt.methods.run_graph import Iteration
from mt.methods.steps import Steps
from mt.running.execution import quiet_libraries
from mt.selection.similarities.words import Words
from mt.stages.metrics import order_agreement
from mt.types import Samples
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.stage import SHORT
from mt.workflow.store import Store
from mt.workflow.work import NullObserver, read_metrics
from mt.world.language import FILLERS, STOP
from mt.world.world import World, build_world

T = TypeVar("T")
CSV = Path(__file__).with_name("study.csv")
EXPERIMENTS = ("study", "study_iterations", "study_transfer")
COMMON = ("method=mutual_taught", "objective=dpo")
"""What no arm is called by."""
RECORDED = {
    "gold": ("policy", "gold", "mean_reward"),
    "win_rate": ("policy", "gold", "win_rate"),
    "length": ("policy", "gold", "length"),
    "proxy": ("policy", "proxy", "mean_reward_base"),
    "selected_right": ("policy", "labels", "selected_accuracy"),
    "self_training_right": ("policy", "labels", "self_training_accuracy"),
    "contrast_right": ("policy", "labels", "contrast_accuracy"),
    "pairs": ("policy", "labels", "selected_pairs"),
    "choice_gain": ("reward", "gold", "choice_gain"),
    "bench": ("reward", "reward_bench", "average"),
    "bench_chat": ("reward", "reward_bench", "chat"),
    "bench_chat_hard": ("reward", "reward_bench", "chat_hard"),
    "bench_safety": ("reward", "reward_bench", "safety"),
    "bench_reasoning": ("reward", "reward_bench", "reasoning"),
}
"""Columns that a run's own evaluations give: model, benchmark, metric."""
SECTIONS = ("chat", "chat_hard", "safety", "reasoning")
BELIEFS = ("plain", "doubted", "shared")
"""Prompts that ask about no misconception; about one; about one that most of the responses to the prompt give."""
ORDERED_BY = ("r0", "rt", "consensus")
"""Who orders an iteration's responses: the run's first reward, the iteration's own, and their own consensus."""
GROUPED = [f"{what}{group}" for what in ("gold", *ORDERED_BY) for group in ("", *(f"_{g}" for g in SECTIONS + BELIEFS))]
COLUMNS = ["arm", "world", "seed", "iteration", *RECORDED, *GROUPED[1:], "overlap", "cpu_seconds"]
Row = dict[str, str]


@dataclass(frozen=True)
class Run:
    """One arm in one world under one seed."""

    arm: str
    world: int
    seed: int
    config: RunConfig

    @property
    def key(self) -> tuple[str, str, str]:
        """What its rows begin with."""
        return self.arm, str(self.world), str(self.seed)


@cache
def runs(world: int, seed: int, overrides: tuple[str, ...] = ()) -> list[Run]:
    """Return the arms in one world under one seed."""
    given = [f"world_seed={world}", f"seed={seed}", *overrides]
    found = compose_runs([f"experiment={','.join(EXPERIMENTS)}", *given], multirun=True)
    named = {*given, *COMMON, *(f"experiment={name}" for name in EXPERIMENTS)}
    return [
        Run(" ".join(word for word in one.overrides if word not in named), world, seed, one.config) for one in found
    ]


def measure(run: Run, reference: Run) -> list[Row]:
    """Execute a run and return its rows; `reference` is the frozen arm, whose π_1 says what most answers believe."""
    store, compiled, clock = Store(Path(run.config.store)), compile_run(run.config), time.process_time()
    execute(compiled.plan, store, NullObserver())
    seconds = time.process_time() - clock
    steps, other = Steps(run.config), Steps(reference.config)
    first = answers(other, compile_run(reference.config).graph.iterations[1])
    execute(plan([first]), store, NullObserver())
    groups = by_belief_and_section(build_world(*steps.source.gold()), rows_of(store, first, Samples))
    rows = []
    for one in compiled.graph.iterations[: compiled.final(store).index + 1]:
        values = {**_recorded(store, compiled, one), **_by_group(steps, store, compiled, one, groups)}
        values["cpu_seconds"] = seconds
        cells = {name: f"{value:.4f}".rstrip("0").rstrip(".") for name, value in values.items()}
        rows.append({**dict(zip(COLUMNS, (*run.key, str(one.index)), strict=False)), **cells})
    return rows


def _recorded(store: Store, compiled: CompiledRun, iteration: Iteration) -> dict[str, float]:
    """Return what the run's own evaluations say of an iteration."""
    found = {
        (evaluation.model, one.benchmark, one.metric): one.value
        for evaluation in compiled.evaluations
        if evaluation.iteration == iteration.index
        for one in read_metrics(store.path(evaluation.stage))
    }
    return {name: found[place] for name, place in RECORDED.items() if place in found}


def _by_group(
    steps: Steps, store: Store, compiled: CompiledRun, iteration: Iteration, groups: Mapping[str, set[str]]
) -> dict[str, float]:
    """Return gold rewards and accuracies on all held-out prompts and by group, and how much responses overlap."""
    samples = answers(steps, iteration)
    gold, margin = rewards_of(store, steps.gold(samples)), steps.source.gold()[1].gold_margin
    texts = {row.prompt_id: [one.text for one in row.responses] for row in rows_of(store, samples, Samples)}
    consensus = {name: Words().to_the_others(given) for name, given in texts.items()}
    orders = {
        "r0": rewards_of(store, steps.score(compiled.graph.base.reward, samples)),
        "rt": rewards_of(store, steps.score(iteration.reward, samples)),
        "consensus": consensus,
    }
    found = {"gold": {name: mean(values) for name, values in gold.items()}}
    for which, rewards in orders.items():
        agreements = {name: order_agreement(gold[name], rewards[name], margin) for name in gold}
        found[which] = {name: value for name, value in agreements.items() if value is not None}
    means = {"overlap": mean(map(mean, consensus.values()))}
    for what, values in found.items():
        for group, names in {"": set(values), **groups}.items():
            if kept := [value for name, value in values.items() if name in names]:
                means[f"{what}_{group}".rstrip("_")] = mean(kept)
    return means


def by_belief_and_section(world: World, samples: Sequence[Samples]) -> dict[str, set[str]]:
    """Return the ids of the held-out prompts by section, and by what a policy's responses to them believe."""
    groups: dict[str, set[str]] = {name: set() for name in SECTIONS + BELIEFS}
    for row in samples:
        task = world.task(row.messages)
        texts = [response.text.split() for response in row.responses]
        bodies = [[word for word in words if word not in FILLERS and word != STOP] for words in texts]
        parts = () if task.dangerous else task.parts
        shares = [
            mean(body[place : place + 1] == [part.misconception] for body in bodies)
            for place, part in enumerate(parts)
            if part.misconception is not None
        ]
        belief = "plain" if not shares else "shared" if max(shares) > 0.5 else "doubted"
        groups[belief].add(row.prompt_id)
        groups[str(row.section).lower().replace(" ", "_")].add(row.prompt_id)
    return groups


def load() -> list[Row]:
    """Return what has been measured."""
    return read_csv(CSV)


def append(rows: Sequence[Row]) -> None:
    """Write a finished run's rows behind the others."""
    append_csv(CSV, COLUMNS, rows)


def clear(done: Sequence[Run]) -> None:
    """Delete what the runs of one world and seed have computed, but for what does not depend on the seed."""
    store = Store(Path(done[0].config.store))
    needed = [{stage.key[:SHORT] for stage in compile_run(one.config).plan.order} for one in done]
    others = [one.config.model_copy(update={"seed": one.seed + 1}) for one in done]
    kept = {stage.key[:SHORT] for config in others for stage in compile_run(config).plan.order}
    unneeded = set[str]().union(*needed) - kept
    for folder in store.folders():
        if folder.name in unneeded:
            store.remove(folder)


def main() -> None:
    """Run what is missing, world after world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", required=True, help="worlds, by their seeds")
    parser.add_argument("--seeds", default="0,1", help="seeds of the runs")
    parser.add_argument("--first", type=int, help="only so many arms, from the first on (default: all)")
    parser.add_argument("overrides", nargs="*", help="settings, as for python -m mt.run")
    options = parser.parse_args()
    quiet_libraries()
    for seed in map(int, options.seeds.split(",")):
        for world in map(int, options.worlds.split(",")):
            arms = runs(world, seed, tuple(options.overrides))
            for run in arms[: options.first]:
                if run.key not in _measured():
                    append(measure(run, arms[0]))
                    print(f"{time.strftime('%T')} world {world}, seed {seed}: {run.arm}", flush=True)
            if all(run.key in _measured() for run in arms):
                clear(arms)


def _measured() -> set[tuple[str, str, str]]:
    return {(row["arm"], row["world"], row["seed"]) for row in load()}


if __name__ == "__main__":
    main()
