"""What a method cannot be combined with: refused while a run is still on paper."""

from __future__ import annotations

from mt.config.method import MetaRewarding
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe
from mt.methods import METHODS
from mt.objectives.registry import OBJECTIVES
from mt.selection import DEMONSTRATION_RULES, PAIR_RULES, makes

_IMITATING = ("best_of_k", "rest_em")
"""The choices of objective= that learn from demonstrations; both are supervised fine-tuning."""


def refuse_impossible(config: RunConfig) -> None:
    """Raise ConfigError for settings that the run's method would ignore or could not work with."""
    method, facts = config.method.name, METHODS[config.method.name]
    if config.rounds > 1 and not facts.has_rounds:
        others = " or ".join(f"method={name}" for name, one in METHODS.items() if one.has_rounds)
        _refuse("rounds", config.rounds, f"method={method} has no rounds", f"1, or {others}", "Drop rounds=")
    if config.iterations > 1 and facts.trains_once:
        _refuse("iterations", config.iterations, f"method={method} trains once", "1", "Drop iterations=")
    _refuse_objective(config)
    _refuse_selection(config)


def _refuse_objective(config: RunConfig) -> None:
    method, objective = config.method.name, OBJECTIVES[config.objective.name]
    on_pairs = {name: one for name, one in OBJECTIVES.items() if one.learns_from == "pairs"}
    if METHODS[method].makes_pairs and objective.name not in on_pairs:
        problem = f"it learns from demonstrations, and method={method} makes pairs"
        value, mend = " or ".join(_IMITATING), "Choose another objective, or method=iterative"
        _refuse("objective", value, problem, ", ".join(on_pairs), mend)
    if objective.needs_win_probabilities and _lacks_win_probabilities(config):
        allowed = ", ".join(name for name, one in on_pairs.items() if not one.needs_win_probabilities)
        problem = f"it needs win probabilities over K responses, which not all pairs of method={method} have"
        _refuse("objective", objective.name, problem, allowed, "Choose another objective, or method=iterative")


def _refuse_selection(config: RunConfig) -> None:
    objective, made = OBJECTIVES[config.objective.name], makes(config.selection.name)
    if objective.learns_from != made:
        allowed = [rule for rule in (*PAIR_RULES, *DEMONSTRATION_RULES) if makes(rule) == objective.learns_from]
        name = objective.name if objective.learns_from == "pairs" else " or ".join(_IMITATING)
        problem = f"it makes {made}, and objective={name} learns from {objective.learns_from}"
        _refuse("selection", config.selection.name, problem, ", ".join(allowed), "Add selection=NAME")


def _lacks_win_probabilities(config: RunConfig) -> bool:
    """Say whether some pairs compare other texts than the K responses of one prompt; actor pairs alone do not."""
    method = config.method
    actor_pairs_only = isinstance(method, MetaRewarding) and method.judge_iterations == 0
    return METHODS[method.name].makes_pairs and not actor_pairs_only


def _refuse(field: str, value: object, problem: str, allowed: str, mend: str) -> None:
    raise ConfigError(describe(field, value, problem, allowed=allowed, mend=mend))
