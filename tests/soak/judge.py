"""An endpoint of which every third reply is a fault, asked by processes that are killed, under one limit on money."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from mt.engines.judging.cache import JudgmentCache
from tests.engines.judging.server import PAID_FAULTS, Endpoint, often, serving
from tests.soak.ask import CONCURRENCY
from tests.soak.found import Found
from tests.soak.started import Started

EACH_USD = (500 * 10 + 64 * 30) / 1e6
"""A call: 500 tokens asked and 64 answered, at the prices of tests/engines/judging/settings.py."""
NAMES = ("red", "green", "blue")
IN_FLIGHT = len(NAMES) * CONCURRENCY * 2
"""Calls, each of which may be asked once more, that can be paid above the limit."""


def judge(folder: Path, seed: int, requests: int) -> Found:
    """Ask until the limit, with kills; raise the limit and ask until all is judged: about `requests` in all."""
    rng, each, found = random.Random(seed), max(10, round(requests / len(NAMES) / 1.5)), Found()
    limit_usd = 0.5 * len(NAMES) * each * EACH_USD
    answer = ("[[A>B]]", None)
    endpoint = Endpoint(lambda messages: answer, often(0.3, seed), hang_s=6.0, delay_s=0.01, usage=(500, 64))
    with serving(endpoint):
        os.environ |= {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": "sk-of-the-soak"}
        _ask(folder, each, limit_usd, rng, found, lambda stderr: stderr.startswith("judge.limit_usd="))
        paid_usd = _paid(endpoint) * EACH_USD
        _ask(folder, each, 1e6, rng, found, lambda stderr: False)
    found.counts.update({"requests": len(endpoint.requests), "limit_usd": limit_usd, "paid_usd": paid_usd})
    if not 0.9 * limit_usd - IN_FLIGHT * EACH_USD <= paid_usd <= limit_usd + IN_FLIGHT * EACH_USD:
        found.faults.append(f"${paid_usd:.2f} paid under a limit of ${limit_usd:.2f}")
    kept = [one for path in folder.glob("openai-*") for one in JudgmentCache(path).answers.values()]
    if len(kept) != len(NAMES) * each:
        found.faults.append(f"{len(kept)} judgments of {len(NAMES) * each} comparisons")
    paid, known = _paid(endpoint), sum(one.calls for one in kept)
    if not paid - (found.counts["kills"] + 1) * CONCURRENCY * 2 <= known <= paid:  # a killed process loses its calls
        found.faults.append(f"{paid} replies were delivered, {known} are known")
    if len(endpoint.requests) > 200 and not set(PAID_FAULTS) <= set(endpoint.seen):
        found.faults.append("the endpoint did not misbehave")
    return found


def _paid(endpoint: Endpoint) -> int:
    """Return how many replies came whole; those that were cut or timed out are counted by the ledger, and not here."""
    return sum(endpoint.delivered.values())


def _ask(
    folder: Path, each: int, limit_usd: float, rng: random.Random, found: Found, stopped: Callable[[str], bool]
) -> None:
    """Let the processes ask, killing one of them in each round, until each has ended by itself or by the limit."""
    asking = set(NAMES)
    while asking:
        rounds = {
            name: Started([str(folder), name, str(each), str(limit_usd)], module="tests.soak.ask") for name in asking
        }
        victim = rng.choice(sorted(asking))
        time.sleep(rng.uniform(0.5, 2.0))
        if rounds[victim].status is None:
            rounds[victim].send(rng.choice(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"]))
            found.counts["kills"] += 1
        for name, process in rounds.items():
            if process.end() == 0 or stopped(process.stderr):
                asking.discard(name)
            elif name != victim:
                found.faults.append(f"{name}: {process.status} {process.stderr[-300:]!r}")
