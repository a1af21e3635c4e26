"""Settings that a method cannot be combined with; they are refused before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable

from mt.choice import names, option, option_name
from mt.config.method import Method
from mt.config.reward import Reward
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe
from mt.methods.checkpoints.last import Last
from mt.objectives import Objective
from mt.selection import DemonstrationSelection, PairSelection, Selection
from mt.stages.select import SelectPairs
from mt.workflow.stage import Stage


def refuse_impossible(config: RunConfig) -> None:
    """Raise ConfigError for settings that the run's method would ignore or could not work with."""
    method = config.method
    if config.rounds > 1 and not method.has_rounds:
        others = " or ".join(f"method={name}" for name in names(Method) if option(Method, name).has_rounds)
        _refuse("rounds", config.rounds, f"method={method.name} has no rounds", f"1, or {others}", "Drop rounds=")
    if config.iterations > 1 and method.trains_once:
        _refuse("iterations", config.iterations, f"method={method.name} trains once", "1", "Drop iterations=")
    if config.policy.sft and config.policy.path is None:
        problem = f"the policy of data={config.data.name} has learnt from its demonstrations already"
        _refuse("policy.sft", True, problem, "false", "Add policy.path=DIR, or drop policy.sft=true")
    _refuse_checkpoint(config)
    _refuse_objective(config)
    _refuse_selection(config)
    _refuse_reward(config)
    _refuse_offline(config)
    replay: float = getattr(config.rm_data, "replay", 0.0)
    if config.reward_loss.needs_margins and replay:
        problem = f"older preferences carry no rewards, which reward_loss={config.reward_loss.name} needs"
        _refuse("rm_data.replay", replay, problem, "0", "Choose another rm_data or reward_loss")


def refuse_greedy_pairs(config: RunConfig, stages: Iterable[Stage]) -> None:
    """Raise ConfigError where pairs are to be selected among responses that are all the same."""
    if config.sampling.temperature == 0 and any(isinstance(stage, SelectPairs) for stage in stages):
        problem = "greedy decoding gives one response K times, and a pair needs two distinct ones"
        _refuse("sampling.temperature", 0, problem, "at least 0.01 where pairs are selected", "Raise it")


def _refuse_checkpoint(config: RunConfig) -> None:
    """Refuse a choice among checkpoints where the method keeps the last one, or would go on after it has stopped."""
    name, method = config.policy.checkpoint.name, config.method
    if isinstance(config.policy.checkpoint, Last):
        return
    if not method.chooses_checkpoint:
        others = " or ".join(f"method={one}" for one in names(Method) if option(Method, one).chooses_checkpoint)
        problem = f"method={method.name} keeps the last one"
        _refuse("policy.checkpoint", name, problem, f"last, or {others}", "Set policy.checkpoint=last")
    if config.rounds > 1:
        problem = f"policy.checkpoint={name} may stop a round, and the next one learns from it"
        _refuse("rounds", config.rounds, problem, "1, or policy.checkpoint=last", "Drop rounds=")


def _refuse_objective(config: RunConfig) -> None:
    method, objective = config.method, config.objective
    on_pairs = [kind for name in names(Objective) if (kind := option(Objective, name)).learns_from == "pairs"]
    if method.makes_pairs and objective.learns_from != "pairs":
        problem = f"it learns from demonstrations, and method={method.name} makes pairs"
        allowed, fix = _listed(on_pairs), "Choose another objective, or method=iterative"
        _refuse("objective", objective.called, problem, allowed, fix)
    if objective.needs_win_probabilities and not method.has_win_probabilities:
        allowed = _listed([kind for kind in on_pairs if not kind.needs_win_probabilities])
        problem = f"it needs win probabilities over K responses, which not all pairs of method={method.name} have"
        _refuse("objective", objective.name, problem, allowed, "Choose another objective, or method=iterative")


def _refuse_selection(config: RunConfig) -> None:
    objective, selection = config.objective, config.selection
    if not isinstance(selection, PairSelection | DemonstrationSelection):
        problem = "a selection is one of pairs or of demonstrations, and this class is neither"
        allowed = "a subclass of mt.selection.PairSelection or of mt.selection.DemonstrationSelection"
        _refuse("selection", selection.name, problem, allowed, "Change its base class")
    if objective.learns_from != selection.makes:
        kinds = (option(Selection, name) for name in names(Selection))
        allowed = _listed([kind for kind in kinds if kind.makes == objective.learns_from])
        problem = f"it makes {selection.makes}, and objective={objective.called} learns from {objective.learns_from}"
        _refuse("selection", selection.name, problem, allowed, "Add selection=NAME")


def _refuse_reward(config: RunConfig) -> None:
    """Refuse what a reward cannot do that is no single model, or that needs several responses to a prompt."""
    reward, measured = config.reward, config.eval
    if reward.head_weights is not None and (reward.path is None or not reward.needs_path):
        problem = "no reward model is given whose outputs it could weight"
        _refuse("reward.head_weights", reward.head_weights, problem, "null", "Add reward.path=DIR")
    models = ", ".join(f"reward={name}" for name in names(Reward) if option(Reward, name).is_model)
    if reward.is_model:
        if reward.scores == "later":
            problem = f"reward={reward.name} is a reward model from the first E-step on"
            _refuse("reward.scores", "later", problem, "current, base", "Drop reward.scores=")
        return
    asks_reward = config.judge.model_kind == "reward" and getattr(config.judge, "path", None) is None
    if measured.judged and asks_reward:
        problem = f"the judge is the base reward model, and reward={reward.name} is none"
        _refuse("judge.path", None, problem, f"a path, or {models}", "Add judge.path=DIR")
    if measured.pairwise is not None:
        problem = f"the base reward model judges it, and reward={reward.name} is none"
        _refuse("eval", "pairwise", problem, models, "Leave pairwise out of eval=[…]")
    held_out = measured.held_out
    if reward.compares_responses and held_out is not None and held_out.decoding.samples < 2:
        problem = f"reward={reward.name} compares the responses to a prompt"
        _refuse("eval.held_out.decoding.samples", 1, problem, "2 or more", "Raise it")


def _refuse_offline(config: RunConfig) -> None:
    """Refuse offline preferences that the objective could not learn from, or that the method mixes in by itself."""
    share, objective, method = config.policy.offline_share, config.objective, config.method
    if not share:
        return
    problem = ""
    if objective.learns_from != "pairs":
        problem = f"objective={objective.called} learns from demonstrations, and preferences are pairs"
    elif objective.needs_win_probabilities:
        problem = f"objective={objective.name} needs win probabilities, which offline preferences do not have"
    elif method.mixes_offline:
        problem = f"method={method.name} mixes them by method.offline_share"
    if problem:
        _refuse("policy.offline_share", share, problem, "0", "Drop policy.offline_share=, or choose another objective")


def _listed(kinds: list[type[Objective]] | list[type[Selection]]) -> str:
    return ", ".join(option_name(kind) for kind in kinds)


def _refuse(field: str, value: object, problem: str, allowed: str, fix: str) -> None:
    raise ConfigError(describe(field, value, problem, allowed=allowed, fix=fix))
