"""A vLLM process that scores: `python -m mt.engines.scoring.vllm_worker request.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mt.engines.vllm_loop import read_request, serve


def main() -> None:
    """Score the request's conversations; each result is the raw logit of the score head."""
    request = read_request()
    from vllm import LLM, PoolingParams

    llm = LLM(request["model"], runner="pooling", max_model_len=request["max_length"], **request["engine"])
    raw = PoolingParams(use_activation=False, task="classify")
    serve(llm.llm_engine, ((n, ids, raw) for n, ids in request["items"]), Path(request["results"]), _reward)


def _reward(output: Any) -> float:
    return float(output.outputs.data.float().item())


if __name__ == "__main__":
    main()
