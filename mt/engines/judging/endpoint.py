"""One request to an OpenAI-compatible endpoint, tried again while there is hope."""

from __future__ import annotations

import os
import random
import threading
from typing import Any

from mt.config.judge import OpenAIJudge
from mt.errors import JudgeError, describe

_LONGEST_WAIT_S = 60.0
_RETRIED = (408, 409, 425, 429)  # and every 5xx
_FATAL = (401, 403, 404)  # no key, no right, no such model or path: the same for every request


class Unanswered(Exception):
    """The endpoint gave no answer to this request, though it was asked as often as allowed."""


class Refused(Exception):
    """The endpoint will not answer this request, e.g. because it is too long."""


class Stopped(Exception):
    """Somebody asked to stop between two attempts."""


class Endpoint:
    """A connection that many threads share; address and key come from the environment only."""

    def __init__(self, config: OpenAIJudge):
        """Read OPENAI_API_KEY and OPENAI_BASE_URL; `JudgeError` where the key is not set."""
        if not os.environ.get("OPENAI_API_KEY"):
            mend = "Export it (any value for a local server)"
            raise JudgeError(describe("OPENAI_API_KEY", "", "not set in the environment", mend=mend))
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
                problem, wished_s = f"status {error.status_code}", _retry_after_s(error)
            except self._errors.APIConnectionError as error:  # time-outs and cut replies are of this kind too
                problem, wished_s = type(error.__cause__ or error).__name__, 0.0
        raise Unanswered(f"{problem} in {self._config.retries + 1} attempts")

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
        status, said = error.status_code, " ".join(str(error.message).split())[:300]
        if status in _FATAL:
            names = {401: "OPENAI_API_KEY", 403: "OPENAI_API_KEY", 404: "OPENAI_MODEL and OPENAI_BASE_URL"}
            raise JudgeError(f"judge: the endpoint answers {status} ({said}). Check {names[status]}.") from None
        if status < 500 and status not in _RETRIED:
            raise Refused(f"status {status}: {said}") from None


def _retry_after_s(error: Any) -> float:
    """Return the seconds that the server asks us to wait; 0 where it names none (or a date)."""
    try:
        return max(0.0, float(error.response.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0
