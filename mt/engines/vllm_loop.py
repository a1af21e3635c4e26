"""Inside a vLLM worker: the engine's loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mt.engines.workers import RESULTS
from mt.runtime.jsonl import JsonLines

_QUEUE = 1024
"""Requests that wait inside the engine; the others stay in their file."""


def serve(engine: Any, prompts: Iterator[tuple[int, list[int], Any]], folder: Path, row: Callable[[Any], Any]) -> None:
    """Feed (number, token ids, parameters) to the engine; append [number, row(output)] as each one finishes."""
    from vllm.inputs import TokensPrompt

    with JsonLines[Any](folder / RESULTS) as results:
        while True:
            room = max(0, _QUEUE - engine.get_num_unfinished_requests())
            for number, ids, parameters in itertools.islice(prompts, room):
                engine.add_request(str(number), TokensPrompt(prompt_token_ids=ids), parameters)
            if not engine.has_unfinished_requests():
                return
            for output in engine.step():
                if output.finished:
                    results.append([int(output.request_id), row(output)])
