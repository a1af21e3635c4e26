"""The process in which a function of the user's own scores responses: one JSON line a call, one a reply."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mt.runtime.child import kill_descendants


def main() -> None:
    """Serve calls until the parent closes the standard input, or ends; then end, whatever the function is doing."""
    replies = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")

    def reply(rewards: list[float] | None, problem: str | None = None, said: str = "") -> None:
        replies.write(json.dumps({"rewards": rewards, "problem": problem, "said": said}) + "\n")
        replies.flush()

    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=[requests], daemon=True).start()
    try:
        function = _load(sys.argv[2], Path(sys.argv[3]))
    except BaseException as error:  # a module of the user's own may raise anything, SystemExit too
        reply(None, "raised", _in_one_line(error))
        return
    reply([])
    batched = sys.argv[4] == "batched"
    while True:
        call = json.loads(requests.get())
        try:
            messages, responses = call["messages"], call["responses"]
            if batched:
                found = list(function([messages for _ in responses], responses))
            else:
                found = [function(messages, response) for response in responses]
        except BaseException as error:
            reply(None, "raised", _in_one_line(error))
            continue
        try:
            if texts := [reward for reward in found if isinstance(reward, str | bytes)]:
                raise TypeError(f"it returned a text, {texts[0]!r}")
            rewards = [float(reward) for reward in found]
            wrong = [reward for reward in rewards if not math.isfinite(reward)]
            if wrong or len(rewards) != len(responses):
                raise ValueError(f"it returned {wrong[0] if wrong else f'{len(rewards)} rewards'}")
        except Exception as error:
            reply(None, "invalid", _in_one_line(error))
        else:
            reply(rewards)


def _read(requests: queue.Queue[str]) -> None:
    """Queue what comes in; at its end, which comes when the parent ends too, end this process."""
    for line in sys.stdin:
        requests.put(line)
    kill_descendants()
    os._exit(0)


def _load(function: str, file: Path) -> Callable[..., Any]:
    place, _, name = function.rpartition(":")
    sys.path.insert(0, str(Path.cwd()))
    if not place.endswith(".py"):
        module = importlib.import_module(place)
    else:
        sys.path.insert(0, str(file.parent))
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None and spec.loader is not None
        module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found: Callable[..., Any] = getattr(module, name)
    return found


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


if __name__ == "__main__":
    main()
