"""Generation by transformers in this process: the default on a CPU, and on one GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from mt.engines.generation.base import Generator, OpenPolicy
from mt.engines.settings import LocalEngine, Work
from mt.engines.template import TemplateConfig


class TransformersGenerator(Generator, LocalEngine):
    """Generation by transformers in this process."""

    work: ClassVar[Work] = "generate"

    @contextmanager
    def open(self, folder: Path, template: TemplateConfig | None = None) -> Iterator[OpenPolicy]:
        """Load a policy for the length of a block."""
        from mt.engines.devices import cpu_threads, release
        from mt.engines.generation.local import LocalPolicy

        with cpu_threads(self.threads):
            policy = LocalPolicy(self, Path(folder), template)
            try:
                yield policy
            finally:
                del policy.model
                release()
