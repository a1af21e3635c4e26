"""Settings and comparisons as tests of judges need them."""

from __future__ import annotations

from mt.engines.judging import JudgeContext, open_judge
from mt.engines.judging.openai import OpenAIJudge
from mt.types import Comparison


def openai_config(**changes: object) -> OpenAIJudge:
    values: dict[str, object] = {
        "name": "openai",
        "model": "tiny-judge",
        "preference_template": "own",
        "verdict_template": "own",
        "preference_by": "logprobs",
        "temperature": 0.0,
        "top_logprobs": 5,
        "max_tokens": 64,
        "concurrency": 8,
        "timeout_s": 5.0,
        "retries": 8,
        "backoff_s": 0.005,
        "give_up_after": 5,
        "prove_within": 12,
        "usd_per_million_input": 10.0,
        "usd_per_million_output": 30.0,
        "limit_usd": None,
    }
    return OpenAIJudge.model_validate({**values, **changes})


def comparisons(n: int, order: str = "baseline_first") -> list[Comparison]:
    return [
        Comparison(f"p{at}", [{"role": "user", "content": f"Question {at} ü"}], f"base {at}", f"model {at}", order)
        for at in range(n)
    ]


def judged(items, cache, style="preference", announce=lambda line: None, **changes):
    with open_judge(openai_config(**changes), JudgeContext(style, announce=announce), cache=cache) as judge:
        rows = {(row.prompt_id, row.order): row for row in judge.judge(items)}
    # Answers arrive in any order.
    return {key: rows[key] for key in dict.fromkeys((item.prompt_id, item.order) for item in items)}, judge.counts
