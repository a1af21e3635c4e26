"""One question to a policy that is open for it alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mt.engines.scoring.logprobs import Rows
from mt.engines.settings import LogProbsConfig
from mt.engines.text import Truncation


def response_logprobs(
    config: LogProbsConfig, model: Path, rows: Rows, max_length: int, truncation: Truncation = "left"
) -> Iterator[tuple[int, float, int]]:
    with config.open(model) as policy:
        yield from policy.logprobs(rows, max_length, truncation)
