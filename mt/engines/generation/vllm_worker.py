"""A vLLM process that samples: `python -m mt.engines.generation.vllm_worker request.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mt.engines.vllm_loop import serve
from mt.engines.workers import read_items, read_jobs, read_request


def main() -> None:
    """Sample the prompts of one job after another; a result is [token ids, finish reason, logprob, alternatives]s."""
    request, place = read_request()
    from vllm import LLM

    own = {"generation_config": "vllm", "skip_tokenizer_init": True, "enable_prefix_caching": True}
    llm = LLM(request["model"], max_model_len=request["max_length"], **own, **request["engine"])
    for job, folder in read_jobs(place):
        serve(llm.llm_engine, _prompts(job, folder), folder, _responses)


def _prompts(job: dict[str, Any], folder: Path) -> Iterator[tuple[int, list[int], Any]]:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    for number, ids, room, seed in read_items(folder):
        parameters = SamplingParams(
            n=job["copies"],
            temperature=job["temperature"],
            top_p=job["top_p"],
            max_tokens=room,
            seed=seed,
            stop_token_ids=job["stop"],
            logprobs=job["alternatives"],  # 0: those of the sampled tokens, from raw logits (logprobs_mode)
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        yield number, ids, parameters


def _responses(output: Any) -> list[list[Any]]:
    ordered = sorted(output.outputs, key=lambda response: response.index)
    return [
        [list(one.token_ids), one.finish_reason, one.cumulative_logprob, _alternatives(one.logprobs)] for one in ordered
    ]


def _alternatives(logprobs: Any) -> list[list[Any]]:
    """Return [token id, log-probability] of the first token's alternatives, likeliest first."""
    first = logprobs[0] if logprobs else {}
    return sorted(([token, entry.logprob] for token, entry in first.items()), key=lambda pair: -pair[1])


if __name__ == "__main__":
    main()
