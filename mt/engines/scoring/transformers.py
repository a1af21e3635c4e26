"""Scoring by transformers in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from mt.engines.scoring.base import OpenRewardModel, Scorer
from mt.engines.settings import LocalEngine, Work
from mt.engines.template import TemplateConfig


class TransformersScorer(Scorer, LocalEngine):
    """Scoring by transformers in this process."""

    work: ClassVar[Work] = "score"

    @contextmanager
    def open(self, folder: Path, template: TemplateConfig | None = None) -> Iterator[OpenRewardModel]:
        """Load a reward model for the length of a block."""
        from mt.engines.devices import cpu_threads, release
        from mt.engines.scoring.local import LocalRewardModel

        with cpu_threads(self.threads):
            reward_model = LocalRewardModel(self, Path(folder), template)
            try:
                yield reward_model
            finally:
                del reward_model.model
                release()
