"""An endpoint of which every third reply is a fault, asked by processes that are killed, under one limit on money."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from mt.engines.judging.cache import JudgmentCache
from tests.engines.judging.server import PAID_FAULTS, Endpoint, often, serving

EACH = (500 * 10 + 64 * 30) / 1e6
"""Dollars of a call: 500 tokens asked, 64 answered."""
PROCESSES, CONCURRENCY = 3, 8
SCRIPT = """
import sys
from pathlib import Path
from mt.engines.judging import Asked, open_judge
from mt.errors import JudgeError
from mt.types import Comparison
from tests.engines.judging.settings import openai_config
cache, prefix, number, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
items = [Comparison(f"{prefix}{n}", [{"role": "user", "content": f"{prefix} {n}"}], "b", "m", "baseline_first")
         for n in range(number)]
config = openai_config(concurrency=8, limit_usd=limit, timeout_s=1.0, give_up_after=50, prove_within=1000)
try:
    with open_judge(config, Asked("verdict", command="soak"), cache) as judge:
        print(sum(1 for _ in judge.judge(items)), flush=True)
except JudgeError as error:
    sys.exit(f"{error}")
"""


@dataclass
class Judged:
    """What became of the requests."""

    requests: int = 0
    paid: float = 0.0
    limit: float = 0.0
    kills: int = 0
    faults: list[str] = field(default_factory=list)


def judge(folder: Path, seed: int, requests: int) -> Judged:
    """Ask until the limit, with kills; raise the limit and ask until all is judged; about `requests` in all."""
    rng, each = random.Random(seed), round(requests / PROCESSES / 1.5)
    found = Judged(limit=0.5 * PROCESSES * each * EACH)
    answer = ("[[A>B]]", None)
    with serving(Endpoint(lambda messages: answer, often(0.3, seed), hang_s=1.5, usage=(500, 64))) as endpoint:
        endpoint.delay_s = 0.01
        os.environ |= {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": "sk-of-the-soak"}
        ended: set[str] = set()
        while len(ended) < PROCESSES:
            ended |= _round(folder, each, found.limit, rng, found)
        slack = PROCESSES * CONCURRENCY * 2 * EACH
        found.paid = _paid(endpoint)
        if not 0.9 * found.limit - slack <= found.paid <= found.limit + slack:
            found.faults.append(f"${found.paid:.2f} paid under a limit of ${found.limit:.2f}")
        while len(ended) < 2 * PROCESSES:
            ended |= {f"{name} again" for name in _round(folder, each, 1e6, rng, found)}
        found.requests = len(endpoint.requests)
        kept = [one for path in folder.glob("openai-*") for one in JudgmentCache(path).answers.values()]
        if len(kept) != PROCESSES * each:
            found.faults.append(f"{len(kept)} judgments of {PROCESSES * each} comparisons")
        paid, known = sum(endpoint.delivered.values()), sum(one.calls for one in kept)
        if not paid - (found.kills + 1) * CONCURRENCY * 2 <= known <= paid:
            found.faults.append(f"{paid} replies were delivered, {known} are known")
        if endpoint.seen["not_json"] == 0 or not set(PAID_FAULTS) <= set(endpoint.seen):
            found.faults.append("the endpoint did not misbehave")
    return found


def _paid(endpoint: Endpoint) -> float:
    """Return what was delivered: replies that were cut or timed out are counted by the ledger, and not here."""
    return sum(endpoint.delivered.values()) * EACH


def _round(folder: Path, each: int, limit: float, rng: random.Random, found: Judged) -> set[str]:
    """Start the processes, kill one of them, and return the names of those that ended by themselves."""
    children = {}
    for name in ("red", "green", "blue"):
        words = [sys.executable, "-c", SCRIPT, str(folder), name, str(each), str(limit)]
        children[name] = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(rng.uniform(1.0, 4.0))
    victim = children[rng.choice(list(children))]
    if victim.poll() is None:
        victim.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        found.kills += 1
    ended = set()
    for name, child in children.items():
        told = child.communicate(timeout=300)[1]
        if child.returncode == 0 or told.startswith("judge.limit_usd="):
            ended.add(name)
        elif child is not victim:
            found.faults.append(f"{name}: {child.returncode} {told[-300:]!r}")
    return ended
