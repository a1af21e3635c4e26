"""SmolLM2-135M-Instruct on verifiable English: is the last policy better than the first, and by which reward model?

    python -m benchmarks.real [--arms frozen,both,gold] [--seeds 0,1,2] [-- OVERRIDE …]     run what is missing
    python -m benchmarks.real --report                                                      print the tables

Each finished run appends its rows to benchmarks/real.csv; a run that the same device has done is left out, and one that
was stopped goes on where it was. A seed draws everything anew: prompts, preferences, r_0's training, and what the run
draws. Gold is on prompts about topics that train nothing; a gain is paired by prompt. Several of these processes may
run side by side.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import mean
from typing import TypeVar

import torch

from benchmarks.measured import append_csv, measure, read_csv, rewards_of, rows_of
from mt.config.compose import compose_runs
from mt.engines.devices import own_cores
from mt.evaluation.statistics import t_interval
from mt.methods.compile import compile_run
from mt.methods.held_out import answers
from mt.methods.steps import Steps
from mt.stages.metrics import order_agreement
from mt.types import Samples
from mt.workflow.stage import External
from mt.workflow.store import Store

T = TypeVar("T")
CSV = Path(__file__).with_name("real.csv")


@dataclass(frozen=True)
class Row:
    """One iteration of one run."""

    device: str
    arm: str
    seed: int
    iteration: int
    prompts: int
    gold: float
    gain: float
    gain_low: float
    gain_high: float
    all_met: float
    finished: float
    words: float
    accuracy_r0: float
    accuracy_rt: float
    seconds: float
    """Of all stages of the run, computed by it or by another arm."""
    cpu_seconds: float
    """Of the same stages, on all cores: what other programs on the machine change little."""
    peak_gib: float
    """Of the last command of the run."""


def main() -> None:
    """Run what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", default="both,frozen,gold", help="values of rm_data")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--report", action="store_true", help="print the tables of what has been measured")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if options.report:
        print(report(load()))
        return
    for seed in map(int, options.seeds.split(",")):
        for arm in options.arms.split(","):
            if not any((row.device, row.arm, row.seed) == (device(), arm, seed) for row in load()):
                append(run(arm, seed, options.overrides))


def run(arm: str, seed: int, overrides: Sequence[str]) -> list[Row]:
    """Run one arm under one seed, and return its rows; raises RuntimeError where it fails."""
    settings = ["scale=smollm2", f"rm_data={arm}", f"seed={seed}", f"world_seed={seed}", *overrides]
    cost = measure([sys.executable, "-m", "mt.run", *settings])
    config = compose_runs(settings)[0].config
    store, steps, compiled = Store(Path(config.store)), Steps(config), compile_run(config)
    iterations, margin = compiled.graph.iterations, steps.source.gold()[1].gold_margin
    stages = [stage for stage in compiled.plan.order if not isinstance(stage, External)]
    facts = [store.artifact(stage).facts for stage in stages]
    before: dict[str, float] = {}
    rows = []
    for one in iterations:
        samples = answers(steps, one)
        gold = rewards_of(store, steps.gold(samples))
        responses = [response for row in rows_of(store, samples, Samples) for response in row.responses]
        quality = {name: mean(values) for name, values in gold.items()}
        before = before or quality
        gains = [quality[name] - before[name] for name in quality]
        interval = t_interval(gains)
        row = Row(
            device=device(),
            arm=arm,
            seed=seed,
            iteration=one.index,
            prompts=len(quality),
            gold=mean(quality.values()),
            gain=mean(gains),
            gain_low=interval.low if interval else 0.0,
            gain_high=interval.high if interval else 0.0,
            all_met=mean(float(value == 1) for values in gold.values() for value in values),
            finished=mean(float(response.finished) for response in responses),
            words=mean(len(response.text.split()) for response in responses),
            accuracy_r0=accuracy(gold, rewards_of(store, steps.score(iterations[0].reward, samples)), margin),
            accuracy_rt=accuracy(gold, rewards_of(store, steps.score(one.reward, samples)), margin),
            seconds=sum(float(one["seconds"]) for one in facts),
            cpu_seconds=sum(float(one["cpu_seconds"]) for one in facts),
            peak_gib=cost.peak_mib / 1024,
        )
        rows.append(row)
    return rows


def device() -> str:
    """Return what computes."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{own_cores()} CPU cores"


def accuracy(gold: dict[str, list[float]], rewards: dict[str, list[float]], margin: float) -> float:
    """Return the share of response pairs that rewards order like gold, averaged over prompts that gold divides."""
    agreements = [order_agreement(gold[name], rewards[name], margin) for name in gold]
    return mean(value for value in agreements if value is not None)


def load() -> list[Row]:
    """Return what has been measured."""
    kinds = {field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(Row)}
    return [Row(**{name: kinds[name](value) for name, value in row.items()}) for row in read_csv(CSV)]


def append(rows: Sequence[Row]) -> None:
    """Write a finished run's rows behind the others."""
    rounded = ({k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(row).items()} for row in rows)
    append_csv(CSV, [field.name for field in fields(Row)], rounded)


def report(rows: Sequence[Row]) -> str:
    """Return two Markdown tables: every iteration of every run, then the last iteration of each arm over its seeds."""
    names = ["device", "rm_data", "seed", "iteration", "gold", "gain over π_0 [95%]", "all met", "finished", "words"]
    lines = [*_head(*names, "r_0 right", "r_t right")]
    for row in sorted(rows, key=lambda row: (row.device, row.arm, row.seed, row.iteration)):
        gain = f"{row.gain:+.3f} [{row.gain_low:+.3f}, {row.gain_high:+.3f}]" if row.iteration else ""
        shares = [f"{row.all_met:.1%}", f"{row.finished:.1%}", f"{row.words:.1f}"]
        right = [f"{row.accuracy_r0:.1%}", f"{row.accuracy_rt:.1%}"]
        lines.append(_line(row.device, row.arm, row.seed, row.iteration, f"{row.gold:.3f}", gain, *shares, *right))
    names = ["device", "rm_data", "seeds", "gain of the last policy over π_0", "minutes of a run", "CPU minutes"]
    lines += ["", *_head(*names, "peak GiB")]
    for place, arm in sorted({(row.device, row.arm) for row in rows}):
        last = max(row.iteration for row in rows)
        own = [row for row in rows if (row.device, row.arm, row.iteration) == (place, arm, last)]
        gains = " ".join(f"{row.gain:+.3f}" for row in own)
        wall, cpu = (_minutes(getattr(row, name) for row in own) for name in ("seconds", "cpu_seconds"))
        peak = f"{max(row.peak_gib for row in own):.1f}"
        lines.append(_line(place, arm, len(own), f"{mean(row.gain for row in own):+.3f} ({gains})", wall, cpu, peak))
    return "\n".join(lines)


def _minutes(seconds: Iterable[float]) -> str:
    return " ".join(f"{one / 60:.1f}" for one in seconds)


def _head(*names: str) -> tuple[str, str]:
    return _line(*names), "|" + "---|" * len(names)


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
