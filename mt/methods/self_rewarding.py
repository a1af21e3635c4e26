"""Self-Rewarding (Yuan et al. 2024): Meta-Rewarding without judge pairs."""

from __future__ import annotations

from mt.methods.meta_rewarding import MetaRewarding


class SelfRewarding(MetaRewarding):
    """A policy that judges its own responses (Yuan et al. 2024): its YAML file sets judge_iterations to 0."""
