"""What a demand is: a sentence of the prompt, and a check that says whether an answer meets it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from mt.instructions.text import Text

FAMILIES = ("Length", "Words", "Letters", "Marks", "Form")
_BLANKS = {name: rf"(?P<{name}>\d+)" for name in ("n", "low", "high")}
_BLANKS |= {name: rf"(?P<{name}>\w+)" for name in ("word", "other", "letter")}


@dataclass(frozen=True, eq=False)
class DemandKind:
    """A kind of demand; what it claims and excludes keeps contradictions out of a prompt."""

    name: str
    family: str
    says: str
    """The sentence of the prompt, with blanks {n}, {low}, {high} for numbers and {word}, {other}, {letter} for text."""
    meets: Callable[..., bool]
    """From a text and what stands in the blanks to whether the text meets the demand."""
    choices: dict[str, list[str]]
    """What each blank may hold."""
    claims: frozenset[str]
    """What it decides about an answer."""
    excludes: frozenset[str]
    """Claims of other kinds that cannot be met beside it."""
    held_out: bool
    """Whether only the benchmark of reward models has it."""
    weight: int
    """How often it is drawn, relative to others."""

    def draw(self, rng: random.Random) -> str:
        """Return the sentence with its blanks filled."""
        values = {name: rng.choice(choices) for name, choices in self.choices.items()}
        if "low" in values:
            values["high"] = str(int(values["low"]) + 5)
        return self.says.format(**values)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What finds its sentence in a prompt."""
        pieces = re.split(r"(\{\w+\})", self.says)
        return re.compile("".join(_BLANKS.get(piece.strip("{}"), re.escape(piece)) for piece in pieces))

    def agrees_with(self, other: DemandKind) -> bool:
        """Say whether an answer can meet both."""
        return self is not other and not (self.excludes & other.claims or other.excludes & self.claims)


@dataclass(frozen=True)
class Demand:
    """A kind with its blanks filled."""

    kind: DemandKind
    values: dict[str, str]

    def met(self, text: Text) -> bool:
        """Say whether an answer meets it."""
        return self.kind.meets(text, **self.values)


def demand(
    family: str,
    says: str,
    claims: str = "",
    excludes: str | None = None,
    held_out: bool = False,
    weight: int = 2,
    **choices: str,
) -> Callable[[Callable[..., bool]], DemandKind]:
    """Make a kind of the check that follows; without `excludes` it excludes what it claims itself."""
    own = frozenset(claims.split())
    others = own if excludes is None else frozenset(excludes.split())
    filled = {blank: words.split() for blank, words in choices.items()}
    return lambda check: DemandKind(check.__name__, family, says, check, filled, own, others, held_out, weight)
