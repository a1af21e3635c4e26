"""A loopback server that speaks the part of W&B's API that is used, and that can fail on request."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from tests.tracking.fake_wandb_answers import OPERATIONS, FakeRun, run_of

OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")


class FakeWandb:
    """`with FakeWandb() as server:` serves at `server.url` until the block ends."""

    def __init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.authorizations: set[str] = set()
        self.failure: str | None = None
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> FakeWandb:
        self.thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def environment(self) -> dict[str, str]:
        """Return the environment variables that send a client here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY}

    def only(self) -> FakeRun:
        """Return the one run that arrived."""
        (run,) = self.runs.values()
        return run

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Answer an operation by its name; an unknown one is remembered, so that tests can look."""
        match = OPERATION.search(query)
        name = match.group(1) if match else query[:40]
        answer = OPERATIONS.get(name)
        if answer is None:
            self.unknown.append(name)
            return {"errors": [{"message": f"unknown operation {name}"}]}
        return {"data": answer(self, variables)}

    def stream(self, run: FakeRun, body: dict[str, Any]) -> None:
        """Take a piece of the file stream: lines at offsets, and how the run ended."""
        for stream, chunk in body.get("files", {}).items():
            offset = chunk.get("offset", 0)
            lines = run.streams.setdefault(stream, {})
            for number, line in enumerate(chunk.get("content", [])):
                lines[0 if stream.endswith("summary.json") else offset + number] = line
        if body.get("complete"):
            run.exit_code = body.get("exitcode")
            run.state = "finished" if run.exit_code == 0 else "failed"


KEY = "k" * 40
STATUS = {"error": 500, "unauthorized": 401}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeWandb

    def log_message(self, *args: object) -> None:
        """Stay quiet."""

    def _fails(self) -> bool:
        if self.fake.failure is None:
            return False
        if self.fake.failure == "hang":
            self.fake.released.wait(60)
        if self.fake.failure in STATUS:
            self._send(STATUS[self.fake.failure], b"broken")
        else:
            self.close_connection = True
            self.connection.close()
        return True

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _note(self) -> bytes:
        body = self._body()
        with self.fake.lock:
            self.fake.requests.append(f"{self.command} {self.path}")
            self.fake.authorizations.add(self.headers.get("Authorization") or "")
        return body

    def do_POST(self) -> None:
        body = self._note()
        if self._fails() or not body:  # nothing arrives from a client that was cut off
            return
        sent = json.loads(body)
        with self.fake.lock:
            if self.path.endswith("/graphql"):
                self._send(200, json.dumps(self.fake.graphql(sent["query"], sent.get("variables") or {})).encode())
                return
            _, _, _, project, name, _ = self.path.split("/")
            self.fake.stream(run_of(self.fake, name, project), sent)
        self._send(200, b'{"limits": {}}')

    def do_PUT(self) -> None:
        body = self._note()
        if self._fails():
            return
        _, _, name, path = unquote(self.path).split("/", 3)
        target = self.fake.blobs if name == "artifact" else self.fake.runs[name].files
        target[path] = body
        self._send(200, b"")

    def do_GET(self) -> None:
        self._note()
        if self._fails():
            return
        if not self.path.startswith("/get/"):
            self._send(404, b"{}")
            return
        _, _, name, path = unquote(self.path).split("/", 3)
        self._send(200, self.fake.runs[name].files[path])


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until a condition holds, and say whether it did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
