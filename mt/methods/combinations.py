"""What a method cannot be combined with: refused while a run is still on paper."""

from __future__ import annotations

from mt.config.method import MetaRewarding
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe
from mt.objectives.registry import OBJECTIVES

_TRAINS_ONCE = ("offline", "transfer")
_OWN_PAIRS = ("spin", "sail", "meta_rewarding", "self_rewarding")


def refuse_impossible(config: RunConfig) -> None:
    """Raise ConfigError for settings that the run's method would ignore or could not work with."""
    method = config.method.name
    if config.rounds > 1 and method != "mutual_taught":
        _refuse("rounds", config.rounds, f"method={method} has no rounds", "1, or method=mutual_taught", "Drop rounds=")
    if config.iterations > 1 and method in _TRAINS_ONCE:
        _refuse("iterations", config.iterations, f"method={method} trains once", "1", "Drop iterations=")
    _refuse_objective(config)


def _refuse_objective(config: RunConfig) -> None:
    method, objective = config.method.name, OBJECTIVES[config.objective.name]
    if method in _OWN_PAIRS and objective.learns_from == "demonstrations":
        allowed = ", ".join(name for name, one in OBJECTIVES.items() if one.learns_from == "pairs")
        problem = f"it learns from demonstrations, and method={method} makes pairs"
        _refuse("objective", objective.name, problem, allowed, "Choose another objective, or method=iterative")
    if objective.needs_win_probabilities and _lacks_win_probabilities(config):
        allowed = ", ".join(name for name, one in OBJECTIVES.items() if not one.needs_win_probabilities)
        problem = f"it needs win probabilities over K responses, which not all pairs of method={method} have"
        _refuse("objective", objective.name, problem, allowed, "Choose another objective, or method=iterative")


def _lacks_win_probabilities(config: RunConfig) -> bool:
    method = config.method
    if isinstance(method, MetaRewarding):
        return method.judge_iterations > 0
    return method.name in ("spin", "sail")


def _refuse(field: str, value: object, problem: str, allowed: str, mend: str) -> None:
    raise ConfigError(describe(field, value, problem, allowed=allowed, mend=mend))
