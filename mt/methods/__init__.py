"""The methods by name: each is a function from a run's steps to its outcome."""

from __future__ import annotations

from collections.abc import Callable

from mt.methods.iterative import iterative
from mt.methods.meta_rewarding import meta_rewarding
from mt.methods.mutual_taught import mutual_taught
from mt.methods.offline import offline
from mt.methods.outcome import Outcome
from mt.methods.sail import sail
from mt.methods.spin import spin
from mt.methods.steps import Steps
from mt.methods.transfer import transfer

METHODS: dict[str, Callable[[Steps], Outcome]] = {
    "mutual_taught": mutual_taught,
    "offline": offline,
    "iterative": iterative,
    "meta_rewarding": meta_rewarding,
    "self_rewarding": meta_rewarding,
    "transfer": transfer,
    "spin": spin,
    "sail": sail,
}
