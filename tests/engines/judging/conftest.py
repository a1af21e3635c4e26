from __future__ import annotations

import pytest

from tests.engines.judging.server import Endpoint, prefers, serving


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint(environment, monkeypatch):
    with serving(Endpoint(prefers(lambda messages: 0.8))) as started:
        monkeypatch.setenv("OPENAI_BASE_URL", started.url)
        yield started
