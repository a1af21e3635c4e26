"""The judges against real servers that speak OpenAI's protocol, transformers' own and vLLM's, on a tiny model."""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mt.engines.judging import JudgeContext, open_judge
from mt.engines.judging.vllm import VllmJudge
from mt.errors import JudgeError
from tests.engines.judging.models import speaking_judge
from tests.engines.judging.settings import comparisons, openai_config

pytestmark = pytest.mark.engines

LOGITS = {"[[B>>A]]": 5.0, "m": 0.0, "M": math.log(4)}
_START_S = 240  # vLLM imports for a minute where the machine is busy
_QUIET = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def needs(*packages: str) -> pytest.MarkDecorator:
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"{', '.join(absent)} not installed (make test-engines)")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking_judge(tmp_path_factory.mktemp("served") / "judge", LOGITS)


@pytest.fixture(scope="module")
def transformers_server(model: Path) -> Iterator[str]:
    command = ["-m", "transformers.cli.transformers", "serve", str(model), "--device", "cpu", "--dtype", "float32"]
    with _serving(command) as address:
        yield address


@pytest.fixture(scope="module")
def vllm_server(model: Path) -> Iterator[str]:
    command = ["-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", str(model)]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "1024", "--seed", "0"]
    command += ["--kv-cache-memory-bytes", str(64 * 2**20)]
    with _serving(command) as address:
        yield address


@contextmanager
def _serving(arguments: list[str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    # A session of its own, so that the server's worker processes end with it.
    server = subprocess.Popen(
        command,
        env={**os.environ, **_QUIET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until(lambda: _answers(f"http://127.0.0.1:{port}/health"), server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def _wait_until(ready: Callable[[], bool], server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        assert server.poll() is None, "the server ended"
        assert time.monotonic() < deadline, f"the server did not start within {_START_S} s"
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except OSError:
        return False
    return True


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return lambda address: monkeypatch.setenv("OPENAI_BASE_URL", address)


@pytest.mark.parametrize(
    "server",
    [
        pytest.param("transformers_server", marks=needs("fastapi", "uvicorn")),
        pytest.param("vllm_server", marks=needs("vllm")),
    ],
)
def test_verdict_texts(server, model, tmp_path, at, request):
    at(request.getfixturevalue(server))
    config = openai_config(model=str(model), concurrency=2, timeout_s=60.0)
    for cached in (0, 4):
        with open_judge(config, JudgeContext("verdict"), cache=tmp_path) as judge:
            rows = list(judge.judge(comparisons(4)))
        assert [(row.verdict, row.preference, row.problem) for row in rows] == [("B>>A", 2.0, None)] * 4
        assert (judge.counts["cached"], judge.counts["calls"]) == (cached, 4 - cached)
    assert all(row.raw.strip() == "[[B>>A]]" for row in rows)


@needs("vllm")
def test_token_log_probabilities(model, tmp_path, at, vllm_server):
    at(vllm_server)
    config = openai_config(model=str(model), timeout_s=60.0)
    with open_judge(config, JudgeContext("preference"), cache=tmp_path) as judge:
        rows = list(judge.judge(comparisons(6) + comparisons(6, "model_first")))
    assert {(row.order, round(row.preference, 4)) for row in rows} == {("baseline_first", 1.8), ("model_first", 1.2)}


@needs("vllm")
def test_a_comparison_beyond_the_context_is_refused_and_missing(model, tmp_path, at, vllm_server):
    from dataclasses import replace

    at(vllm_server)
    good, long = comparisons(2)
    config = openai_config(model=str(model), timeout_s=60.0, concurrency=1)
    with open_judge(config, JudgeContext("preference"), cache=tmp_path) as judge:
        rows = {row.prompt_id: row for row in judge.judge([good, replace(long, model="m " * 2000)])}
    assert rows["p0"].preference == pytest.approx(1.8, abs=1e-4)
    assert rows["p1"].preference is None
    assert "status 400" in rows["p1"].problem


@needs("fastapi", "uvicorn")
def test_a_server_without_log_probabilities_is_said(model, tmp_path, at, transformers_server):
    at(transformers_server)
    config = openai_config(model=str(model), concurrency=1, timeout_s=60.0, prove_within=2)
    with (
        open_judge(config, JudgeContext("preference"), cache=tmp_path) as judge,
        pytest.raises(JudgeError, match="no log-probabilities of m or M"),
    ):
        list(judge.judge(comparisons(4)))


@needs("vllm")
@pytest.mark.parametrize(
    ("style", "by", "expected"),
    [("verdict", "logprobs", ("B>>A", 2.0)), ("preference", "text", (None, 2.0)), ("preference", "logprobs", None)],
)
def test_the_local_judge_by_vllm(tmp_path, style, by, expected):
    folder = speaking_judge(tmp_path / "judge", LOGITS if style == "verdict" else {"M": 2.0, "m": 1.0})
    generator = {
        "name": "vllm",
        "dtype": "float32",
        "long_prompts": "drop",
        "min_response_tokens": 4,
        "processes": 1,
        "tensor_parallel": 1,
        "gpu_memory": 0.5,
        "cache_mib": 64,
        "max_sequences": 16,
        "eager": True,
        "threads": 1,
    }
    values = {"name": "vllm", "path": "judge", "revision": None, "generator": generator, "max_length": 512}
    values |= {"preference_template": "own", "verdict_template": "own", "template_kwargs": {}, "max_tokens": 8}
    config = VllmJudge.model_validate({**values, "preference_by": by, "top_logprobs": 5})
    expected = expected or (None, pytest.approx(1 + 1 / (1 + math.exp(-1)), abs=1e-5))
    with open_judge(config, JudgeContext(style, model=folder, version="j"), cache=None) as judge:
        rows = list(judge.judge(comparisons(3)))
    assert [(row.verdict, row.preference) for row in rows] == [expected] * 3
