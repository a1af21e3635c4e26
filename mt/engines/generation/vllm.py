"""Generation by vLLM: prompts sharded over worker processes."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING

from mt.engines.generation.base import Generator
from mt.engines.settings import VllmEngine
from mt.engines.template import TemplateConfig
from mt.engines.vllm_pool import check_installed

if TYPE_CHECKING:
    from mt.engines.generation.vllm_engine import VllmPolicy


class VllmGenerator(Generator, VllmEngine):
    """Generation by vLLM, one worker process per GPU or group of GPUs."""

    def responses_at_once(self, samples: int) -> int:
        """Return 1: vLLM takes responses as it has room for them."""
        return 1

    def check(self) -> None:
        """Raise ConfigError where vLLM is not installed."""
        check_installed(self.GROUP)

    def open(self, folder: Path, template: TemplateConfig | None = None) -> AbstractContextManager[VllmPolicy]:
        """Prepare a policy for vLLM; worker processes live from the first question to the block's end."""
        from mt.engines.generation.vllm_engine import VllmPolicy

        return closing(VllmPolicy(self, Path(folder), template))
