"""A run's answers, in three sentences: did the policy improve, did the reward model, did updating it help?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from mt.config.choices import CONF
from mt.config.method import RewardData
from mt.config.run import RunConfig
from mt.engines.judging.base import judged_by
from mt.errors import MutualTaughtError
from mt.evaluation.catalogue import quantity
from mt.evaluation.formats import NUMBER, SHARE
from mt.evaluation.pairing import Difference
from mt.methods.compile import CompiledRun, compile_run
from mt.methods.mutual_taught import MutualTaught
from mt.methods.run_graph import Iteration
from mt.running.results import MetricKey, Results, difference
from mt.types import Metric
from mt.workflow.run_record import Question
from mt.workflow.store import DECISION, Store, recall

_WIN_RATE, _QUALITY = ("policy", "gold", "win_rate"), ("policy", "gold", "mean_reward")
_PROXY = "policy", "proxy", "win_rate_base"
_JUDGED: tuple[MetricKey, ...] = (
    _WIN_RATE,
    ("policy", "alpaca_eval", "lc_win_rate"),
    ("policy", "alpaca_eval", "win_rate"),
    ("policy", "arena_hard", "score"),
    _PROXY,
)
"""What a policy is judged by, the best judge first: gold, the judge of the benchmarks, and r_0 as a proxy."""
_OWN_PAIRS = "reward", "preferences", "accuracy"
_BENCHMARKS: tuple[MetricKey, ...] = (
    _OWN_PAIRS,
    ("reward", "reward_bench", "average"),
    ("reward", "reward_bench_2", "average"),
)
"""What a reward model is judged by without gold, the best judge first."""
_CHANGED = {1: "improved", 0: "did not change measurably", -1: "got worse"}
_HELPED = {1: "helped", 0: "made no measurable difference", -1: "did harm"}


@dataclass(frozen=True)
class _Run:
    """A finished run: what it is, and what was measured of it."""

    compiled: CompiledRun
    store: Store
    command: str
    results: Results
    final: Iteration
    """The iteration whose models it ends with."""
    judge: MetricKey
    """What its policies are judged by."""

    @property
    def last(self) -> int:
        return self.final.index

    @property
    def retrained(self) -> bool:
        return self.final.reward.key != self.compiled.graph.base.reward.key

    def policy(self) -> str:
        return self.compiled.plan.position(self.final.policy).model_name

    def reward(self, iteration: int) -> str:
        return self.compiled.plan.position(self.compiled.graph.iterations[iteration].reward).model_name


def answers(compiled: CompiledRun, store: Store, command: str) -> dict[Question, str]:
    """Return the three sentences of a finished run; none where nothing was measured of its last iteration.

    Before them stands in which iteration the run stopped, where it did; a run that stopped in the first has no more.
    The run of the same settings and seed with a frozen reward model is looked for in the store; where it is missing,
    the last sentence names the command that makes it.
    """
    results, final = Results.of_evaluations(compiled.evaluations, store), compiled.final(store)
    stopped = _stopped(compiled, store, final)
    judge = next((key for key in _JUDGED if results.metric(final.index, *key)), None)
    if judge is None or (stopped and final.index == 0):
        return stopped
    run = _Run(compiled, store, command, results, final, judge)
    return {**stopped, "policy": _policy(run), "reward": _reward(run), "update": _update(run)}


def answers_of_record(record: Mapping[str, Any]) -> dict[Question, str]:
    """Return the sentences as the store has it now, or as they were recorded where the run cannot be compiled again."""
    try:
        compiled = compile_run(RunConfig.model_validate(record["config"]))
        found = answers(compiled, compiled.store, record["command"])
    except (MutualTaughtError, ValidationError):
        found = {}
    return found or dict(record["answers"])


def frozen(config: RunConfig) -> RunConfig:
    """Return the run's settings with a reward model that is never updated."""
    values = yaml.safe_load((CONF / "rm_data" / "frozen.yaml").read_text(encoding="utf-8"))
    return config.model_copy(update={"rm_data": RewardData.model_validate(values)})


def _stopped(compiled: CompiledRun, store: Store, final: Iteration) -> dict[Question, str]:
    """Say in which iteration the run stopped, why, and which policy it ends with."""
    iteration = compiled.stopped(store)
    if iteration is None:
        return {}
    decision = recall(store.path(iteration.policy) / DECISION)
    name = compiled.plan.position(final.policy).model_name
    wins = f"its best checkpoint (step {decision['step']}) wins {SHARE.text(decision['win_rate'])} of its comparisons"
    by = compiled.plan.position(final.reward).model_name
    text = (
        f"{wins} with {name} by {by}, less than the {SHARE.text(decision['threshold'])} of policy.checkpoint.threshold"
    )
    return {"stopped": f"The run stopped in iteration {iteration.index}: {text}. Its final policy is {name}."}


def _policy(run: _Run) -> str:
    """Compare the last policy with π_0 by the best judge there is."""
    metric = run.results.metric(run.last, *run.judge)
    assert metric is not None
    if run.judge not in (_WIN_RATE, _PROXY):
        change = difference(run.results, run.last, run.results, 0, *run.judge)
        judge = judged_by(run.compiled.config.judge.model_dump())
        text = f"{run.policy()} against π₀, {_change(run, run.judge)}{_peak(run, run.judge)}"
        return f"The policy {_verdict(_CHANGED, change, 0)}: {text} (judge: {judge})."
    if run.judge == _PROXY:
        wins = f"r₀ prefers {run.policy()} to π₀ in {_value(metric)} of their comparisons, where 50% is no change"
        proxy = "r₀ is a proxy, which over-optimisation raises, too, and cannot tell whether the policy improved"
        return f"{wins}; {proxy}."
    wins = f"{run.policy()} wins {_value(metric)} of its comparisons with π₀ by gold, where 50% is no change"
    more = _change(run, _QUALITY) + _peak(run, _QUALITY)
    return f"The policy {_verdict(_CHANGED, metric, 0.5)}: {wins}; {more}."


def _reward(run: _Run) -> str:
    """Compare r_t with r_0 and r_{t-1} on the same responses of the last policy."""
    own = run.results.metric(run.last, "reward", "gold", "accuracy")
    name, responses = run.reward(run.last), f"responses of {run.policy()}"
    if not run.retrained:
        base = run.results.metric(0, "reward", "gold", "accuracy")
        known = f": like gold it orders {_value(own)} of the pairs of {responses}, {_value(base)} of those of π₀"
        return f"The reward model is r₀ throughout{known if own and base else ''}."
    gain = _same(run, "gain_over_base")
    if own is None or gain is None:
        return _reward_without_gold(run)
    text = f"on the same {responses}, {name} orders {SHARE.text(own.value)} of the pairs like gold"
    for which, other in _earlier(run):
        before, change = _same(run, f"accuracy_{which}"), _same(run, f"gain_over_{which}")
        if before and change:
            gained = f"{SHARE.difference(change.value)} {SHARE.interval(change.low, change.high)}"
            text += f", {other} {SHARE.text(before.value)} ({gained})"
    return f"The reward model {_verdict(_CHANGED, gain, 0)}: {text}."


def _reward_without_gold(run: _Run) -> str:
    """Say what the user's own pairs or a benchmark say, or else how it agrees with earlier models."""
    key = next((key for key in _BENCHMARKS if run.results.metric(run.last, *key)), None)
    if key is not None:
        change = difference(run.results, run.last, run.results, 0, *key)
        return f"The reward model {_verdict(_CHANGED, change, 0)}: {_change(run, key)}."
    agreements = [
        f"{_value(found)} of the pairs like {other}"
        for which, other in _earlier(run)
        if (found := _same(run, f"agreement_{which}"))
    ]
    agreed = (
        f"; on the responses of {run.policy()}, {run.reward(run.last)} orders {', '.join(agreements)}"
        if agreements
        else ""
    )
    ways = "your own pairs (data.preferences=FILE) or a benchmark (eval=[…,reward_bench])"
    return f"Whether the reward model improved cannot be known without gold, {ways}{agreed}."


def _update(run: _Run) -> str:
    """Compare the last policy with the one that a frozen reward model teaches."""
    if not run.retrained:
        if not isinstance(run.compiled.config.method, MutualTaught):
            return f"The reward model was not updated: method={run.compiled.config.method.name} keeps it as it is."
        return f"The reward model was not updated; what updating it does: {_with(run.command, 'rm_data=both')}"
    other = compile_run(frozen(run.compiled.config))
    results, at = Results.of_evaluations(other.evaluations, run.store), other.final(run.store).index
    change = difference(run.results, run.last, results, at, *run.judge)
    if change is None:
        text = "Nobody knows yet whether updating the reward model helped; the same run with a frozen one tells"
        return f"{text}: {_with(run.command, 'rm_data=frozen')}"
    keys = (_WIN_RATE, _QUALITY) if run.judge == _WIN_RATE else (run.judge,)
    changes = [
        f"by {_signed(key, found)} in {_title(key)}"
        for key in keys
        if (found := difference(run.results, run.last, results, at, *key))
    ]
    text = f"compared with a frozen one, {run.policy()} differs {', and '.join(changes)}"
    if run.judge == _PROXY:
        return f"Whether updating the reward model helped cannot be known from r₀ alone, a proxy: {text}."
    return f"Updating the reward model {_verdict(_HELPED, change, 0)}: {text}."


def _earlier(run: _Run) -> list[tuple[str, str]]:
    """Return the earlier reward models that r_t is compared with; r_0 once where it is the one before, too."""
    previous = run.reward(run.last - 1)
    return [("base", "r₀"), *([("previous", previous)] if previous != run.reward(0) else [])]


def _same(run: _Run, metric: str) -> Metric | None:
    return run.results.metric(run.last, "reward", "same_responses", metric)


def _verdict(words: Mapping[int, str], found: Metric | Difference | None, neutral: float) -> str:
    """Choose the word for an interval above, around or below the neutral value."""
    if found is None or found.low is None or found.high is None:
        return words[0]
    return words[int(found.low > neutral) - int(found.high < neutral)]


def _change(run: _Run, key: MetricKey) -> str:
    """Return how a metric went from iteration 0 to the last; reward models are named."""
    known, found = quantity(*key[1:]), difference(run.results, run.last, run.results, 0, *key)
    first, last = run.results.metric(0, *key), run.results.metric(run.last, *key)
    if found is None or first is None or last is None:
        return f"{_title(key)} is not known of π₀"
    names = (f" ({run.reward(0)})", f" ({run.reward(run.last)})") if key[0] == "reward" else ("", "")
    before, after = (known.format.text(one.value) + name for one, name in zip((first, last), names, strict=True))
    return f"{_title(key).replace(' of rₜ', '')} {before} → {after}, {_signed(key, found)}"


def _peak(run: _Run, key: MetricKey) -> str:
    """Say which earlier policy was better than the last one, where its paired interval says so."""
    better = [
        (found.value, t, found)
        for t in range(1, run.last)
        if (found := difference(run.results, t, run.results, run.last, *key)) and found.sign > 0
    ]
    if not better:
        return ""
    _, t, found = max(better, key=lambda one: one[0])
    name = run.compiled.plan.position(run.compiled.graph.iterations[t].policy).model_name
    return f"; {name} was better than {run.policy()} by {_signed(key, found).lstrip('+')}"


def _title(key: MetricKey) -> str:
    """Return a metric's title inside a sentence, without its comma; benchmarks keep their capitals."""
    text = quantity(*key[1:]).title.replace(",", "")
    return text if text.startswith(("AlpacaEval", "Arena", "RewardBench")) else f"{text[0].lower()}{text[1:]}"


def _signed(key: MetricKey, found: Difference) -> str:
    form = quantity(*key[1:]).format
    return f"{form.difference(found.value)} {form.interval(found.low, found.high)}".strip()


def _value(metric: Metric | None) -> str:
    form = quantity(metric.benchmark, metric.metric).format if metric else NUMBER
    return f"{form.text(metric.value)} {form.interval(metric.low, metric.high)}".strip() if metric else "–"


def _with(command: str, choice: str) -> str:
    """Return a command with one choice made otherwise, for a run of another name."""
    name = choice.partition("=")[0]
    words = [word for word in shlex.split(command) if not re.match(rf"\+*({name}(\.\w+)?|name)=", word)]
    return shlex.join([*words, choice])
