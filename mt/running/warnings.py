"""What a run's numbers cannot be trusted for: known before it starts, or seen when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mt.evaluation.formats import NUMBER
from mt.evaluation.pairing import Difference
from mt.methods.compile import CompiledRun
from mt.running.results import Results, difference
from mt.stages.lineage import tables_behind
from mt.stages.prompts import Counted, PartitionPrompts, PromptBlock
from mt.stages.train import TrainPolicy
from mt.types import Metric
from mt.workflow.position import EVALUATION, Position
from mt.workflow.stage import Stage

FEW_PROMPTS = 30
"""With fewer held-out prompts an interval is too wide to be useful (our choice)."""
STILL = 0.01
"""KL from π_0 in nats a response below which a policy has not moved (our choice)."""
MOST = 0.9
"""Share of cut off or repeated responses that is worth a warning (our choice)."""
LITTLE_KEPT = 0.5
"""Share of a training's changes below which a published model has lost them (our choice)."""
_PROXY, _GOLD = ("proxy", "mean_reward_base"), ("gold", "mean_reward")


def before(compiled: CompiledRun) -> Iterator[str]:
    """Yield what can be foreseen of a run, as far as its prompts can be counted already."""
    batch = compiled.config.policy.training.batch_size
    trained = [stage for stage in compiled.plan.order if isinstance(stage, TrainPolicy)]
    counts = [count for stage in trained if (count := prompts_behind(stage.selected)) is not None]
    if counts and min(counts) < batch:
        problem = f"an iteration has {min(counts)} prompts, fewer than policy.training.batch_size={batch}"
        yield f"{problem}: one step of training each. Give more prompts, or lower it"
    held_out = compiled.config.eval.held_out
    if held_out is not None:
        prompts = compiled.config.data.source(compiled.config).held_out(held_out.prompts)
        if isinstance(prompts, Counted) and prompts.count() < FEW_PROMPTS:
            yield f"{prompts.count()} held-out prompts are too few for useful intervals. Raise data.held_out to 100"


def prompts_behind(table: Stage) -> int | None:
    """Return how many prompts a table's rows can come from at most, or None where nobody knows yet."""
    total = 0
    for stage in tables_behind(table):
        if isinstance(stage, PartitionPrompts | PromptBlock):
            if not isinstance(stage.prompts, Counted):
                return None
            total += stage.size if isinstance(stage, PromptBlock) else stage.prompts.count() // stage.parts
    return total or None


def after(record: Mapping[str, Any], results: Results) -> Iterator[str]:
    """Yield what a finished run's numbers say against it: what spoiled them first, then the alarms."""
    yield from spoiled(record, results)
    yield from alarms(results)


def alarms(results: Results) -> Iterator[str]:
    """Yield what gold says against the models: only what the intervals tell."""
    if harm := [found for i in sorted(results.found) if (found := _choice_does_harm(results, i))]:
        text = "of several responses to a prompt, the one that the reward model rewards most is worse than a random one"
        fix = "Do not choose answers by it; see whether the policy is better with rm_data=frozen"
        yield f"{text}, in gold reward: {'; '.join(harm)}. {fix}"
    for i in range(1, results.last + 1):
        proxy, gold = (difference(results, i, results, i - 1, "policy", *key) for key in (_PROXY, _GOLD))
        if proxy and gold and proxy.sign > 0 > gold.sign:
            yield f"iteration {i}: over-optimised, average reward by r₀ {_change(proxy)}, by gold {_change(gold)}"


def spoiled(record: Mapping[str, Any], results: Results) -> Iterator[str]:
    """Yield what makes a run's answers worth little, whatever they say: its training or its responses failed."""
    if lost := [f"{model} {share:.1%}" for model, share in kept_updates(record) if share < LITTLE_KEPT]:
        text = "is all that the published model keeps of the changed weights; set trainer.publish_dtype=float32"
        yield f"{', '.join(lost)}: {text}"
    for i in sorted(results.found):
        kl = results.metric(i, "policy", "diagnostics", "kl")
        if i and kl is not None and abs(kl.value) < STILL:
            fix = "raise policy.training.learning_rate, or give more prompts"
            yield f"iteration {i}: the policy did not move (KL {NUMBER.text(kl.value)} nats a response from π₀); {fix}"
        repeated = results.metric(i, "policy", "diagnostics", "duplicate_rate")
        if repeated is not None and repeated.value > MOST:
            yield f"iteration {i}: {repeated.value:.0%} of the responses repeat another one; these make no pairs"
    cut: dict[str, dict[str, None]] = {}
    for stage in record["stages"]:
        counts, where = stage.get("counts", {}), Position.of(stage)
        share = counts.get("unfinished", 0) / counts.get("responses", 1) if counts.get("responses") else 0.0
        if stage["stage"] == "sample" and where.step != EVALUATION and share > MOST:
            cut.setdefault(f"{share:.0%}", {})[str(where)] = None
    for share_cut, places in cut.items():
        yield f"{', '.join(places)}: {share_cut} of the responses are cut off; raise sampling.max_new_tokens"


def kept_updates(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return (model, share of its training's changes that it keeps as it is published) for each trained model."""
    trained = [stage for stage in record["stages"] if "update_kept" in stage.get("counts", {})]
    return [(Position.of(stage).model_name or stage["stage"], stage["counts"]["update_kept"]) for stage in trained]


def _choice_does_harm(results: Results, iteration: int) -> str:
    gain = results.metric(iteration, "reward", "gold", "choice_gain")
    if gain is None or gain.high is None or gain.high >= 0:
        return ""
    base = results.metric(iteration, "reward", "same_responses", "choice_gain_base")
    other = f" (r₀ {_change(base)})" if base else ""
    return f"{f'iteration {iteration}' if iteration else 'base'} {_change(gain)}{other}"


def _change(found: Metric | Difference) -> str:
    return f"{NUMBER.difference(found.value)} {NUMBER.interval(found.low, found.high)}".strip()
