"""A judge behind an OpenAI-compatible endpoint: bounded in concurrency and money, and stoppable at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from mt.engines.judging.answers import NOT_A_COMPLETION, Reply, read_answer, read_logprobs, read_reply
from mt.engines.judging.budget import estimate, input_tokens
from mt.engines.judging.cache import Answer, content_key
from mt.engines.judging.circuit_breaker import CallStatus, CircuitBreaker, ComparisonResult
from mt.engines.judging.endpoint import Endpoint, RequestRefused, RequestStopped, Unanswered
from mt.engines.judging.ledger import Ledger
from mt.engines.judging.openai import OpenAIJudge
from mt.engines.judging.protocol import Keep, Question
from mt.engines.judging.template import Style
from mt.errors import JudgeError, describe
from mt.types import Messages
from mt.verdicts import LABELS, without_thinking

Announce = Callable[[str], None]
_ASK_AGAIN = {
    "preference": "Reply with a single letter and nothing else: m or M.",
    "score": "Finish now with exactly one score from 1 to 10 in double brackets, such as [[5]].",
    "verdict": f"Finish now with exactly one verdict: {', '.join(f'[[{label}]]' for label in LABELS)}.",
}


class OpenAIBackend:
    """Asks an endpoint; a malformed answer is asked for once more, and then counts as missing."""

    def __init__(self, config: OpenAIJudge, style: Style, ledger: Callable[[], Ledger], announce: Announce):
        """Check the settings; nothing is contacted yet.

        `ledger` opens the account that the calls are charged to, and `announce` is called with the expected cost,
        both before the first call.
        """
        if config.model is None:
            raise JudgeError(describe("judge.model", None, "no judge model is named", fix="Export OPENAI_MODEL"))
        self._config, self._style, self._ledger, self._announce = config, style, ledger, announce
        self._template = config.prompt(style)
        self._by_logprobs = style == "preference" and config.preference_by == "logprobs"
        self.name, self.version = "openai", f"{config.model}/{self._template.version}"
        self.identity: Mapping[str, Any] = {
            "template": self._template.digest,
            "max_tokens": self._max_tokens,
            **self._sampling(),
        }

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Yield answers as they arrive; each is kept by the thread that received it, before anything else.

        However the iteration ends, requests under way are waited for, so that no paid answer is lost.
        """
        prompts = [self._template.fill(*question) for question in questions]
        expected = estimate(self._config, prompts, self._max_tokens)
        ledger = self._ledger()
        ledger.refuse_hopeless(self._config.usd(expected.input_tokens, 0))
        self._announce(f"{self.name} {self.version}: {expected}")
        endpoint = Endpoint(self._config)
        pool = ThreadPoolExecutor(self._config.concurrency, thread_name_prefix="judge")
        breaker = CircuitBreaker(self._config.give_up_after, self._config.prove_within)
        try:
            under_way: dict[Future[ComparisonResult], int] = {}
            waiting = deque(range(len(prompts)))
            while waiting or under_way:
                due = list(islice(waiting, self._config.concurrency - len(under_way)))
                for number in ledger.reserve([self._most(prompts[index]) for index in due], wait=not under_way):
                    index = waiting.popleft()
                    settle = partial(ledger.settle, number)
                    call = partial(self._one, endpoint, prompts[index], partial(keep, index), settle, breaker)
                    under_way[pool.submit(call)] = index
                if not under_way:
                    raise ledger.exhausted()
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    index, result = under_way.pop(future), future.result()
                    yield index, result.answer
                    breaker.note(index, result, partial(keep, index, result.answer))
        finally:
            endpoint.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            breaker.release()
            ledger.close()
            endpoint.close()

    def _one(
        self,
        endpoint: Endpoint,
        prompt: Messages,
        keep: Callable[[Answer], None],
        settle: Callable[[float, int, int], None],
        breaker: CircuitBreaker,
    ) -> ComparisonResult:
        """Ask about one comparison, in a thread; what was paid for is kept, of use or not once the judge is proven."""
        result, lost = ComparisonResult(Answer(None, None), CallStatus.UNANSWERED), list[str]()
        try:
            result = self._asked(endpoint, prompt, lost)
            final = result.status is CallStatus.COMPLETED and (result.answer.problem is None or breaker.proven)
            if final:
                keep(result.answer)
            return replace(result, kept=final)
        finally:
            settle(result.answer.usd, result.answer.calls, len(lost))

    def _asked(self, endpoint: Endpoint, prompt: Messages, lost: list[str]) -> ComparisonResult:
        """Ask, and ask once more where the answer is malformed; `lost` learns of replies that did not arrive."""
        key = content_key(self.identity, prompt, self.version, "")
        answer, conversation = Answer(None, None), prompt
        for again in (False, True):
            try:
                request = {"model": self._config.model, "messages": conversation, **self._sampling()}
                body = endpoint.complete(request, self._max_tokens, f"{key}-{again:d}", lost)
            except (Unanswered, RequestRefused, RequestStopped) as error:
                if answer.calls:  # a first answer that was malformed has been paid for, and stays what is known
                    break
                status = CallStatus.REFUSED if isinstance(error, RequestRefused) else CallStatus.UNANSWERED
                return ComparisonResult(replace(answer, problem=str(error) or "stopped"), status)
            answer = self._add(answer, conversation, read_reply(body))
            if answer.problem is None:
                break
            conversation = self._again(prompt, answer.raw)
        return ComparisonResult(
            answer, CallStatus.REFUSED if answer.problem == NOT_A_COMPLETION else CallStatus.COMPLETED
        )

    def _add(self, before: Answer, prompt: Messages, reply: Reply | None) -> Answer:
        """Read one reply, and add what it cost to what was spent on this comparison before."""
        if reply is None:
            answer, into, out = Answer(None, None, problem=NOT_A_COMPLETION), input_tokens(prompt), 0
        else:
            by_text = partial(read_answer, reply.text, self._style, cut=reply.cut)
            answer = read_logprobs(reply.top_logprobs) if self._by_logprobs else by_text()
            into = input_tokens(prompt) if reply.input_tokens is None else reply.input_tokens
            out = self._max_tokens if reply.output_tokens is None else reply.output_tokens
        return replace(
            answer,
            calls=before.calls + 1,
            input_tokens=before.input_tokens + into,
            output_tokens=before.output_tokens + out,
            usd=before.usd + self._config.usd(into, out),
            served_by=before.served_by if reply is None else reply.served_by,
        )

    def _again(self, prompt: Messages, said: str) -> Messages:
        """Ask for the same again; a judge that wrote at length without a verdict is only asked for that."""
        answered = without_thinking(said)  # models are not trained to read earlier thinking
        if self._style in ("preference", "text") or not answered.strip():
            return prompt
        return [
            *prompt,
            {"role": "assistant", "content": answered},
            {"role": "user", "content": _ASK_AGAIN[self._style]},
        ]

    def _sampling(self) -> dict[str, Any]:
        """What shapes an answer beside the prompt and the limit of tokens."""
        values = {"temperature": self._config.temperature}
        alternatives = {"logprobs": True, "top_logprobs": self._config.top_logprobs}
        return {**values, **alternatives} if self._by_logprobs else values

    @property
    def _max_tokens(self) -> int:
        return 1 if self._by_logprobs else self._config.max_tokens

    def _most(self, prompt: Messages) -> float:
        """The most that one comparison can cost: asked twice, the second time with the first answer before it."""
        into = 2 * input_tokens(prompt) + self._max_tokens
        return self._config.usd(into, 2 * self._max_tokens)
