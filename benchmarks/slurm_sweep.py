"""Sweeps on a real SLURM cluster on loopback: what sharing saves, what disturbances cost, how fast the commands are.

python -m benchmarks.slurm_sweep [--folder DIR] [--quick] [-- OVERRIDE …]

Prints the status table of the 6-run sweep while it runs, with one preempted and one killed job, and at its end; how
many stages it computed against the plan; its stage seconds against those of six independent runs; and the seconds
that planning, submitting and looking at 100 runs take. `--quick` takes small models. Needs SLURM's Debian packages
(`make test-slurm` installs them).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.measured import measure
from launch.survey import JobStatus, computed, survey
from launch.sweep import Sweep, load, read_configs
from launch.view import render
from launch.work import planner
from mt.workflow.stage import External
from mt.workflow.store import Store
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.disturb import preempt, wait_for_jobs, work_process
from tests.small import SMALL

SIX = ["objective=dpo,ipo,simpo", "rm_data=both,contrast"]
HUNDRED = ["objective=dpo,ipo,simpo,slic,hinge", "rm_data=both,contrast", "seed=0,1,2,3,4,5,6,7,8,9"]
SLURM = ["launch=slurm", "launch.max_running=2", "launch.cpus=16", "launch.cpu.cpus=16"]  # a node each


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where stores and records go (default: a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="small models: minutes instead of half an hour")
    parser.add_argument("--only", choices=["six", "hundred"], help="one of the two parts")
    parser.add_argument("overrides", nargs="*", help="further overrides of both sweeps")
    args = parser.parse_args()
    overrides = [*(SMALL if args.quick else []), *args.overrides]
    with tempfile.TemporaryDirectory() as temporary, running_cluster() as running:
        os.environ.update(running.environment)
        folder = (args.folder or Path(temporary)).absolute()
        if args.only != "six":
            hundred_runs(running, folder, overrides)
        if args.only != "hundred":
            six_runs(running, folder, overrides)
    return 0


def hundred_runs(running: Cluster, folder: Path, overrides: list[str]) -> None:
    """Time the commands on 100 runs; drained nodes keep the runs from starting."""
    running.run("scontrol", "update", "nodename=ALL", "state=drain", "reason=benchmark")
    submitted = measure(submit_command("hundred", folder, [*HUNDRED, *overrides]))
    looked = measure(command("status", folder, "hundred", "--json"))
    sweep = load(folder / "runs" / "hundred")
    measure(command("cancel", folder, "hundred"))
    running.run("scontrol", "update", "nodename=ALL", "state=resume")
    counts = f"{len(sweep.runs)} runs, {len(sweep.stages)} stages, {len(sweep.jobs)} jobs"
    print(f"\nload {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores\n")
    print(f"| {counts} | seconds | of them on a core |\n|---|---|---|")
    for name, one in (("plan and submit", submitted), ("status", looked)):
        print(f"| {name} | {one.seconds:.1f} | {one.cpu_seconds:.1f} |", flush=True)


def six_runs(running: Cluster, folder: Path, overrides: list[str]) -> None:
    """Run the sweep with disturbances, and count."""
    measure(submit_command("six", folder, [*SIX, *overrides]))
    sweep_folder = folder / "runs" / "six"
    disturb(running, sweep_folder)
    measure(command("watch", folder, "six", "--json"))
    print("\nat the end", flush=True)
    show(sweep_folder)
    print(report(sweep_folder, load(sweep_folder)))


def disturb(running: Cluster, folder: Path) -> None:
    """Kill the worker of one job and preempt another, and show both while they recover."""
    first, second = wait_for_jobs(folder, lambda job: job.state == "running" and job.left_s is not None, 2)
    work_process(folder, first.name).kill()
    preempt(running, second.node)

    def recovers(job: JobStatus) -> bool:
        again = job.name == first.name and job.state == "running" and job.attempt == 2 and bool(job.stage)
        return again or (job.name == second.name and job.state == "queued")

    wait_for_jobs(folder, recovers, 2)
    print(f"\nwhile it runs: the worker of {first.name} was killed, {second.name} was preempted", flush=True)
    show(folder)


def show(folder: Path) -> None:
    """Print what `python -m launch.status` does in a terminal of 120 columns."""
    Console(width=120).print(render(survey(folder, load(folder))))


def report(folder: Path, sweep: Sweep) -> str:
    """Return what was computed against the plan, and the seconds against independent runs."""
    store, plan = Store(Path(sweep.store)), planner(sweep.planner)
    own = computed(folder, sweep)
    seconds: dict[str, float] = {}
    alone = 0.0
    for values in read_configs(folder).values():
        for stage in plan(values).plan.order:
            if not isinstance(stage, External):
                seconds[stage.key] = float(store.artifact(stage).facts["seconds"])
                alone += seconds[stage.key]
    shared = sum(seconds.values())
    return (
        f"\n| {len(sweep.runs)} runs | |\n|---|---|\n"
        f"| stages in the merged plan | {len(sweep.stages)} |\n"
        f"| stages computed (distinct) | {len(own)} ({len({one.key for one in own})}) |\n"
        f"| stages of independent runs | {sum(run.total for run in sweep.runs)} |\n"
        f"| stage seconds of the sweep | {shared:.0f} |\n"
        f"| stage seconds of independent runs | {alone:.0f} |\n"
        f"| share | {shared / alone:.0%} |"
    )


def submit_command(name: str, folder: Path, overrides: list[str]) -> list[str]:
    """Return the command that submits a sweep."""
    places = [f"sweep={name}", f"runs={folder}/runs", f"store={folder}/store"]
    return [sys.executable, "-m", "mt.run", "-m", *SLURM, *places, *overrides]


def command(name: str, folder: Path, *arguments: str) -> list[str]:
    """Return a command that looks after sweeps."""
    return [sys.executable, "-m", f"launch.{name}", "--runs", str(folder / "runs"), *arguments]


if __name__ == "__main__":
    sys.exit(main())
