"""Ask a judge for verdicts, as a process that others pay and race with: CACHE PREFIX NUMBER LIMIT_USD."""

from __future__ import annotations

from pathlib import Path

from mt.engines.judging import JudgeContext, open_judge
from mt.running.exit_codes import exit_status_of
from mt.types import Comparison
from tests.engines.judging.settings import openai_config

CONCURRENCY = 8


def main(arguments: list[str]) -> int:
    """Judge NUMBER comparisons; returns the exit status."""
    cache, prefix, number, limit_usd = arguments
    items = [
        Comparison(f"{prefix}{at}", [{"role": "user", "content": f"{prefix} {at}"}], "b", "m", "baseline_first")
        for at in range(int(number))
    ]
    patient = {"timeout_s": 5.0, "give_up_after": 50, "prove_within": 1000}
    config = openai_config(concurrency=CONCURRENCY, limit_usd=float(limit_usd), **patient)

    def command() -> int:
        with open_judge(config, JudgeContext("verdict", command="soak"), Path(cache)) as judge:
            return 0 if len(list(judge.judge(items))) == len(items) else 1

    return exit_status_of(command)
