"""The judge against transformers' own server: a real endpoint that speaks the protocol, with a tiny model."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.engines.judging import open_judge
from mt.errors import JudgeError
from tests.engines.judging.models import speaking_judge
from tests.engines.judging.settings import comparisons, openai_config

NEEDED = ("fastapi", "uvicorn")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason=f"transformers' server needs {' and '.join(NEEDED)} (pip install transformers[serving])",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking_judge(tmp_path_factory.mktemp("served") / "judge", {"[[B>>A]]": 5.0, "m": 1.0})


@pytest.fixture(scope="module")
def address(model: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server did not start within a minute")


@pytest.fixture(autouse=True)
def environment(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", address)


def test_verdicts_of_a_real_server(model: Path, tmp_path: Path) -> None:
    config = openai_config(model=str(model), concurrency=2, timeout_s=60.0)
    with open_judge(config, "verdict", cache=tmp_path) as judge:
        rows = list(judge.judge(comparisons(4)))
    assert [(row.verdict, row.preference, row.problem) for row in rows] == [("B>>A", 2.0, None)] * 4
    assert judge.counts["calls"] == 4
    assert judge.counts["output_tokens"] == 8  # the label and the end of the turn
    with open_judge(config, "verdict", cache=tmp_path) as judge:
        assert len(list(judge.judge(comparisons(4)))) == judge.counts["cached"] == 4


def test_a_server_without_log_probabilities_is_said(model: Path, tmp_path: Path) -> None:
    config = openai_config(model=str(model), concurrency=1, timeout_s=60.0, prove_within=2)
    with (
        open_judge(config, "preference", cache=tmp_path) as judge,
        pytest.raises(JudgeError, match="no log-probabilities of m or M"),
    ):
        list(judge.judge(comparisons(4)))
