"""What the metrics of a record mean: families, units, which way is better. Declared as data, first match counts."""

from __future__ import annotations

import re
from dataclasses import dataclass

SHARE, ONE_DIGIT, NUMBER, COUNT = ".1~%", ".1~f", ".3~f", ",d"
"""Number formats in d3's notation."""


@dataclass(frozen=True)
class Fact:
    """A metric, or a family of metrics that one chart shows.

    `benchmark` and `metric` are matched whole; a group in `metric` names the line. `better` is "up", "down" or "".
    """

    benchmark: str
    metric: str
    title: str
    unit: str
    better: str = ""
    format: str = NUMBER
    minor: bool = False
    """A breakdown or a detail: folded away at first."""


_OWN, _BASE = "Accuracy on the policy's own responses", "Accuracy on the base policy's responses"
FACTS = (
    Fact("gold", "win_rate", "Win rate against the base policy", "win rate", "up", SHARE),
    Fact("gold", "mean_reward", "Gold reward", "gold reward", "up"),
    Fact("gold", "length", "Length", "tokens", "", ONE_DIGIT),
    Fact("gold", "mean_reward_(.+)", "Gold reward by section", "gold reward", "up", minor=True),
    Fact("gold", "accuracy", _OWN, "pairs ordered like gold", "up", SHARE),
    Fact("gold", "section_average", "Accuracy on held-out pairs, average", "pairs ordered right", "up", SHARE),
    Fact("gold", "section_(.+)", "Accuracy on held-out pairs by section", "pairs ordered right", "up", SHARE),
    Fact("gold", "(best|mean|oracle)_of_k", "Best of K, chosen by the reward model", "gold reward"),
    Fact("gold", "accuracy_(.+)", f"{_OWN}, by section", "pairs ordered like gold", "up", SHARE, True),
    Fact("gold_base", "accuracy", _BASE, "pairs ordered like gold", "up", SHARE),
    Fact("gold_base", "accuracy_(.+)", f"{_BASE}, by section", "pairs ordered like gold", "up", SHARE, True),
    Fact("gold_base", "(best|mean|oracle)_of_k", "Best of K of the base policy", "gold reward", minor=True),
    Fact("proxy", "mean_reward_base", "Proxy reward by the base reward model r₀", "reward"),
    Fact("proxy", "mean_reward", "Proxy reward by the reward model in force", "reward"),
    Fact("proxy", "win_rate_base", "Win rate against the base policy, by r₀", "win rate", "", SHARE),
    Fact("proxy", "win_rate", "Win rate against the base policy, by the reward model in force", "win rate", "", SHARE),
    Fact("proxy", "length", "Length", "characters", "", ONE_DIGIT),
    Fact("alpaca_eval.*", "lc_win_rate", "Length-controlled win rate", "percent", "up", ONE_DIGIT),
    Fact("alpaca_eval.*", "win_rate", "Win rate", "percent", "up", ONE_DIGIT),
    Fact("alpaca_eval.*", "avg_length", "Length", "characters", "", ",.0f"),
    Fact("alpaca_eval.*", "discrete_win_rate", "Win rate, each judgment rounded", "percent", "up", ONE_DIGIT, True),
    Fact("alpaca_eval.*", "(standard_error|lc_standard_error)", "Standard errors", "percent", minor=True),
    Fact("alpaca_eval.*", "C", "Inverse penalty of the length control", "C", minor=True),
    Fact("arena_hard.*", "score", "Score", "percent", "up", ONE_DIGIT),
    Fact("arena_hard.*", "avg_length", "Length", "tokens", "", ",.0f"),
    Fact("arena_hard.*", "(wins|ties|losses)", "Rows", "rows", "", COUNT, True),
    Fact("reward_bench_2", "shared_best", "Best scores that are shared", "prompts", "down", COUNT, True),
    Fact("reward_bench_2", ".*", "Accuracy", "percent", "up", ONE_DIGIT),
    Fact("reward_bench.*", "(chat|chat_hard|safety|reasoning|average)", "Accuracy", "percent", "up", ONE_DIGIT),
    Fact("in_distribution", "win_rate", "Win rate of rₜ's picks against r₀'s", "percent", "up", ONE_DIGIT),
    Fact("in_distribution", "(win|tie|lose)", "rₜ's picks against r₀'s", "percent of prompts", "", ONE_DIGIT),
    Fact("pairwise", "win_rate_(vs_.+)", "Win rate against earlier iterations", "percent", "up", ONE_DIGIT),
    Fact("pairwise", "((?:win|tie|lose)_vs_.+)", "Against earlier iterations", "percent of prompts", minor=True),
    Fact("labels", "(.+)_accuracy", "Pairs that gold orders the same way", "share of pairs", "up", SHARE),
    Fact("labels", "(.+)_pairs", "Number of pairs", "pairs", "", COUNT, True),
    Fact("diagnostics", "kl", "KL divergence from the base policy", "nats per response"),
    Fact("diagnostics", "distinct_(.+)", "Different n-grams, by n", "share of n-grams", "", SHARE),
    Fact("diagnostics", "duplicate_rate", "Responses that repeat another", "share of responses", "down", SHARE),
    Fact("diagnostics", "length_correlation", "Correlation of reward with length", "within prompts"),
    Fact("diagnostics", "agreement_(.+)", "Agreement with the reward model before", "share", "", SHARE),
    Fact("diagnostics", "calibration_error", "Expected calibration error", "share", "down"),
    Fact("diagnostics", "brier_score", "Brier score", "squared error", "down"),
    Fact(".*", "missing.*|dropped|ties", "", "", "down", COUNT, True),
    Fact(".*", ".*win_rate|.*accuracy", "", "", "up"),
)
"""A proxy has no better side: it is what over-optimisation raises."""
_UNKNOWN = Fact(".*", ".*", "", "", minor=True)
BENCHMARKS = {
    "gold": "judged by gold",
    "gold_base": "on the base policy's responses",
    "proxy": "judged by reward models",
    "labels": "the pairs it learns from",
    "diagnostics": "diagnostics",
    "in_distribution": "its picks in distribution (Figure 3)",
    "pairwise": "against earlier iterations (Figure 5)",
    "alpaca_eval": "AlpacaEval 2",
    "arena_hard": "Arena-Hard",
    "reward_bench": "RewardBench",
    "reward_bench_2": "RewardBench 2",
}
MODELS = {"policy": "Policy", "reward": "Reward model"}


def fact(benchmark: str, metric: str) -> Fact:
    """Return what is known of a metric."""
    return FACTS[found] if (found := rank(benchmark, metric)) < len(FACTS) else _UNKNOWN


def rank(benchmark: str, metric: str) -> int:
    """Return the place of a metric in the order of the facts; undeclared metrics come last."""
    matches = (
        number
        for number, one in enumerate(FACTS)
        if re.fullmatch(one.benchmark, benchmark) and re.fullmatch(one.metric, metric)
    )
    return next(matches, len(FACTS))


def title(known: Fact, metric: str) -> str:
    """Return what a chart of the metric is called."""
    return known.title or capitalised(said(metric))


def line(known: Fact, metric: str) -> str:
    """Return what a metric is called inside its family, or ""."""
    found = re.fullmatch(known.metric, metric) if known.title else None
    return said(found[1]) if found and found.groups() else ""


def heading(model: str, benchmark: str) -> str:
    """Return the heading over a model's metrics in a benchmark."""
    return f"{MODELS.get(model, model)}: {BENCHMARKS.get(benchmark, said(benchmark))}"


def said(name: str) -> str:
    """Return a name as words."""
    return name.replace("_", " ").replace("/", " · ")


def capitalised(text: str) -> str:
    """Return the text with its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def signed(text: str) -> str:
    """Return a number's text with a real minus sign."""
    return text.replace("-", "−")
