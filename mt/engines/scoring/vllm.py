"""Scoring by vLLM: conversations sharded over worker processes."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from pathlib import Path

from mt.engines.scoring.base import OpenRewardModel, Scorer
from mt.engines.settings import VllmEngine
from mt.engines.template import TemplateConfig
from mt.engines.vllm_pool import check_installed


class VllmScorer(Scorer, VllmEngine):
    """Scoring by vLLM, one worker process per GPU or group of GPUs."""

    def check(self) -> None:
        """Raise ConfigError where vLLM is not installed."""
        check_installed(self.GROUP)

    def open(self, folder: Path, template: TemplateConfig | None = None) -> AbstractContextManager[OpenRewardModel]:
        """Prepare a reward model for vLLM; worker processes live from the first question to the block's end."""
        from mt.engines.scoring.vllm_engine import VllmRewardModel

        return closing(VllmRewardModel(self, Path(folder), template))
