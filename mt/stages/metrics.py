"""From one value per prompt to metrics with intervals; the values stay beside them, so that runs can be paired."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mt.data.prompts import content_hash
from mt.types import Messages, Metric, Rewards
from mt.workflow.stage import Stage
from mt.workflow.work import Work

if TYPE_CHECKING:
    from mt.evaluation.statistics import Interval


def write_means(
    work: Work,
    benchmark: str,
    values: Mapping[str, Mapping[str, float]],
    *others: Metric,
    differences: Collection[str] = (),
) -> None:
    """Write the mean of each metric's values by prompt, the values themselves, and the `others` as they are."""
    found = {name: by_prompt for name, by_prompt in values.items() if by_prompt}
    metrics = [
        mean_metric(benchmark, name, list(by_prompt.values()), difference=name in differences)
        for name, by_prompt in found.items()
    ]
    work.write_metrics([*metrics, *others])
    work.write_items(found)


def win_rates(work: Work, rewards: Sequence[Rewards], base: Stage) -> dict[str, float]:
    """Return by prompt how often a response is rewarded above one of the base policy; a tie counts half."""
    of_base = rewards_by_prompt(work, base)
    return {row.prompt_id: win_rate(row.rewards, of_base[row.prompt_id]) for row in rewards}


def rewards_by_prompt(work: Work, rewards: Stage) -> dict[str, list[float]]:
    """Return a table of rewards by prompt id."""
    return {row.prompt_id: row.rewards for row in work.rows(Rewards, rewards)}


def mean_metric(benchmark: str, name: str, values: Sequence[float], *, difference: bool = False) -> Metric:
    """Return a mean with its 95% interval: Wilson's for a share (values of 0 and 1 that are no difference), or
    Student's, which for shares per prompt is kept within 0 and 1.
    """
    from mt.evaluation.catalogue import quantity
    from mt.evaluation.formats import SHARE
    from mt.evaluation.statistics import t_interval, wilson_interval

    share = not difference and all(value in (0.0, 1.0) for value in values)
    interval: Interval | None = wilson_interval(sum(values), len(values)) if share else t_interval(values)
    low, high = (interval.low, interval.high) if interval else (None, None)
    if low is not None and high is not None and not difference and quantity(benchmark, name).format is SHARE:
        low, high = max(low, 0.0), min(high, 1.0)
    return Metric(benchmark, name, mean(values), low, high, len(values))


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values)


def prompt_means(rows: Iterable[tuple[str, Messages, float]]) -> dict[str, float]:
    """Average the values of rows (id, prompt, value) by prompt; ids may differ, and the first one names the prompt."""
    names: dict[str, str] = {}
    found: dict[str, list[float]] = {}
    for row_id, messages, value in rows:
        found.setdefault(names.setdefault(content_hash(messages), row_id), []).append(value)
    return {name: mean(values) for name, values in found.items()}


def win_rate(values: Sequence[float], base: Sequence[float]) -> float:
    """Return how often one of `values` is above one of `base`; a tie counts half."""
    return mean([(a > b) + 0.5 * (a == b) for a in values for b in base])


def order_agreement(reference: Sequence[float], values: Sequence[float], margin: float = 0.0) -> float | None:
    """Return the share of pairs that `values` order like `reference`, a tie counting half.

    Pairs count where the reference differs by more than `margin`; None where it tells none apart.
    """
    scores = [
        float((reference[i] > reference[j]) == (values[i] > values[j])) if values[i] != values[j] else 0.5
        for i in range(len(reference))
        for j in range(i)
        if abs(reference[i] - reference[j]) > margin
    ]
    return mean(scores) if scores else None


def known(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def best(values: Sequence[float]) -> int:
    """Return the position of the largest value, the first of equal ones."""
    return max(range(len(values)), key=values.__getitem__)
