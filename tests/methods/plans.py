"""Plans to hold against a method's pseudo-code: nothing in them is ever run."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from mt.config.compose import compose_runs
from mt.methods.compile import CompiledRun, compile_run
from mt.workflow.plan import plan
from mt.workflow.stage import Stage

S = TypeVar("S", bound=Stage)


@lru_cache(maxsize=64)
def compiled(*overrides: str) -> CompiledRun:
    """The compiled run in the world; without evaluations unless `overrides` name some."""
    given = {line.partition("=")[0] for line in overrides}
    return compile_run(compose_runs([*overrides, *([] if "eval" in given else ["eval=[]"])])[0].config)


def of(one: CompiledRun, kind: type[S]) -> list[S]:
    """All stages of one kind, in the plan's order."""
    return [stage for stage in one.plan.order if isinstance(stage, kind)]


def reach(*targets: Stage) -> set[str]:
    """The keys of everything that the targets need."""
    return {stage.key for stage in plan(targets).order}


def same(one: Stage | None, other: Stage | None) -> bool:
    """Whether both are the very same computation."""
    return one is not None and other is not None and one.key == other.key


def only(found: list[S]) -> S:
    """The only one."""
    (stage,) = found
    return stage
