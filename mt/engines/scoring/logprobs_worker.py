"""A process that sums log-probabilities on one GPU: `python -m mt.engines.scoring.logprobs_worker request.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mt.engines.settings import LogProbsConfig
from mt.engines.template import TemplateConfig
from mt.engines.workers import RESULTS, read_items, read_jobs, requested
from mt.runtime.jsonl import JsonLines
from mt.types import Response


def main() -> None:
    """Sum over the rows of one job after another; each result is [index, log-probability (nan if dropped), tokens]."""
    with requested() as (request, place):
        config = LogProbsConfig.model_validate(request["config"])
        template = TemplateConfig.model_validate(request["template"]) if request["template"] else None
        with config.open(Path(request["folder"]), template) as policy:
            for job, folder in read_jobs(place):
                indices, rows = [], []
                for index, messages, response in read_items(folder):
                    indices.append(index)
                    rows.append((messages, Response(**response)))
                with JsonLines[Any](folder / RESULTS) as results:
                    for at, value, tokens in policy.logprobs(rows, job["max_length"], job["truncation"]):
                        results.append([indices[at], value, tokens])


if __name__ == "__main__":
    main()
