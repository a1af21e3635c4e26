"""Every metric of a run's record, once: its title, unit, format, better direction and meaning.

The summary, the tables, the report, the tracker and the documentation take what they say of a metric from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

from mt.evaluation.formats import COUNT, GAIN, NUMBER, ONE_DIGIT, PERCENT, SHARE, Format

Direction = Literal["higher", "lower", ""]


@dataclass(frozen=True)
class Quantity:
    """A metric, or several of one kind, told apart by the group in `metric`.

    `benchmark` and `metric` are matched whole, as regular expressions.
    """

    model: Literal["policy", "reward"]
    benchmark: str
    metric: str
    title: str
    unit: str
    format: Format
    better: Direction
    meaning: str
    minor: bool = False
    """A breakdown or a detail: no reader misses it at first."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the metric within an iteration."""
        return self.model, self.benchmark, self.metric


_policy, _reward = partial(Quantity, "policy"), partial(Quantity, "reward")
_PAIRS = "share of pairs"
_EARLIER = ("base", "r₀"), ("previous", "rₜ₋₁")
_PERCENT = "percent"
_ORDERED = (
    "pairs of responses to one prompt that the reward model orders like gold, among those that gold tells apart, "
    "averaged over prompts; a tie counts half"
)

# fmt: off
CATALOGUE: tuple[Quantity, ...] = (
    _policy("gold", "win_rate", "Win rate against π₀, by gold", "share of comparisons", SHARE, "higher",
            "How often a response of the policy is better by gold than one of π₀ to the same held-out prompt; a tie "
            "counts half."),
    _policy("gold", "mean_reward", "Average gold reward", "gold reward", NUMBER, "higher",
            "Gold reward of the responses to held-out prompts: averaged over a prompt's responses, then over prompts."),
    _policy("gold", "mean_reward_(.+)", "Average gold reward, by section", "gold reward", NUMBER, "higher",
            "Average gold reward of the responses to the prompts of one section.", minor=True),
    _policy("alpaca_eval", "lc_win_rate", "AlpacaEval LC win rate", _PERCENT, PERCENT, "higher",
            "AlpacaEval 2's win rate against its baseline, with the effect of length taken out by regression."),
    _policy("alpaca_eval", "win_rate", "AlpacaEval win rate", _PERCENT, PERCENT, "higher",
            "AlpacaEval 2's win rate against its baseline: the judge's average preference."),
    _policy("arena_hard", "score", "Arena-Hard score", _PERCENT, PERCENT, "higher",
            "Arena-Hard's win rate against its baseline over two games a question."),
    _policy("proxy", "win_rate_base", "Win rate against π₀, by r₀", "share of comparisons", SHARE, "",
            "How often r₀ rewards a response of the policy above one of π₀ to the same prompt; a proxy, which "
            "over-optimisation raises, too."),
    _policy("proxy", "win_rate", "Win rate against π₀, by rₜ", "share of comparisons", SHARE, "",
            "How often the iteration's own reward model rewards a response of the policy above one of π₀."),
    _policy("proxy", "mean_reward_base", "Average reward by r₀", "reward of r₀", NUMBER, "",
            "Reward by r₀ of the responses to held-out prompts: averaged over a prompt's responses, then over "
            "prompts; a proxy, which over-optimisation raises, too."),
    _policy("gold", "length", "Length in tokens", "tokens", ONE_DIGIT, "",
            "Tokens of the responses to held-out prompts: averaged over a prompt's responses, then over prompts."),
    _policy("proxy", "length", "Length in characters", "characters", ONE_DIGIT, "",
            "Characters of the responses to held-out prompts: averaged over a prompt's responses, then over prompts."),
    _policy("diagnostics", "kl", "KL divergence from π₀", "nats per response", NUMBER, "",
            "KL(π‖π₀), estimated on the policy's own responses to held-out prompts: averaged over a prompt's "
            "responses, then over prompts."),
    _policy("diagnostics", "length_correlation", "Correlation of reward with length", "within prompts", NUMBER, "",
            "Correlation of the iteration's rewards with the length of responses, both centred within prompts; far "
            "from 0, the reward model judges length."),
    *(
        _policy("diagnostics", f"distinct_{n}", f"Distinct-{n}", f"share of {n}-grams", SHARE, "",
                f"Different {n}-grams of words among all {n}-grams of a held-out prompt's responses, averaged over "
                "prompts.")
        for n in (1, 2)
    ),
    _policy("diagnostics", "duplicate_rate", "Responses that repeat another", "share of responses", SHARE, "lower",
            "Share of a held-out prompt's responses that equal an earlier one, averaged over prompts."),
    _policy("labels", "selected_accuracy", "Selected pairs that gold orders the same way", _PAIRS, SHARE, "higher",
            "Share of the policy's training pairs whose chosen response is the better one by gold, among pairs that "
            "gold tells apart, averaged over prompts; chance is 50%."),
    _policy("labels", "self_training_accuracy", "Self-training pairs that gold orders the same way", _PAIRS, SHARE,
            "higher", "The same share of D(PM), pairs of the new policy's responses."),
    _policy("labels", "contrast_accuracy", "Contrast pairs that gold orders the same way", _PAIRS, SHARE, "higher",
            "The same share of D(PM_new, PM_old), the new policy's response over the old one's."),
    _policy("labels", "(.+)_pairs", "Number of pairs", "pairs", COUNT, "",
            "Pairs that a model was trained on.", minor=True),
    _reward("same_responses", "accuracy_base", "Accuracy of r₀ on πₜ's responses", _PAIRS, SHARE, "higher",
            f"What r₀ makes of the policy's responses to held-out prompts: {_ORDERED}."),
    _reward("same_responses", "accuracy_previous", "Accuracy of rₜ₋₁ on πₜ's responses", _PAIRS, SHARE, "higher",
            f"What the reward model before makes of the same responses: {_ORDERED}."),
    _reward("gold", "accuracy", "Accuracy of rₜ on πₜ's responses", _PAIRS, SHARE, "higher",
            f"What the iteration's reward model makes of the same responses: {_ORDERED}. Iterations do not compare, "
            "because their responses differ."),
    _reward("same_responses", "gain_over_base", "Accuracy on πₜ's responses, rₜ − r₀", "difference of shares", GAIN,
            "higher", "Accuracy of rₜ minus that of r₀ on the same responses of πₜ; the interval is paired by prompt."),
    _reward("same_responses", "gain_over_previous", "Accuracy on πₜ's responses, rₜ − rₜ₋₁", "difference of shares",
            GAIN, "higher", "Accuracy of rₜ minus that of rₜ₋₁ on the same responses of πₜ; the interval is paired "
            "by prompt."),
    *(
        _reward("same_responses", f"agreement_{which}", f"Agreement of rₜ with {earlier}", _PAIRS, SHARE, "",
                "Share of pairs of πₜ's responses that both reward models order the same way, averaged over prompts; "
                "says that they differ, not which one is right.")
        for which, earlier in _EARLIER
    ),
    *(
        _reward("same_responses", f"same_best_{which}", f"Same best response by rₜ and {earlier}", "share of prompts",
                SHARE, "", "Share of prompts whose K responses have the same best one for both reward models.",
                minor=True)
        for which, earlier in _EARLIER
    ),
    _reward("preferences", "accuracy", "Accuracy of rₜ on your own held-out pairs", _PAIRS, SHARE, "higher",
            "Share of the pairs of data.preferences that train nothing whose chosen answer has the higher reward, "
            "averaged over prompts; a tie counts half."),
    _reward("gold_base", "accuracy", "Accuracy of rₜ on π₀'s responses", _PAIRS, SHARE, "higher",
            f"What the iteration's reward model makes of π₀'s responses, which stay the same: {_ORDERED}."),
    _reward("gold", "accuracy_(.+)", "Accuracy of rₜ on πₜ's responses, by section", _PAIRS, SHARE, "higher",
            "The same accuracy on the prompts of one section.", minor=True),
    _reward("gold_base", "accuracy_(.+)", "Accuracy of rₜ on π₀'s responses, by section", _PAIRS, SHARE, "higher",
            "The same accuracy on the prompts of one section.", minor=True),
    _reward("gold", "best_of_k", "Gold reward of rₜ's choice among K responses", "gold reward", NUMBER, "higher",
            "Gold reward of the response that the reward model rewards most among the K of πₜ to a prompt."),
    _reward("gold", "mean_of_k", "Average gold reward of the K responses", "gold reward", NUMBER, "",
            "What a choice at random among the K responses would give."),
    _reward("gold", "oracle_of_k", "Gold reward of the best of the K responses", "gold reward", NUMBER, "",
            "What a choice by gold itself would give."),
    _reward("gold", "choice_gain", "Gold reward gained by rₜ's choice", "gold reward", NUMBER, "higher",
            "Gold reward of rₜ's choice among the K responses of πₜ minus their average; below 0, a random choice is "
            "better; the interval is paired by prompt."),
    *(
        _reward("same_responses", f"choice_gain_{which}", f"Gold reward gained by {earlier}'s choice", "gold reward",
                NUMBER, "higher", f"The same gain by {earlier} among the same responses.", minor=True)
        for which, earlier in _EARLIER
    ),
    _reward("gold_base", "choice_gain", "Gold reward gained by rₜ's choice among π₀'s responses", "gold reward", NUMBER,
            "higher", "The same gain among π₀'s responses.", minor=True),
    _reward("gold_base", "(best|mean|oracle)_of_k", "Gold reward of one response of π₀ among K", "gold reward", NUMBER,
            "", "The same for π₀'s responses: chosen by rₜ (best), on average (mean), chosen by gold (oracle).",
            minor=True),
    _reward("diagnostics", "calibration_error", "Expected calibration error", "share", NUMBER, "lower",
            "How far the reward model's win probabilities σ(r − r′) are from the shares that gold confirms."),
    _reward("diagnostics", "brier_score", "Brier score", "squared error", NUMBER, "lower",
            "Squared error of the reward model's win probabilities against gold."),
    _reward("reward_bench", "average", "RewardBench average", _PERCENT, PERCENT, "higher",
            "Average of the sections: RewardBench's four, or those that the data's own pairs have."),
    _reward("reward_bench", "(?!ties$)(.+)", "RewardBench accuracy, by section", _PERCENT, PERCENT, "higher",
            "Share of the pairs of one section whose better response has the higher reward; a tie is lost."),
    _reward("reward_bench_2", "average", "RewardBench 2 average", _PERCENT, PERCENT, "higher",
            "Average of RewardBench 2's six subsets."),
    _reward("reward_bench_2", "shared_best", "Best scores that are shared", "prompts", COUNT, "lower",
            "Prompts whose best reward several responses share.", minor=True),
    _reward("reward_bench_2", "(?!missing|dropped|ties$)(.*)", "RewardBench 2 accuracy, by subset", _PERCENT, PERCENT,
            "higher", "Share of a subset's prompts whose right response has the highest reward (Ties: its own score)."),
    _reward("in_distribution", "win_rate", "Win rate of rₜ's choices against r₀'s", _PERCENT, PERCENT, "higher",
            "How often the judge prefers the response that rₜ chooses among the final policy's to the one that r₀ "
            "chooses (Figure 3)."),
    _reward("in_distribution", "win_rate_vs_previous", "Win rate of rₜ's choices against rₜ₋₁'s", _PERCENT, PERCENT,
            "higher", "The same against the choices of the reward model before (Figure 3)."),
    _reward("in_distribution", "(win|tie|lose)", "rₜ's choices against r₀'s", _PERCENT, PERCENT, "",
            "Prompts where the judge prefers rₜ's choice in both orders, in neither or in one only, or r₀'s."),
    _reward("in_distribution", "(win|tie|lose)_vs_previous", "rₜ's choices against rₜ₋₁'s", _PERCENT, PERCENT, "",
            "The same against the choices of the reward model before (Figure 3)."),
    _policy("pairwise", "win_rate_(vs_.+)", "Win rate against an earlier iteration, by r₀", _PERCENT, PERCENT, "higher",
            "How often r₀ prefers the iteration's response to an earlier one's (Figure 5)."),
    _policy("pairwise", "((?:win|tie|lose)_vs_.+)", "Against an earlier iteration, by r₀", _PERCENT, PERCENT, "",
            "Prompts that r₀ decides for the iteration, for neither, or for an earlier one.", minor=True),
    _policy("model_selection", "win_rate", "Win rate of the best checkpoint against πₜ₋₁, by rₜ₋₁", "share of prompts",
            SHARE, "", "How often rₜ₋₁ rewards the response of a training's best checkpoint above that of the policy "
            "before to the same prompt of D_MS; a tie counts half. Below policy.checkpoint.threshold the run stops."),
    _policy("model_selection", "step", "Step of the best checkpoint", "steps", COUNT, "",
            "Steps of training after which the best checkpoint was taken.", minor=True),
    _policy("alpaca_eval", "avg_length", "AlpacaEval length", "characters", COUNT, "",
            "Characters of the answers to AlpacaEval's instructions, on average."),
    _policy("alpaca_eval", "discrete_win_rate", "AlpacaEval win rate, each judgment rounded", _PERCENT, PERCENT,
            "higher", "Share of instructions that the judge decides for the policy; a tie counts half.", minor=True),
    _policy("alpaca_eval", "(standard_error|lc_standard_error)", "AlpacaEval standard error", _PERCENT, NUMBER, "",
            "Standard error of the win rate, and of the length-controlled one, as AlpacaEval prints it.", minor=True),
    _policy("alpaca_eval", "C", "AlpacaEval inverse penalty", "C", NUMBER, "",
            "Inverse strength of the penalty of the length control's regression.", minor=True),
    _policy("alpaca_eval", "cut_answers", "AlpacaEval answers that were cut", "answers", COUNT, "lower",
            "Answers that reached max_new_tokens or max_length before they ended."),
    _policy("arena_hard", "cut_answers", "Arena-Hard answers that were cut", "answers", COUNT, "lower",
            "Answers that reached max_new_tokens or max_length before they ended."),
    _policy("arena_hard", "avg_length", "Arena-Hard length", "tokens", COUNT, "",
            "Tokens of the answers to Arena-Hard's questions, on average: tiktoken's, or the policy's own."),
    _policy("arena_hard", "(wins|ties|losses)", "Arena-Hard rows", "rows", COUNT, "",
            "Verdicts for the policy, for neither, and for the baseline.", minor=True),
)
# fmt: on
"""In the order in which they are shown. A proxy has no better side: it is what over-optimisation raises."""

BENCHMARKS = {
    "gold": "judged by gold",
    "gold_base": "on π₀'s responses",
    "proxy": "judged by reward models",
    "same_responses": "on the same responses",
    "preferences": "on your own held-out pairs",
    "labels": "the pairs that the models learn from",
    "diagnostics": "diagnostics",
    "model_selection": "the choice among checkpoints",
    "in_distribution": "its choices in distribution (Figure 3)",
    "pairwise": "against earlier iterations (Figure 5)",
    "alpaca_eval": "AlpacaEval 2",
    "arena_hard": "Arena-Hard",
    "reward_bench": "RewardBench",
    "reward_bench_2": "RewardBench 2",
}
MODELS = {"policy": "Policy", "reward": "Reward model"}


@cache
def quantity(benchmark: str, metric: str) -> Quantity:
    """Return what is known of a metric, its title complete; one that nobody declared is named by its own words."""
    for known in CATALOGUE:
        if re.fullmatch(known.benchmark, benchmark) and (found := re.fullmatch(known.metric, metric)):
            return replace(known, title=": ".join([known.title, *map(said, found.groups())]))
    counted = re.fullmatch("missing.*|dropped|ties", metric) is not None
    better: Direction = "lower" if counted else "higher" if metric.endswith(("win_rate", "accuracy")) else ""
    number = COUNT if counted else NUMBER
    named = capitalised(said(metric))
    return Quantity("policy", benchmark, metric, named, "", number, better, "", minor=counted or not better)


def rank(benchmark: str, metric: str) -> int:
    """Return the place of a metric in the catalogue; undeclared ones follow, the better-sided first."""
    matches = (
        number
        for number, one in enumerate(CATALOGUE)
        if re.fullmatch(one.benchmark, benchmark) and re.fullmatch(one.metric, metric)
    )
    return next(matches, len(CATALOGUE) + (not quantity(benchmark, metric).better))


def heading(model: str, benchmark: str) -> str:
    """Return the heading over a model's metrics in a benchmark."""
    return f"{MODELS.get(model, model)}: {BENCHMARKS.get(benchmark, said(benchmark))}"


def said(name: str) -> str:
    """Return a name as words."""
    return name.replace("_", " ").replace("/", " · ")


def capitalised(text: str) -> str:
    """Return the text with its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]
