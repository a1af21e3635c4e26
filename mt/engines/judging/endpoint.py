"""One request to an OpenAI-compatible endpoint, tried again while there is hope."""

from __future__ import annotations

import math
import os
import random
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from mt.engines.judging.answers import reported_error
from mt.engines.judging.openai import OpenAIJudge
from mt.errors import JudgeError, MissingKeyError, describe
from mt.runtime.redact import redact
from mt.runtime.text import whole

_LONGEST_WAIT_S = 60.0
_CONNECT_S = 20.0
_LONGEST_WISH_S = 600.0  # a server that asks for more is asked again after that
_RETRIED = (408, 409, 425, 429)  # and every 5xx
# The same for every request, and what to look at:
_FATAL = {
    401: "OPENAI_API_KEY",
    402: "the account's balance",
    403: "OPENAI_API_KEY",
    404: "OPENAI_MODEL and OPENAI_BASE_URL",
    405: "OPENAI_BASE_URL",
}
_NOT_SENT = ("Connect", "Pool", "Proxy", "UnsupportedProtocol")
"""How the names of errors begin that come before a request leaves this machine."""
_MODERATED = ("flagged", "moderation", "content_policy")
"""What an endpoint says of a text that it will not let a model read, also by the status of a key that may not."""
_UNSUPPORTED = ("unsupported", "not supported", "not support", "not available", "not allowed")


class Unanswered(Exception):
    """The endpoint gave no answer to this request, though it was asked as often as allowed."""


class RequestRefused(Exception):
    """The endpoint will not answer this request, e.g. because it is too long."""


class RequestStopped(Exception):
    """A stop was requested between two attempts."""


def check_environment() -> None:
    """Raise `JudgeError` where OPENAI_API_KEY is not set, or OPENAI_BASE_URL is no address (which is not shown)."""
    address = urlsplit(os.environ.get("OPENAI_BASE_URL") or "https://default")
    if address.scheme not in ("http", "https") or not address.hostname:
        allowed = "an address that begins with http:// or https://"
        raise JudgeError(describe("OPENAI_BASE_URL", "***", "not an address", allowed=allowed, fix="Export it anew"))
    if not os.environ.get("OPENAI_API_KEY"):
        fix = "Export it (any value for a local server)"
        raise MissingKeyError(describe("OPENAI_API_KEY", "", "not set in the environment", fix=fix))


def endpoint_host() -> tuple[str, int]:
    """Return the host and the port of the endpoint, or of the proxy that leads there."""
    address = os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    url = urlsplit(address)
    proxies = {} if proxy_bypass(url.hostname or "") else getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    first = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else url
    return first.hostname or "", first.port or (443 if first.scheme == "https" else 80)


def check_reachable() -> None:
    """Raise `JudgeError` where this machine makes no connection to the endpoint (its name alone is shown)."""
    check_environment()
    host, port = endpoint_host()
    try:
        socket.create_connection((host, port), _CONNECT_S).close()
    except OSError as error:
        problem = f"{socket.gethostname()} cannot connect to it ({error.strerror or error})"
        fix = "Let judging jobs run where there is a network (launch.cpu.partition), or name a proxy (launch.setup)"
        raise JudgeError(describe("the judge's endpoint", f"{host}:{port}", problem, fix=fix)) from None


class Endpoint:
    """A connection that many threads share; address and key come from the environment only."""

    def __init__(self, config: OpenAIJudge):
        """Read OPENAI_API_KEY and OPENAI_BASE_URL; `JudgeError` where they cannot be used."""
        check_environment()
        import openai

        self._config = config
        self._errors = openai
        self.stop = threading.Event()
        self._token_parameter = "max_tokens"
        url, address = urlsplit(os.environ.get("OPENAI_BASE_URL") or ""), dict[str, Any]()
        if url.query:  # belongs behind every path
            address = {"base_url": urlunsplit(url._replace(query="")), "default_query": dict(parse_qsl(url.query))}
        # Retries are ours, so that they are bounded, can be stopped, and obey the server's own wish.
        self._client = openai.OpenAI(max_retries=0, timeout=config.timeout_s, **address)

    def complete(self, request: dict[str, Any], max_tokens: int, key: str, lost: list[str]) -> str:
        """Return the body of the reply to a chat completion of at most so many tokens, whatever it is.

        Requests that were sent and whose replies did not arrive whole may have been paid: `lost` gets a word of each.

        Raises `Unanswered` when retries are used up, `RequestRefused` for a request that will never be answered,
        `JudgeError` where no request will be, and `RequestStopped`.
        """
        problem, wished_s, attempt = "", 0.0, 0
        while attempt <= self._config.retries:
            if self.stop.wait(self._wait_s(attempt, wished_s)):
                raise RequestStopped
            parameter = self._token_parameter
            try:
                # Endpoints that know this header charge a repeated request once.
                create = self._client.chat.completions.with_raw_response.create
                limited = {**request, parameter: max_tokens}
                body: str = create(**limited, extra_headers={"Idempotency-Key": key}).http_response.text
                failure = reported_error(body)
                if failure is None or not _may_pass(failure[0]):
                    return body
                problem, wished_s = _line(*failure), 0.0
            except self._errors.APIStatusError as error:
                if parameter == "max_tokens" and _wants_completion_tokens(error):
                    # Reasoning models know the limit by this name only; others do not know it, so it comes second.
                    self._token_parameter = "max_completion_tokens"
                    continue
                self._refuse_hopeless(error)
                problem, wished_s = _said(error), _retry_after_s(error)
            except self._errors.APIConnectionError as error:  # time-outs and cut replies are of this kind too
                problem, wished_s = type(error.__cause__ or error).__name__, 0.0
                if not problem.startswith(_NOT_SENT):
                    lost.append(problem)
            attempt += 1
        raise Unanswered(f"{self._config.retries + 1} attempts, the last: {problem}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _wait_s(self, attempt: int, wished_s: float) -> float:
        """Seconds before an attempt: doubled each time, spread so that threads do not come back together."""
        if attempt == 0:
            return 0.0
        backoff = self._config.backoff_s * 2 ** (attempt - 1) * (0.5 + random.random())
        return max(min(_LONGEST_WAIT_S, backoff), min(_LONGEST_WISH_S, wished_s))

    def _refuse_hopeless(self, error: Any) -> None:
        status = error.status_code
        if setting := _unsupported_setting(error):
            raise JudgeError(f"judge: the endpoint answers {_said(error)}. Set {setting}.") from None
        moderated = status == 403 and any(word in str(error.body or error.message).lower() for word in _MODERATED)
        if status in _FATAL and not moderated:
            raise JudgeError(f"judge: the endpoint answers {_said(error)}. Check {_FATAL[status]}.") from None
        if not _may_pass(status):
            raise RequestRefused(_said(error)) from None


def _said(error: Any) -> str:
    """Return a status and what the endpoint says about it, on one line; some repeat the key, which nobody may read."""
    body = error.body if isinstance(error.body, dict) else {}
    return _line(error.status_code, str(body.get("message") or error.message))


def _line(status: int, said: str) -> str:
    return f"status {status}: {redact(' '.join(whole(said).split()))[:300]}"


def _may_pass(status: int) -> bool:
    return status >= 500 or status in _RETRIED


def _retry_after_s(error: Any) -> float:
    """Return the seconds that the server asks us to wait, by a number or a date; 0 where it asks for none."""
    wish = str(error.response.headers.get("retry-after", "")).strip()
    try:
        seconds = float(wish)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(wish).timestamp() - time.time()
        except (ValueError, OverflowError, TypeError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _wants_completion_tokens(error: Any) -> bool:
    """Say whether a model refuses `max_tokens` by that name."""
    body = error.body if isinstance(error.body, dict) else {}
    unsupported = body.get("param") == "max_tokens" and body.get("code") == "unsupported_parameter"
    said = str(body.get("message") or error.message)
    return error.status_code in (400, 422) and (
        unsupported or ("max_completion_tokens" in said and "too large" not in said)
    )


def _unsupported_setting(error: Any) -> str:
    """Return the setting that a model does not allow at all, and what to set it to; empty where it is another fault."""
    body = error.body if isinstance(error.body, dict) else {}
    said = f"{body.get('message') or error.message}".lower()
    if error.status_code not in (400, 403, 422) or not any(word in said for word in _UNSUPPORTED):
        return ""
    names = {"logprobs": "judge.preference_by=text", "temperature": "judge.temperature=1"}
    return next((setting for name, setting in names.items() if body.get("param") == name or name in said), "")
