"""A vLLM process that samples: `python -m mt.engines.generation.vllm_worker request.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mt.engines.generation.prompts import fit_prompt
from mt.engines.generation.vllm import VllmGenerator
from mt.engines.settings import DecodingConfig
from mt.engines.text import Chat
from mt.engines.vllm_loop import TokenizedItem, open_request, serve
from mt.engines.workers import read_items, read_jobs, requested
from mt.types import Prompt


def main() -> None:
    """Sample the prompts of one job after another; a result is [token ids, finish reason, logprob, alternatives]s.

    Beside it stands whether the prompt is too long, and None in its place where it is dropped for that.
    """
    with requested() as (request, place):
        from vllm import LLM

        config, chat = open_request(request, VllmGenerator)
        own = {"generation_config": "vllm", "skip_tokenizer_init": True, "enable_prefix_caching": True}
        llm = LLM(request["model"], max_model_len=request["max_length"], **own, **request["engine"])
        for job, folder in read_jobs(place):
            serve(llm.llm_engine, _asked(job, folder, chat, config), folder, _responses)


def _asked(job: dict[str, Any], folder: Path, chat: Chat, config: VllmGenerator) -> Iterator[TokenizedItem]:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    decoding = DecodingConfig.model_validate(job["decoding"])
    for number, messages, seed, wanted in read_items(folder):
        ready, too_long = fit_prompt(Prompt(str(number), messages), chat, config, decoding)
        if ready is None or not wanted:
            yield TokenizedItem(number, None, None, [too_long])
            continue
        parameters = SamplingParams(
            n=1 if decoding.temperature == 0 else decoding.samples,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            max_tokens=ready.room,
            seed=seed,
            stop_token_ids=chat.stop_ids,
            logprobs=job["alternatives"],  # 0: those of the sampled tokens, from raw logits (logprobs_mode)
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        yield TokenizedItem(number, ready.ids, parameters, [too_long])


def _responses(output: Any) -> list[list[Any]]:
    rows = []
    for one in sorted(output.outputs, key=lambda response: response.index):
        first = one.logprobs[0] if one.logprobs else {}  # the first token's alternatives, likeliest first
        alternatives = sorted(([token, entry.logprob] for token, entry in first.items()), key=lambda pair: -pair[1])
        rows.append([list(one.token_ids), one.finish_reason, one.cumulative_logprob, alternatives])
    return rows


if __name__ == "__main__":
    main()
