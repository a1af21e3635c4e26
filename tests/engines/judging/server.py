"""A local endpoint that speaks OpenAI's chat completions, and misbehaves as often as it is told to."""

from __future__ import annotations

import hashlib
import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("429", "500", "timeout", "cut", "not_json", "no_choices", "no_answer")
REPORTED = {
    "reported": b'{"id": "x", "error": {"code": 502, "message": "the provider is down"}}',
    "reported_in_choice": b'{"choices": [{"message": {"role": "assistant", "content": ""}, "finish_reason": "error", '
    b'"error": {"code": 429, "message": "the provider is down"}}]}',
}
"""Errors inside of a reply of status 200, which may pass."""
PAID_FAULTS = ("not_json", "no_choices", "no_answer")  # a whole reply came, though it is of no use
Reply = tuple[str, dict[str, float] | None]


@dataclass
class Endpoint:
    """What the server does and what it saw; `faults` names the fault of the n-th request, None answers it."""

    reply: Callable[[list[dict[str, str]]], Reply]
    faults: Callable[[int], str | None] = lambda number: None
    hang_s: float = 1.0
    delay_s: float = 0.0
    usage: tuple[int, int] | None = (100, 10)
    url: str = ""
    moved: str = ""
    said: str = "no"
    retry_after: str = "0.01"
    refuses: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda request: None
    """The error object that a request is answered with by status 400."""
    paths: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def often(share: float, seed: int = 0, kinds: tuple[str, ...] = FAULTS) -> Callable[[int], str | None]:
    """Faults of every kind, at random, in a share of the requests."""

    def fault(number: int) -> str | None:
        rng = random.Random(f"{seed}/{number}")
        return rng.choice(kinds) if rng.random() < share else None

    return fault


def prompt_of(messages: list[dict[str, str]]) -> str:
    """A name for the first question of a conversation."""
    asked = next(message for message in messages if message["role"] == "user")
    return hashlib.sha256(asked["content"].encode()).hexdigest()


@contextmanager
def serving(endpoint: Endpoint) -> Iterator[Endpoint]:
    """Serve on a free port of the loopback until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"endpoint": endpoint}))
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint: Endpoint

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.endpoint.lock:
            number = len(self.endpoint.requests)
            self.endpoint.requests.append(request)
            self.endpoint.paths.append(self.path)
            self.endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.endpoint.at_once += 1
            self.endpoint.most_at_once = max(self.endpoint.most_at_once, self.endpoint.at_once)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                time.sleep(self.endpoint.delay_s)
                self.answer(request, self.endpoint.faults(number))
        finally:
            with self.endpoint.lock:
                self.endpoint.at_once -= 1

    def answer(self, request: dict[str, Any], fault: str | None) -> None:
        self.endpoint.seen[fault or "ok"] += 1
        body = completion(self.endpoint, request)
        if (error := self.endpoint.refuses(request)) is not None:
            self.send(400, json.dumps({"error": error}).encode(), {})
        elif fault is not None and fault.isdecimal():
            extra = {"429": {"retry-after": self.endpoint.retry_after}, "307": {"location": self.endpoint.moved}}.get(
                fault, {}
            )
            self.send(int(fault), json.dumps({"error": {"message": self.endpoint.said}}).encode(), extra)
        elif fault == "timeout":
            time.sleep(self.endpoint.hang_s)
            self.close_connection = True
        elif fault == "cut":
            self.send(200, body[: len(body) // 2], {"content-length": str(len(body))})
            self.close_connection = True
        else:
            body = {**REPORTED, "not_json": b"<html>", "no_choices": b'{"choices": []}'}.get(fault or "", body)
            if fault == "no_answer":
                body = json.dumps(_body("I cannot say.", {"I": -0.1}, request, self.endpoint.usage)).encode()
            with self.endpoint.lock:
                self.endpoint.delivered[prompt_of(request["messages"])] += 1
            self.send(200, body, {})

    def send(self, status: int, body: bytes, extra: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **extra,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def completion(endpoint: Endpoint, request: dict[str, Any]) -> bytes:
    text, top = endpoint.reply(request["messages"])
    return json.dumps(_body(text, top if request.get("logprobs") else None, request, endpoint.usage)).encode()


def _body(
    text: str, top: dict[str, float] | None, request: dict[str, Any], tokens: tuple[int, int] | None
) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
    choice["finish_reason"] = "stop"
    if top is not None:
        entries = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in top.items()]
        choice["logprobs"] = {"content": [{**entries[0], "top_logprobs": entries}]}
    body = {"id": "x", "object": "chat.completion", "model": f"{request['model']}-0806", "choices": [choice]}
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return body


def prefers(probability: Callable[[list[dict[str, str]]], float]) -> Callable[[list[dict[str, str]]], Reply]:
    """Reply m or M with the given probability of M."""

    def reply(messages: list[dict[str, str]]) -> Reply:
        p = probability(messages)
        return ("M" if p > 0.5 else "m"), {"M": math.log(p), "m": math.log(1 - p), "The": -12.0}

    return reply
