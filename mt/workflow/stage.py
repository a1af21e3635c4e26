"""A stage: the pure description of one computation, and at the same time the reference to its artifact."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mt.choice import source_hash
from mt.errors import StoreError, describe
from mt.workflow.keys import Keyed, canonical, digest_canonical

if TYPE_CHECKING:
    from mt.workflow.volume import AssumptionsConfig, Use, Volume, Volumes
    from mt.workflow.work import Work

SHORT = 20
"""Characters of a key that name a folder."""


@dataclass(frozen=True, eq=False)
class Stage(Keyed):
    """One step of an algorithm; its fields are its inputs (other stages, settings, seeds).

    Two stages with equal name, version and inputs have equal keys and share one artifact. A key depends on
    configuration only, never on results: a whole algorithm can be planned before anything runs.
    """

    VERSION: ClassVar[int] = 1
    """Raised whenever the same inputs would give another output: results are recomputed, none destroyed."""
    NEEDS: ClassVar[str] = "cpu"
    """What the stage runs on: "cpu", "gpu" or "network"."""
    DECIDES: ClassVar[bool] = False
    """Whether its output may end a run (`decision.json`): see `Plan.missing`."""
    UNKEYED: ClassVar[frozenset[str]] = frozenset()
    """Fields that change how the output is made, never what it is."""

    @property
    def name(self) -> str:
        """The class's name in snake case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that enters the key: name, version and canonical inputs."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        keyed = {name: value for name, value in values.items() if name not in self.UNKEYED}
        code = source_hash(type(self))  # of a stage of the user's own: nobody raises a VERSION for it
        own = {"code": code} if code else {}
        return {"stage": self.name, "version": self.VERSION, "inputs": canonical(keyed), **own}

    @cached_property
    def key(self) -> str:
        """The SHA-256 (hex) of the stage's identity."""
        return digest_canonical(self.identity)

    @property
    def address(self) -> str:
        """Where the artifact lies in a store: "<name>/<short key>"."""
        return f"{self.name}/{self.key[:SHORT]}"

    @cached_property
    def _inputs(self) -> list[Stage]:
        return [stage for field in fields(self) for stage in _stages(getattr(self, field.name))]

    def inputs(self) -> list[Stage]:
        """Return the stages whose artifacts this one reads, in the order of the fields."""
        return list(self._inputs)

    @property
    def opens(self) -> str | None:
        """What names the engine that the stage asks `Work.engine` for, or None; never part of the key."""
        return None

    def check(self) -> None:
        """Raise an error where the stage cannot succeed; called before anything runs, so it reads only cheap facts."""

    def inspect(self) -> None:
        """Raise an error where the stage cannot succeed; called once when a process starts to compute, before the first
        stage, so it may take seconds.
        """

    def outside(self) -> str | None:
        """Return a description of what the stage must reach outside the store where it is computed, or None."""
        return None

    def reach(self) -> None:
        """Raise an error where this machine does not reach what `outside` names; takes seconds at most."""

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the size of the output, for estimates of cost; by default that of the first input.

        Args:
            inputs: The volumes of its inputs.
            assumed: What is assumed where nothing is known.
        """
        from mt.workflow.volume import Volume

        first = self.inputs()[:1]
        return inputs[first[0].key] if first else Volume()

    def use(self) -> Use | None:
        """Return how it uses a model, for estimates of cost; None where it uses none."""
        return None

    def run(self, work: Work) -> None:
        """Compute the output into `work.folder`; heavy imports belong inside."""
        raise NotImplementedError(f"{type(self).__name__} has no run()")


@dataclass(frozen=True, eq=False)
class External(Stage):
    """Something that exists outside the store (a user's file or folder): never run, never copied."""

    fingerprint: str
    """What identifies the content: a hash of it, or a pinned revision."""
    location: Path
    """Where it lies; not part of the key."""
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location"})

    def outside(self) -> str | None:
        """Return where it lies."""
        return str(self.location)

    def reach(self) -> None:
        """Raise StoreError where this machine does not see it."""
        if not self.location.exists():
            fix = "Put it on a file system that all nodes share; the hub's cache is named by HF_HOME"
            raise StoreError(describe(self.name, self.location, f"{socket.gethostname()} does not see it", fix=fix))


def _stages(value: Any) -> Iterator[Stage]:
    if isinstance(value, Stage):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _stages(item)
