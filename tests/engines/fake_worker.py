"""A worker process without vLLM, for tests of the pool: it answers as the job's `act` says."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from mt.engines.workers import RESULTS, read_items, read_jobs, read_request
from mt.runtime.jsonl import JsonLines


def main() -> None:
    request, place = read_request()
    print("loading", flush=True)
    for job, folder in read_jobs(place):
        with JsonLines[Any](folder / RESULTS) as results:
            for item in read_items(folder):
                model = [request["model"], str(Path(request["model"]).resolve())] if "model" in request else []
                devices = os.environ.get("CUDA_VISIBLE_DEVICES")
                results.append([item, os.getpid(), devices, request["engine"], *model])
                if job["act"] == "fail":
                    raise ValueError("the engine is on fire")
                if job["act"] == "hang":
                    time.sleep(60)
                if job["act"] == "stop early":
                    return


if __name__ == "__main__":
    main()
