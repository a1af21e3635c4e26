"""What the nodes of a cluster have, compared with what a job asks for.

SLURM takes a job that is on hold whatever it asks for, and lets it wait for ever once it is released.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from launch.slurm import SubmissionRefused, run_command
from mt.config.launch import SlurmConfig
from mt.errors import LaunchError, describe

_GPUS = re.compile(r"\bgpu:(?:\(null\):|([^:,()]+):)?(\d+)")


@dataclass(frozen=True)
class Node:
    """One node of a partition."""

    cpus: int
    memory_mib: int
    gpus: dict[str, int]
    """GPUs by type; "" where the cluster gives them none."""

    def count(self, gpu_type: str | None) -> int:
        """Return the GPUs of a type, or of all."""
        return self.gpus.get(gpu_type, 0) if gpu_type else sum(self.gpus.values())


def check_nodes(config: SlurmConfig, *, gpu: bool) -> int | None:
    """Return the most memory (GB) of a node that has what a job with (or without) GPUs asks for.

    Raises SubmissionRefused where no node of the partition has it. Where sinfo does not say what there is, nothing is
    refused, and None is returned.
    """
    own = config if gpu else config.cpu
    partition = own.partition or config.partition
    nodes: list[Node] = []
    with contextlib.suppress(LaunchError):
        nodes = read_nodes(run_command(["sinfo", "--noheader", "--Node", "--format", "%P|%c|%m|%G"]), partition)
    if not nodes:
        return None
    prefix = "launch." if gpu else "launch.cpu."
    place = f"of partition {partition}" if partition else "of the default partition"
    if gpu and config.gpus:
        kind = config.gpu_type
        if kind and not any(node.count(kind) for node in nodes):
            types = sorted({name for node in nodes for name in node.gpus if name}) or ["null: its GPUs have no type"]
            _refuse("launch.gpu_type", kind, f"no node {place} has such GPUs", ", ".join(types))
        what = f"{kind} GPUs" if kind else "GPUs"
        nodes = _those(nodes, [node.count(kind) for node in nodes], config.gpus, "launch.gpus", what, place)
        place += f" with {config.gpus} {what.removesuffix('s') if config.gpus == 1 else what}"
    nodes = _those(nodes, [node.cpus for node in nodes], own.cpus, f"{prefix}cpus", "CPUs", place)
    memory = [node.memory_mib // 1024 for node in nodes]  # SLURM's GB are 1024 of its MB
    _those(nodes, memory, own.mem_gb or 0, f"{prefix}mem_gb", "GB", place)
    return max(memory)


def _those(nodes: Sequence[Node], having: Sequence[int], wanted: int, field: str, what: str, place: str) -> list[Node]:
    """Return the nodes that have enough; raises SubmissionRefused where none has."""
    enough = [node for node, count in zip(nodes, having, strict=True) if count >= wanted]
    if not enough:
        _refuse(field, wanted, f"no node {place} has so many {what}", f"at most {max(having)}")
    return enough


def _refuse(field: str, value: object, problem: str, allowed: str) -> None:
    raise SubmissionRefused(describe(field, value, problem, allowed=allowed))


def read_nodes(said: str, partition: str | None) -> list[Node]:
    """Read lines of "partition|CPUs|MiB|gres"; `partition` may be several with commas, None is the default one."""
    wanted = set(partition.split(",")) if partition else None
    found = []
    for line in said.splitlines():
        match line.strip().split("|"):
            case [name, cpus, memory, gres] if cpus.isdigit() and memory.isdigit():
                if name.removesuffix("*") in wanted if wanted else name.endswith("*"):
                    gpus: dict[str, int] = {}
                    for kind, count in _GPUS.findall(gres):
                        gpus[kind] = gpus.get(kind, 0) + int(count)
                    found.append(Node(int(cpus), int(memory), gpus))
    return found
