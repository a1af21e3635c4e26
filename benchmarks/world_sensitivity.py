"""How well the world distinguishes a good M-step from none: the controls by which its settings are chosen.

python -m benchmarks.world_sensitivity [--worlds 0,1,2] [--seeds 1,2,3] [OVERRIDE …]      prints Markdown tables

Gold reward of π_2 at equal iterations: without an M-step (frozen), with one labelled by gold, and with the second
E-step scored by gold itself (oracle). The last arm trains r_0 twice as long: where that helps, r_0 was not trained to
its end. Everything lies in the store: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from mt.config.compose import compose_runs
from mt.evaluation.statistics import t_interval
from mt.methods.held_out import answers
from mt.methods.steps import Steps
from mt.stages.evaluate_gold import GoldPolicyMetrics, GoldRewardMetrics
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import NullObserver, read_metrics

ARMS = {
    "frozen": ["rm_data=frozen"],
    "gold": ["rm_data=gold"],
    "oracle": ["rm_data=oracle"],
    "r_0 twice as long": ["rm_data=frozen"],
}
PROMPTS = 1000
"""Held-out prompts, each with five responses."""
Values = dict[str, float]


def measure(overrides: list[str], arm: str, world: int, seed: int) -> Values:
    """Return an arm's numbers: gold rewards of π_0 to π_2, and how often r_0 and r_1 order responses like gold."""
    given = [f"world_seed={world}", f"seed={seed}", f"eval.held_out.prompts={PROMPTS}", *ARMS[arm], *overrides]
    config = compose_runs(given)[0].config
    if arm == "r_0 twice as long":
        epochs = 2 * config.data.model_dump()["reward_training"]["epochs"]
        config = compose_runs([*given, f"data.reward_training.epochs={epochs}"])[0].config
    steps, store = Steps(config), Store(Path(config.store))
    iterations = config.method.build(steps).iterations

    def value(stage: Stage, metric: str) -> float:
        execute(plan([stage], steps.positions), store, NullObserver())
        return next(one.value for one in read_metrics(store.path(stage)) if one.metric == metric)

    def gold(index: int) -> float:
        samples, base = answers(steps, iterations[index]), answers(steps, iterations[0])
        return value(GoldPolicyMetrics(samples, steps.gold(samples), steps.gold(base)), "mean_reward")

    def accuracy(reward: int, policy: int) -> float:
        samples, (_, language) = answers(steps, iterations[policy]), steps.source.gold()
        scores = steps.score(iterations[reward].reward, samples)
        return value(GoldRewardMetrics(samples, steps.gold(samples), scores, language.gold_margin, "gold"), "accuracy")

    return {f"π_{index}": gold(index) for index in range(3)} | {
        "r_0 on π_0": accuracy(0, 0),
        "r_0 on π_1": accuracy(0, 1),
        "r_1 on π_1": accuracy(1, 1),
    }


def table(found: dict[tuple[int, int], dict[str, Values]]) -> Iterator[str]:
    """Yield the table of every world and seed, and what the arms gain over the frozen one."""
    yield "| world, seed | π_0 | π_1 | r_0 on π_0 | r_0 on π_1 | r_1 (gold) on π_1 | " + " | ".join(ARMS) + " |"
    yield "|---" + "|---:" * (5 + len(ARMS)) + "|"
    for (world, seed), arms in found.items():
        frozen = arms["frozen"]
        rewards = [f"{frozen[name]:.3f}" for name in ("π_0", "π_1")]
        rates = [frozen["r_0 on π_0"], frozen["r_0 on π_1"], arms["gold"]["r_1 on π_1"]]
        cells = rewards + [f"{100 * rate:.1f}%" for rate in rates] + [f"{arms[name]['π_2']:.3f}" for name in ARMS]
        yield f"| {world}, {seed} | " + " | ".join(cells) + " |"
    yield ""
    for name in list(ARMS)[1:]:
        gains = [arms[name]["π_2"] - arms["frozen"]["π_2"] for arms in found.values()]
        yield f"- {name} − frozen, gold reward of π_2: {mean(gains):+.4f}{_half_width(gains)}"
    longer = [arms["r_0 twice as long"]["r_0 on π_0"] - arms["frozen"]["r_0 on π_0"] for arms in found.values()]
    yield f"- r_0 twice as long − r_0, accuracy on π_0's responses: {100 * mean(longer):+.1f} points"
    share = mean(arms["gold"]["π_2"] - arms["frozen"]["π_2"] for arms in found.values()) / mean(
        arms["oracle"]["π_2"] - arms["frozen"]["π_2"] for arms in found.values()
    )
    yield f"- share of the oracle's gain that the gold-labelled M-step hands on: {100 * share:.0f}%"


def _half_width(gains: list[float]) -> str:
    interval = t_interval(gains)
    return f" ± {(interval.high - interval.low) / 2:.4f} (95%, {len(gains)} pairs)" if interval else ""


def main() -> None:
    """Measure what is asked for and print it, world after world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default="0,1,2", help="worlds, by their seeds (default: those of development)")
    parser.add_argument("--seeds", default="1,2,3", help="seeds of the runs")
    parser.add_argument("overrides", nargs="*", help="settings, as for python -m mt.run")
    options = parser.parse_args()
    pairs = [(int(world), int(seed)) for world in options.worlds.split(",") for seed in options.seeds.split(",")]
    found: dict[tuple[int, int], dict[str, Values]] = {pair: {} for pair in pairs}
    for arm in ARMS:
        for pair in pairs:
            found[pair][arm] = measure(options.overrides, arm, *pair)
            print(f"world {pair[0]}, seed {pair[1]}, {arm}: {found[pair][arm]['π_2']:.3f}", file=sys.stderr, flush=True)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
