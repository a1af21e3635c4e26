"""Small tables of samples and rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from mt.selection import DemonstrationSelection, PairSelection, Selected
from mt.types import Demonstration, Pair, Response, Rewards, Samples

MESSAGES = [{"role": "user", "content": "why?"}]


def row(responses: Sequence[tuple[str, int]], prompt_id: str = "p0") -> Samples:
    """Samples from (text, tokens)."""
    return Samples(prompt_id, MESSAGES, None, [Response(text, tokens) for text, tokens in responses])


def select(
    rule: str, responses: Sequence[tuple[str, int]], rewards: Sequence[float], *, seed: int = 0, **settings: Any
) -> Selected[Pair]:
    """Select from one prompt."""
    return select_pairs(rule, [row(responses)], [Rewards("p0", list(rewards))], seed=seed, **settings)


def select_pairs(
    rule: str,
    samples: Sequence[Samples],
    rewards: Sequence[Rewards],
    *,
    seed: int = 0,
    source: str = "test",
    score_scale: float = 1.0,
    **settings: Any,
) -> Selected[Pair]:
    selection = PairSelection.model_validate({"name": rule, "score_scale": score_scale, **settings})
    return selection.select(samples, rewards, seed=seed, source=source)


def select_demonstrations(
    rule: str, samples: Sequence[Samples], rewards: Sequence[Rewards], **settings: Any
) -> Selected[Demonstration]:
    return DemonstrationSelection.model_validate({"name": rule, **settings}).select(samples, rewards)


def texts(selection: Selected[Pair]) -> list[tuple[str, str]]:
    return [(pair.chosen.text, pair.rejected.text) for pair in selection.rows]


# Distinct texts, few token counts and rewards in quarters: ties are frequent, and sums are exact.
candidates = st.lists(
    st.tuples(st.integers(1, 6), st.integers(-40, 40).map(lambda quarter: quarter / 4)), min_size=2, max_size=7
)
