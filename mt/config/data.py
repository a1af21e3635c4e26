"""Where prompts come from: the synthetic world, the user's files, or a data set by name."""

from __future__ import annotations

from mt.config.world import WorldData

DataConfig = WorldData
