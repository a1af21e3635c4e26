"""A worker process without vLLM, for tests of the pool: it answers as the request's `act` says."""

from __future__ import annotations

import os
import time
from typing import Any

from mt.engines.workers import RESULTS, read_items, read_request
from mt.runtime.jsonl import JsonLines


def main() -> None:
    request, folder = read_request()
    with JsonLines[Any](folder / RESULTS) as results:
        for item in read_items(folder):
            results.append([item, os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), request["engine"]])
            if request["act"] == "fail":
                raise ValueError("the engine is on fire")
            if request["act"] == "hang":
                time.sleep(60)
            if request["act"] == "stop early":
                return


if __name__ == "__main__":
    main()
