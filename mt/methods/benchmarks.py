"""The paper's benchmarks of an iteration's models, judged by the run's judge."""

from __future__ import annotations

from typing import Any, Literal

from mt.engines.judging.reward_model import RewardModelJudge
from mt.errors import ConfigError, describe
from mt.methods.held_out import answers
from mt.methods.judging import judging_inputs
from mt.methods.run_graph import Found, Iteration, RunGraph
from mt.methods.steps import Steps
from mt.sources.references import named_file
from mt.stages.evaluate_judged import AlpacaEval, ArenaHard, GamedBaseline, PairwiseWinRate
from mt.stages.evaluate_reward_bench import RewardBench, RewardBench2
from mt.stages.judge import Judge, JudgeOverNetwork, SelectBestResponse
from mt.stages.prompts import ExtractPrompts, FirstPrompts
from mt.stages.rewards import compares_responses
from mt.workflow.stage import Stage


def alpaca_eval(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """AlpacaEval 2 against its baseline."""
    settings = steps.config.eval.alpaca_eval
    if settings is None:
        return
    baseline = steps.add(steps.source.baseline(settings, "standard"))
    model = steps.sample(iteration.policy, steps.add(ExtractPrompts(baseline)), settings.decoding)
    judgments = judge(steps, graph, baseline, model, "preference", "coin")
    yield "policy", AlpacaEval(baseline, model, judgments, _gamed(steps, graph, baseline), settings.resamples)


def arena_hard(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """Arena-Hard against its baseline."""
    settings = steps.config.eval.arena_hard
    if settings is None:
        return
    baseline = steps.add(steps.source.baseline(settings, "standard"))
    model = steps.sample(iteration.policy, steps.add(ExtractPrompts(baseline)), settings.decoding)
    judgments = judge(steps, graph, baseline, model, "verdict", "both")
    tokens = settings.tokens if settings.tokens != "policy" else None
    yield "policy", ArenaHard(model, judgments, settings.rule, tokens)


def reward_bench(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """RewardBench of the reward; one that compares the responses to a prompt cannot order two that stand alone."""
    settings = steps.config.eval.reward_bench
    if settings is not None and not compares_responses(iteration.reward):
        pairs = steps.add(steps.source.reward_bench(settings.pairs))
        convention = settings.convention if settings.convention != "current" else None
        yield "reward", RewardBench(pairs, steps.score(iteration.reward, pairs), convention)


def reward_bench_2(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """RewardBench 2 of the reward, likewise."""
    settings = steps.config.eval.reward_bench_2
    if settings is not None and not compares_responses(iteration.reward):
        prompts = steps.add(steps.source.reward_bench_2(settings.prompts))
        yield "reward", RewardBench2(prompts, steps.score(iteration.reward, prompts))


def in_distribution(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """Figure 3: the picks of r_t, of r_0 and of r_{t-1} among the final policy's responses, two by two."""
    samples = _in_distribution_responses(steps, graph)
    if samples is None or iteration.reward.key == graph.base.reward.key:
        return  # r_0 has nothing to beat
    earlier = {"": graph.base}
    if iteration.index > 1:
        earlier["_vs_previous"] = graph.iterations[iteration.index - 1]
    for suffix, other in earlier.items():
        theirs, own = (
            steps.add(SelectBestResponse(samples, steps.score(one.reward, samples))) for one in (other, iteration)
        )
        judgments = judge(steps, graph, theirs, own, "preference", "both")
        yield "reward", PairwiseWinRate(judgments, "in_distribution", suffix)


def _in_distribution_responses(steps: Steps, graph: RunGraph) -> Stage | None:
    """The final policy's responses to prompts of D_R, None for a method without; or those to held-out prompts."""
    settings = steps.config.eval.in_distribution
    if settings is None or settings.source == "held_out":
        _needs(steps, "in_distribution", "held_out")
        return answers(steps, graph.final)
    if graph.reward_prompts is None:
        return None
    prompts = steps.add(FirstPrompts(graph.reward_prompts, settings.prompts))
    return steps.sample(graph.final.policy, prompts)


def pairwise(steps: Steps, graph: RunGraph, iteration: Iteration) -> Found:
    """Figure 5: this iteration's responses against those of every earlier one, by r_0."""
    settings = _needs(steps, "pairwise", "alpaca_eval")
    baseline = steps.add(steps.source.baseline(settings, "standard"))
    prompts = steps.add(ExtractPrompts(baseline))
    scorer = steps.config.scorer
    by_reward = RewardModelJudge(name="reward_model", path=None, revision=None, scorer=scorer)
    model = steps.sample(iteration.policy, prompts, settings.decoding)
    for earlier in graph.iterations[: iteration.index]:
        other = steps.sample(earlier.policy, prompts, settings.decoding)
        seed = steps.seed("judge")
        base, template = graph.base.reward, steps.reward_template
        judgments = Judge(other, model, by_reward, base, None, "preference", "both", None, seed, template)
        yield "policy", PairwiseWinRate(steps.add(judgments), "pairwise", f"_vs_{earlier.index}")


def _needs(steps: Steps, name: str, other: Literal["held_out", "alpaca_eval"]) -> Any:
    """Return the settings of the benchmark whose responses this one compares."""
    settings = getattr(steps.config.eval, other)
    if settings is None:
        problem = f"it compares responses of {other}, which is not measured"
        raise ConfigError(describe("eval", name, problem, fix=f"Add {other} to eval=[…]"))
    return settings


def judge(
    steps: Steps,
    graph: RunGraph,
    baseline: Stage,
    model: Stage,
    style: Literal["preference", "verdict"],
    orders: Literal["coin", "both"],
) -> Stage:
    """The run's judge on two models' responses."""
    settings, seed = steps.config.judge, steps.seed("judge")
    how = judging_inputs(steps, settings, style, graph.base.reward)
    kind = JudgeOverNetwork if settings.needs_network else Judge
    model_and_oracle, rendered = (how.model, how.oracle), how.chat_template
    return steps.add(kind(baseline, model, settings, *model_and_oracle, style, orders, how.template, seed, rendered))


def _gamed(steps: Steps, graph: RunGraph, baseline: Stage) -> Stage | None:
    """The length control's anchors: of the file that is named, or the world's own, judged by the same judge."""
    settings = steps.config.eval.alpaca_eval
    if settings is None:
        return None
    if not steps.source.styles:
        name = None if steps.config.data.has_gold else settings.gamed
        return named_file(steps.config, name, "eval.alpaca_eval.gamed") if name is not None else None
    variants = tuple(steps.add(steps.source.baseline(settings, style)) for style in steps.source.styles)
    judgments = tuple(judge(steps, graph, baseline, one, "preference", "coin") for one in variants)
    return steps.add(GamedBaseline(baseline, variants, judgments))
