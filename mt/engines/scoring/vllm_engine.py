"""A reward model behind vLLM's worker processes: raw logits of the pooling runner."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mt.engines.models import check_context, check_model
from mt.engines.scoring.sequences import count, finite
from mt.engines.scoring.vllm import VllmScorer
from mt.engines.template import TemplateConfig
from mt.engines.text import open_chat
from mt.engines.vllm_pool import device_groups, vllm_workers

if TYPE_CHECKING:
    from mt.engines.scoring import Item

_WORKER = "mt.engines.scoring.vllm_worker"


class VllmRewardModel:
    """A reward model behind vLLM; see `OpenRewardModel`. Its workers stay between two calls, until it is closed."""

    def __init__(self, config: VllmScorer, folder: Path, template: TemplateConfig | None):
        """Check that the reward model can serve, before any process is started."""
        device_groups(config)
        check_model(folder, "reward", has_template=template is None or template.file is None)
        check_context(folder, config.max_length, "scorer.max_length")
        self.config, self.folder = config, folder
        open_chat(folder, template)  # refuses a tokenizer or a template that cannot serve
        self.counts = {"conversations": 0, "tokens": 0, "truncated": 0}
        self._workers = vllm_workers(config, _WORKER, folder, template)

    def close(self) -> None:
        """End the workers."""
        self._workers.close()

    def score(self, items: Sequence[Item], skip: Collection[int] = ()) -> Iterator[tuple[int, float]]:
        """Yield (index, reward) as a worker finishes it."""
        self.counts = dict.fromkeys(self.counts, 0)
        rows = ([index, messages, text, index not in skip] for index, (messages, text, _) in enumerate(items))
        # Responses to one prompt go to the same engine, whose prefix cache has the prompt from the second one on.
        for index, value, tokens, cut in self._workers.run({}, rows, together=lambda row: row[1]):
            count(self.counts, tokens, cut)
            if index not in skip:
                yield index, finite(index, value)
