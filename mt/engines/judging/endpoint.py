"""One request to an OpenAI-compatible endpoint, tried again while there is hope."""

from __future__ import annotations

import os
import random
import threading
from typing import Any
from urllib.parse import urlsplit

from mt.config.judge import OpenAIJudge
from mt.errors import JudgeError, MissingKeyError, describe

_LONGEST_WAIT_S = 60.0
_RETRIED = (408, 409, 425, 429)  # and every 5xx
# The same for every request, and what to look at:
_FATAL = {
    401: "OPENAI_API_KEY",
    402: "the account's balance",
    403: "OPENAI_API_KEY",
    404: "OPENAI_MODEL and OPENAI_BASE_URL",
    405: "OPENAI_BASE_URL",
}
_SHORTEST_SECRET = 8  # a local server's key may be any letter


class Unanswered(Exception):
    """The endpoint gave no answer to this request, though it was asked as often as allowed."""


class Refused(Exception):
    """The endpoint will not answer this request, e.g. because it is too long."""


class Stopped(Exception):
    """Somebody asked to stop between two attempts."""


def check_environment() -> None:
    """Raise `JudgeError` where OPENAI_API_KEY is not set, or OPENAI_BASE_URL is no address (which is not shown)."""
    address = urlsplit(os.environ.get("OPENAI_BASE_URL") or "https://default")
    if address.scheme not in ("http", "https") or not address.hostname:
        allowed = "an address that begins with http:// or https://"
        raise JudgeError(describe("OPENAI_BASE_URL", "***", "not an address", allowed=allowed, mend="Export it anew"))
    if not os.environ.get("OPENAI_API_KEY"):
        mend = "Export it (any value for a local server)"
        raise MissingKeyError(describe("OPENAI_API_KEY", "", "not set in the environment", mend=mend))


class Endpoint:
    """A connection that many threads share; address and key come from the environment only."""

    def __init__(self, config: OpenAIJudge):
        """Read OPENAI_API_KEY and OPENAI_BASE_URL; `JudgeError` where they cannot be used."""
        check_environment()
        import openai

        self._config = config
        self._errors = openai
        self.stop = threading.Event()
        # Retries are ours, so that they are bounded, can be stopped, and obey the server's own wish.
        self._client = openai.OpenAI(max_retries=0, timeout=config.timeout_s)

    def complete(self, request: dict[str, Any], key: str) -> str:
        """Return the body of the reply to a chat completion, whatever it is.

        Raises `Unanswered` when retries are used up, `Refused` for a request that will never be answered,
        `JudgeError` where no request will be, and `Stopped`.
        """
        problem, wished_s = "", 0.0
        for attempt in range(self._config.retries + 1):
            if self.stop.wait(self._wait_s(attempt, wished_s)):
                raise Stopped
            try:
                # Endpoints that know this header charge a repeated request once.
                create = self._client.chat.completions.with_raw_response.create
                return create(**request, extra_headers={"Idempotency-Key": key}).http_response.text
            except self._errors.APIStatusError as error:
                self._refuse_hopeless(error)
                problem, wished_s = _said(error), _retry_after_s(error)
            except self._errors.APIConnectionError as error:  # time-outs and cut replies are of this kind too
                problem, wished_s = type(error.__cause__ or error).__name__, 0.0
        raise Unanswered(f"{self._config.retries + 1} attempts, the last: {problem}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _wait_s(self, attempt: int, wished_s: float) -> float:
        """Seconds before an attempt: doubled each time, spread so that threads do not come back together."""
        if attempt == 0:
            return 0.0
        backoff = self._config.backoff_s * 2 ** (attempt - 1) * (0.5 + random.random())
        return min(_LONGEST_WAIT_S, max(backoff, wished_s))

    def _refuse_hopeless(self, error: Any) -> None:
        status = error.status_code
        if status in _FATAL:
            raise JudgeError(f"judge: the endpoint answers {_said(error)}. Check {_FATAL[status]}.") from None
        if status < 500 and status not in _RETRIED:
            raise Refused(_said(error)) from None


def _said(error: Any) -> str:
    """Return a status and what the endpoint says about it, on one line; some repeat the key, which nobody may read."""
    body = error.body if isinstance(error.body, dict) else {}
    said = str(body.get("message") or error.message)
    key = os.environ.get("OPENAI_API_KEY", "")
    said = said.replace(key, "***") if len(key) >= _SHORTEST_SECRET else said
    return f"status {error.status_code}: {' '.join(said.split())[:300]}"


def _retry_after_s(error: Any) -> float:
    """Return the seconds that the server asks us to wait; 0 where it names none (or a date)."""
    try:
        return max(0.0, float(error.response.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0
