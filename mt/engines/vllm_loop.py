"""Inside a vLLM worker: its request, the engine's loop, and the watch over the parent."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ITEMS, RESULTS = "items.jsonl", "results.jsonl"
_QUEUE = 1024
"""Requests that wait inside the engine; the others stay in their file."""


def read_request() -> tuple[dict[str, Any], Path]:
    """Return the request named on the command line and its folder; from now on the process ends with its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    path = Path(sys.argv[1])
    return json.loads(path.read_text()), path.parent


def read_items(folder: Path) -> Iterator[Any]:
    """Yield the items of a worker's share."""
    with (folder / ITEMS).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def serve(engine: Any, prompts: Iterator[tuple[int, list[int], Any]], folder: Path, row: Callable[[Any], Any]) -> None:
    """Feed (number, token ids, parameters) to the engine; append [number, row(output)] as each one finishes."""
    from vllm.inputs import TokensPrompt

    with (folder / RESULTS).open("a", encoding="utf-8") as file:
        while True:
            room = max(0, _QUEUE - engine.get_num_unfinished_requests())
            for number, ids, parameters in itertools.islice(prompts, room):
                engine.add_request(str(number), TokensPrompt(prompt_token_ids=ids), parameters)
            if not engine.has_unfinished_requests():
                return
            for output in engine.step():
                if output.finished:
                    file.write(json.dumps([int(output.request_id), row(output)]) + "\n")
            file.flush()


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open as long as it lives."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)  # its own group: the parent started it in a session of its own
