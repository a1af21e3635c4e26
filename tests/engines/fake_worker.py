"""A worker process without vLLM, for tests of the pool: it answers as the request's `act` says."""

from __future__ import annotations

import json
import os
import time

from mt.engines.workers import RESULTS, read_items, read_request


def main() -> None:
    request, folder = read_request()
    with (folder / RESULTS).open("a") as file:
        for item in read_items(folder):
            file.write(
                json.dumps([item, os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), request["engine"]]) + "\n"
            )
            file.flush()
            if request["act"] == "fail":
                raise ValueError("the engine is on fire")
            if request["act"] == "hang":
                time.sleep(60)
            if request["act"] == "stop early":
                return


if __name__ == "__main__":
    main()
