"""vLLM's interface without an engine, for tests of the workers: every answer follows from the request alone.

A reward is the sum of the ids; a response is "red blue <end>", or without its end where the room is for two tokens.
What is asked is written down in the file that FAKE_VLLM names, one JSON line a request.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

END, RED, BLUE = 2, 6, 7


class SamplingParams(SimpleNamespace):
    """Named values."""


class PoolingParams(SimpleNamespace):
    """Named values."""


class LLM:
    """An engine that finishes every request in one step, the last one first."""

    def __init__(self, model: str, **settings: Any) -> None:
        self.pooling = settings.get("runner") == "pooling"
        self.llm_engine = self
        self.waiting: dict[str, tuple[list[int], Any]] = {}
        _write({"started": model, **settings})

    def get_num_unfinished_requests(self) -> int:
        return len(self.waiting)

    def has_unfinished_requests(self) -> bool:
        return bool(self.waiting)

    def add_request(self, name: str, prompt: Any, parameters: Any) -> None:
        ids = prompt["prompt_token_ids"]
        self.waiting[name] = ids, parameters
        _write({"number": int(name), "ids": ids, "parameters": vars(parameters)})

    def step(self) -> list[Any]:
        asked, self.waiting = self.waiting, {}
        answer = self._pooled if self.pooling else self._sampled
        return [answer(name, *asked[name]) for name in reversed(asked)]

    def _pooled(self, name: str, ids: list[int], parameters: Any) -> Any:
        number = SimpleNamespace(float=lambda: SimpleNamespace(item=lambda: float(sum(ids))))
        return SimpleNamespace(request_id=name, finished=True, outputs=SimpleNamespace(data=number))

    def _sampled(self, name: str, ids: list[int], parameters: Any) -> Any:
        cut = parameters.max_tokens == 2
        drawn, why = ([RED, BLUE], "length") if cut else ([RED, BLUE, END], "stop")
        best = {BLUE: SimpleNamespace(logprob=-0.5), RED: SimpleNamespace(logprob=-1.0)}
        outputs = [
            SimpleNamespace(index=k, token_ids=drawn, finish_reason=why, cumulative_logprob=-2.5, logprobs=[best])
            for k in range(parameters.n)
        ]
        return SimpleNamespace(request_id=name, finished=True, outputs=outputs[::-1])


def _write(row: dict[str, Any]) -> None:
    with Path(os.environ["FAKE_VLLM"]).open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), **row}, default=str) + "\n")
