"""Generation: K responses per prompt from a policy, one class and one file an engine."""

from mt.engines.generation.base import Generator, OpenPolicy

__all__ = ["Generator", "OpenPolicy"]
