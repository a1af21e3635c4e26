"""A process that sums log-probabilities on one GPU: `python -m mt.engines.scoring.logprobs_worker request.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mt.engines.scoring.logprobs import response_logprobs
from mt.engines.settings import LogProbsConfig
from mt.engines.template import TemplateConfig
from mt.engines.workers import RESULTS, read_items, read_request
from mt.runtime.jsonl import JsonLines
from mt.types import Response


def main() -> None:
    """Sum over the request's rows; each result is [index, log-probability (nan where dropped), tokens]."""
    request, folder = read_request()
    config, model = LogProbsConfig.model_validate(request["config"]), Path(request["model"])
    indices, rows = [], []
    for index, messages, response in read_items(folder):
        indices.append(index)
        rows.append((messages, Response(**response)))
    template = TemplateConfig.model_validate(request["template"]) if request["template"] else None
    sums = response_logprobs(config, model, rows, request["max_length"], request["truncation"], template)
    with JsonLines[Any](folder / RESULTS) as results:
        for at, value, tokens in sums:
            results.append([indices[at], value, tokens])


if __name__ == "__main__":
    main()
