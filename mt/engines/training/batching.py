"""Which rows make which optimizer step, and how a step's rows are cut to fit a device; pure lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mt.engines.batching import token_batches


def global_batches(
    lengths: Sequence[int],
    batch_size: int,
    *,
    epochs: int,
    seed: int,
    buckets: int,
    drop_last: bool,
) -> list[list[int]]:
    """Return the rows of every optimizer step: each epoch passes over all rows in an order of its own.

    All batches hold exactly `batch_size` rows but the last one of an epoch, which holds the rest or is left out.
    `buckets` batches at a time are sorted by length before they are cut; then the batches are shuffled.
    """
    steps: list[list[int]] = []
    for epoch in range(epochs):
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(lengths)).tolist()
        whole = len(order) // batch_size * batch_size
        batches = _bucketed(order[:whole], lengths, batch_size, buckets)
        steps += [batches[i] for i in random.permutation(len(batches))]
        if order[whole:] and not drop_last:
            steps.append(order[whole:])
    return steps


def micro_batches(rows: Sequence[int], lengths: Sequence[int], budget: int, devices: int) -> list[list[list[int]]]:
    """Cut a step's rows into micro-batches of at most `budget` padded tokens: one list of them per device.

    Every device gets equally many (collective operations wait for each other): the largest are halved until the
    number divides, and where rows are fewer than devices some get an empty one.
    """
    groups = [[rows[i] for i in batch] for batch in token_batches([lengths[row] for row in rows], budget)]
    while len(groups) % devices:
        groups.sort(key=lambda group: -_padded(group, lengths))
        largest = next((i for i, group in enumerate(groups) if len(group) > 1), None)
        if largest is None:
            groups += [[] for _ in range(-len(groups) % devices)]
        else:
            group = groups.pop(largest)
            groups += [group[: len(group) // 2], group[len(group) // 2 :]]
    groups.sort(key=lambda group: -_padded(group, lengths))
    return [groups[device::devices] for device in range(devices)]


def _bucketed(order: list[int], lengths: Sequence[int], batch_size: int, buckets: int) -> list[list[int]]:
    batches = []
    for start in range(0, len(order), batch_size * buckets):
        chunk = order[start : start + batch_size * buckets]
        if buckets > 1:
            chunk = sorted(chunk, key=lambda row: lengths[row])
        batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    return batches


def _padded(group: Sequence[int], lengths: Sequence[int]) -> int:
    return len(group) * max((lengths[row] for row in group), default=0)
