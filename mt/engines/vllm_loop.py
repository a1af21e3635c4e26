"""Inside a vLLM worker: the engine, its request loop, and the watch over the parent."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def read_request() -> dict[str, Any]:
    """Return the request named on the command line; from now on the process ends when its parent does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    request: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    return request


def serve(engine: Any, prompts: Iterable[tuple[int, list[int], Any]], results: Path, row: Callable[[Any], Any]) -> None:
    """Feed (number, token ids, parameters) to the engine; append [number, row(output)] as each one finishes."""
    from vllm.inputs import TokensPrompt

    for number, ids, parameters in prompts:
        engine.add_request(str(number), TokensPrompt(prompt_token_ids=ids), parameters)
    with results.open("a", encoding="utf-8") as file:
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    file.write(json.dumps([int(output.request_id), row(output)]) + "\n")
            file.flush()


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open as long as it lives."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)  # its own group: the parent started it in a session of its own
