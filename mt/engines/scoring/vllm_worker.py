"""A vLLM process that scores: `python -m mt.engines.scoring.vllm_worker request.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mt.engines.scoring.sequences import fit_item
from mt.engines.scoring.vllm import VllmScorer
from mt.engines.text import Chat
from mt.engines.vllm_loop import TokenizedItem, open_request, serve
from mt.engines.workers import read_items, read_jobs, requested


def main() -> None:
    """Score the conversations of one job after another: raw logits of the score head, tokens, whether they were cut."""
    with requested() as (request, place):
        from vllm import LLM, PoolingParams

        config, chat = open_request(request, VllmScorer)
        # vLLM wants room for one token more than a conversation has, though it generates none.
        llm = LLM(request["model"], runner="pooling", max_model_len=config.max_length + 1, **request["engine"])
        raw = PoolingParams(use_activation=False, task="classify")
        for _, folder in read_jobs(place):
            asked = _asked(folder, chat, config, raw)
            serve(llm.llm_engine, asked, folder, lambda output: float(output.outputs.data.float().item()))


def _asked(folder: Path, chat: Chat, config: VllmScorer, raw: Any) -> Iterator[TokenizedItem]:
    for number, messages, text, wanted in read_items(folder):
        ids, cut = fit_item(messages, text, chat, config)
        yield TokenizedItem(number, ids if wanted else None, raw, [len(ids), cut])


if __name__ == "__main__":
    main()
