"""A vLLM process that scores: `python -m mt.engines.scoring.vllm_worker request.json`."""

from __future__ import annotations

from typing import Any

from mt.engines.vllm_loop import serve
from mt.engines.workers import read_items, read_jobs, read_request


def main() -> None:
    """Score the conversations of one job after another; each result is the raw logit of the score head."""
    request, place = read_request()
    from vllm import LLM, PoolingParams

    llm = LLM(request["model"], runner="pooling", max_model_len=request["max_length"], **request["engine"])
    raw = PoolingParams(use_activation=False, task="classify")
    for _, folder in read_jobs(place):
        serve(llm.llm_engine, ((number, ids, raw) for number, ids in read_items(folder)), folder, _reward)


def _reward(output: Any) -> float:
    return float(output.outputs.data.float().item())


if __name__ == "__main__":
    main()
