"""The methods by name: each is a function from a run's steps to its outcome."""

from __future__ import annotations

from collections.abc import Callable

from mt.methods.iterative import iterative
from mt.methods.mutual_taught import mutual_taught
from mt.methods.offline import offline
from mt.methods.outcome import Outcome
from mt.methods.steps import Steps

METHODS: dict[str, Callable[[Steps], Outcome]] = {
    "mutual_taught": mutual_taught,
    "offline": offline,
    "iterative": iterative,
}
