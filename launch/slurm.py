"""SLURM through submitit: submit a batch, ask for states in one call, cancel; with and without accounting."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError
from submitit.helpers import clean_env

from launch.job import RunJob
from mt.config.launch import SlurmConfig
from mt.errors import LaunchError, describe
from mt.runtime.child import IGNORE_USR2

PROJECT = Path(__file__).resolve().parents[1]
_UNLIMITED = 1_000_000
_ROW = re.compile(r"\s*\d+(_\d+|_\[[^|]*\])?\|[^|]+\|")
"""A job's id and state; of one that did not start, an array has its tasks in brackets."""
_TIMEOUT_S = 120


class SubmissionRefused(LaunchError):
    """SLURM does not take a submission."""


@dataclass(frozen=True)
class Seen:
    """What the scheduler says of a job."""

    state: str
    """SLURM's own word, such as PENDING, RUNNING, FAILED."""
    reason: str = ""
    node: str = ""


def states(ids: Iterable[str]) -> dict[str, Seen]:
    """Return what SLURM still knows of jobs, in one call for all of them.

    squeue works without accounting, and knows all jobs that are not over. sacct is asked only how those ended that
    squeue has forgotten; where it cannot say, only what the jobs themselves wrote down counts.
    """
    wanted = set(ids)
    found = _ask(["squeue", "--array", "--states", "all", "--format", "%i|%T|%N|%r"], wanted, "Invalid job id")
    forgotten = wanted - found.keys()
    with contextlib.suppress(LaunchError):
        columns = ["--parsable2", "--allocations", "--format", "JobID,State,NodeList"]
        cluster = os.environ.get("SLURM_CLUSTERS")  # which all commands but sacct read
        found |= _ask(["sacct", *columns, *(["--clusters", cluster] if cluster else [])], forgotten)
    return found


def _ask(command: list[str], wanted: set[str], *allow: str) -> dict[str, Seen]:
    if not wanted:
        return {}
    bases = sorted({job.split("_")[0] for job in wanted})
    return read_states(run_command([*command, "--noheader", "--jobs", ",".join(bases)], allow=allow), wanted)


def read_states(output: str, wanted: Iterable[str]) -> dict[str, Seen]:
    """Read lines of "id|state|node|reason"; an array that was cancelled before it began has one line."""
    seen: dict[str, Seen] = {}
    for row in filter(_ROW.match, output.splitlines()):  # a site's banners are no rows
        job, state, node, *reason = row.strip().split("|")
        why = reason[0] if reason and reason[0] != "None" else ""
        node = node.removeprefix("None assigned")
        seen[job.split("_[")[0]] = Seen(state.split()[0], why, node)  # sacct says "CANCELLED by 1000"
    whole = {job: job.split("_")[0] for job in wanted}
    return {job: seen[job] if job in seen else seen[base] for job, base in whole.items() if {job, base} & seen.keys()}


def tagged(tag: str) -> list[str]:
    """Return the ids of all jobs of this user that carry a sweep's tag and have not ended."""
    output = run_command(["squeue", "--noheader", "--array", "--me", "--format", "%i|%k"])
    return [job for job, _, comment in (line.partition("|") for line in output.splitlines()) if comment == tag]


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs; those that have ended already are no error."""
    if ids:
        run_command(["scancel", *ids], allow=("Invalid job id", "already completing or completed"))


def release(ids: Sequence[str]) -> None:
    """Let jobs start that were submitted on hold."""
    if ids:
        bases = sorted({job.split("_")[0] for job in ids})
        run_command(["scontrol", "release", ",".join(bases)], allow=("already finished", "no longer pending"))


@dataclass(frozen=True)
class Request:
    """What sbatch is asked for: jobs with the same resources and dependencies."""

    names: Sequence[str]
    """The jobs of the sweep."""
    gpu: bool
    after: Sequence[str]
    """Ids of jobs that must succeed first."""
    title: str
    """The name that squeue shows; jobs of one slot have the same."""
    alone: bool
    """Run only while no other job with this title runs."""
    width: int
    """Jobs of the request that run at the same time."""
    tag: str
    memory: str | None = None
    """What sbatch is asked for where no setting says it."""


def submit(folder: Path, logs: Path, config: SlurmConfig, request: Request) -> list[str]:
    """Submit jobs on hold and return their ids; raises SubmissionRefused with SLURM's own words when it does."""
    # The stop signal may come before Python has its handler, and would then end the job: it is ignored until submitit
    # installs the handler.
    python = shlex.join([*IGNORE_USR2, *config.container, sys.executable])
    executor = SlurmExecutor(folder=logs, max_num_timeout=_UNLIMITED, python=python)
    executor._throttling = 0.0
    executor.update_parameters(**_parameters(config, request))
    try:
        with _outside_any_job(), contextlib.redirect_stderr(io.StringIO()):  # submitit prints what it raises
            jobs = executor.submit_array([RunJob(str(folder), name) for name in request.names])
    except FailedJobError as error:
        raise SubmissionRefused(refusal(str(error), config, request.gpu)) from error
    return [job.job_id for job in jobs]


def check_commands() -> None:
    """Raise LaunchError where SLURM's commands are missing."""
    for command in ("sbatch", "srun", "squeue", "scancel", "scontrol"):
        if shutil.which(command) is None:
            problem = f"there is no {command} on the path"
            fix = "Run the command on a machine of the cluster, or use launch=local"
            raise LaunchError(describe("launch", "slurm", problem, allowed="inline, local", fix=fix))


def refusal(answer: str, config: SlurmConfig, gpu: bool) -> str:
    """Put SLURM's refusal in one line, with the setting that it is about where it says so."""
    words = "; ".join(line.removeprefix("sbatch: error: ").strip() for line in answer.splitlines() if line.strip())
    own = not gpu and config.cpu.partition is not None
    about = {
        "account": ("launch.account", config.account),
        "partition": ("launch.cpu.partition", config.cpu.partition) if own else ("launch.partition", config.partition),
        "qos": ("launch.qos", config.qos),
        "time limit": ("launch.time_min", config.time_min) if gpu else ("launch.cpu.time_min", config.cpu.time_min),
        "feature": ("launch.constraint", config.constraint),
        "generic resource": ("launch.gpu_type", config.gpu_type) if config.gpu_type else ("launch.gpus", config.gpus),
        "node configuration": ("launch.gpus", config.gpus) if gpu else ("launch.cpu.cpus", config.cpu.cpus),
    }
    field, value = next((pair for word, pair in about.items() if word in words.lower()), ("launch", "slurm"))
    allowed = ""
    if field.endswith("partition"):
        with contextlib.suppress(LaunchError):  # the refusal counts, also where sinfo cannot say what there is
            said = run_command(["sinfo", "--noheader", "--format", "partition=%R"]).splitlines()
            names = [line.removeprefix("partition=") for line in said if line.startswith("partition=")]
            allowed = f"the partitions {', '.join(names)}"
    return describe(field, value, f"SLURM refused the submission: {words.rstrip('.')}", allowed=allowed)


@contextlib.contextmanager
def _outside_any_job() -> Iterator[None]:
    """Hide the job that we may run in ourselves: what we submit would inherit its limits."""
    kept = {name: os.environ[name] for name in ("SLURM_CONF", "SLURM_CLUSTERS") if name in os.environ}
    with clean_env():
        os.environ.update(kept)
        yield


def _parameters(config: SlurmConfig, request: Request) -> dict[str, object]:
    """Return submitit's parameters of a request."""
    after = [f"afterok:{':'.join(request.after)}"] if request.after else []
    dependency = ",".join([*after, *(["singleton"] if request.alone else [])])
    extra = config.extra if request.gpu else config.cpu.extra
    values: dict[str, object | None] = {
        "job_name": request.title,
        "comment": request.tag,
        "dependency": dependency or None,
        "array_parallelism": request.width,
        "account": config.account,
        "qos": config.qos,
        "signal_delay_s": config.signal_delay_s,
        "stderr_to_stdout": True,
        "setup": [
            f"export PYTHONPATH={shlex.quote(str(PROJECT))}${{PYTHONPATH:+:$PYTHONPATH}}",
            "unset SLURM_CLUSTERS  # a node asks its own cluster",
            *config.setup,
        ],
        # Since SLURM 22.05 a step does not inherit this from its job: bound to cores, it would have only one.
        "srun_args": [f"--cpus-per-task={config.cpus if request.gpu else config.cpu.cpus}", *config.srun],
        "nodes": 1,
        "ntasks_per_node": 1,
        "additional_parameters": {
            # submitit writes --flag for true, and --flag=False for false
            **{option.replace("_", "-"): value for option, value in extra.items() if value is not False},
            "hold": True,
            "requeue": True,
            "kill-on-invalid-dep": "yes",
        },
        **_resources(config, request),
    }
    return {name: value for name, value in values.items() if value is not None}


def _resources(config: SlurmConfig, request: Request) -> dict[str, object | None]:
    if not request.gpu:
        cpu = config.cpu
        memory = f"{cpu.mem_gb}GB" if cpu.mem_gb else request.memory
        partition = cpu.partition or config.partition
        return {"partition": partition, "cpus_per_task": cpu.cpus, "mem": memory, "time": cpu.time_min}
    return {
        "partition": config.partition,
        "constraint": config.constraint,
        "gpus_per_node": ":".join(filter(None, (config.gpu_type, str(config.gpus)))) if config.gpus else None,
        "cpus_per_task": config.cpus,
        "mem": f"{config.mem_gb}GB" if config.mem_gb else request.memory,
        "time": config.time_min,
    }


def run_command(command: list[str], allow: Sequence[str] = ()) -> str:
    """Run one of SLURM's commands and return what it prints; its errors become ours, except the allowed ones."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except FileNotFoundError:
        fix = "Run this on a machine of the cluster"
        raise LaunchError(describe("command", command[0], "not on the path", fix=fix)) from None
    except subprocess.TimeoutExpired:
        raise LaunchError(f"{command[0]}: SLURM did not answer within {_TIMEOUT_S} s; try again later") from None
    if done.returncode and not any(words in done.stderr for words in allow):
        words = done.stderr.removeprefix(f"{command[0]}: ").removeprefix("error: ")
        raise LaunchError(f"{command[0]}: {' '.join(words.split())}")
    return done.stdout
