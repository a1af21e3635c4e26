"""A worker process without vLLM, for tests of the pool: it answers as the request's `act` says."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from mt.engines.vllm_loop import read_request


def main() -> None:
    request = read_request()
    with Path(request["results"]).open("a") as file:
        for item in request["items"]:
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
