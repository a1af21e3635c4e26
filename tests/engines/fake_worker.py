"""A worker process without vLLM, for tests of the pool: it answers as the job's `act` says."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from mt.engines.workers import RESULTS, read_items, read_jobs, requested
from mt.errors import DataError, describe
from mt.runtime.jsonl import JsonLines


def main() -> None:
    with requested() as (request, place):
        print("loading", flush=True)
        model, devices = Path(request["model"]), os.environ.get("CUDA_VISIBLE_DEVICES")
        for job, folder in read_jobs(place):
            with JsonLines[Any](folder / RESULTS) as results:
                for item in read_items(folder):
                    results.append([item, os.getpid(), devices, str(model), str(model.resolve()), request["engine"]])
                    if job["act"] == "fail":
                        raise ValueError("the engine is on fire")
                    if job["act"] == "refuse":
                        raise DataError(describe("messages", "user/user", "the chat template refuses them"))
                    if job["act"] == "hang":
                        time.sleep(60)
                    if job["act"] == "stop early":
                        return


if __name__ == "__main__":
    main()
