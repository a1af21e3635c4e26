"""The methods by name: each is a function from a run's steps to its outcome, and what the run may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mt.methods.iterative import iterative
from mt.methods.meta_rewarding import meta_rewarding
from mt.methods.mutual_taught import mutual_taught
from mt.methods.offline import offline
from mt.methods.outcome import Outcome
from mt.methods.sail import sail
from mt.methods.spin import spin
from mt.methods.steps import Steps
from mt.methods.transfer import transfer


@dataclass(frozen=True)
class Method:
    """A method and what it can be combined with; everything else is refused while a run is on paper."""

    draw: Callable[[Steps], Outcome]
    """The function itself: it only describes stages."""
    has_rounds: bool = False
    """Whether it can start over from base (`rounds`)."""
    trains_once: bool = False
    """Whether it has one iteration only."""
    makes_pairs: bool = False
    """Whether it trains on pairs of its own making, beside or instead of what `selection` gives."""


METHODS: dict[str, Method] = {
    "mutual_taught": Method(mutual_taught, has_rounds=True),
    "offline": Method(offline, trains_once=True),
    "iterative": Method(iterative),
    "meta_rewarding": Method(meta_rewarding, makes_pairs=True),
    "self_rewarding": Method(meta_rewarding, makes_pairs=True),
    "transfer": Method(transfer, trains_once=True),
    "spin": Method(spin, makes_pairs=True),
    "sail": Method(sail, makes_pairs=True),
}
