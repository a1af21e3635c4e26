"""A policy behind vLLM's worker processes: token ids in and out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from mt.engines.generation.prompts import check_decoding, long_prompts
from mt.engines.generation.sampler import prompt_seed
from mt.engines.generation.vllm import VllmGenerator
from mt.engines.models import check_model
from mt.engines.settings import DecodingConfig
from mt.engines.template import TemplateConfig
from mt.engines.text import open_chat
from mt.engines.vllm_pool import device_groups, vllm_workers
from mt.engines.workers import Workers
from mt.types import Prompt, Samples

_WORKER = "mt.engines.generation.vllm_worker"


class VllmPolicy:
    """A policy behind vLLM; see `OpenPolicy`. Its workers stay between two calls, until it is closed."""

    def __init__(self, config: VllmGenerator, folder: Path, template: TemplateConfig | None):
        """Check that the policy can serve, before any process is started."""
        device_groups(config)
        check_model(folder, "policy", has_template=template is None or template.file is None)
        self.config, self.folder = config, folder
        self.template, self.chat = template, open_chat(folder, template)
        self.counts: dict[str, int] = {}
        self._workers: Workers | None = None
        self._length = 0

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()

    def sample(
        self, prompts: Sequence[Prompt], decoding: DecodingConfig, seed: int, skip: Collection[str] = ()
    ) -> Iterator[Samples]:
        """Yield each prompt's responses as a worker finishes them."""
        for prompt, rows in self._asked(prompts, decoding, seed, skip):
            found = [self.chat.response(ids, finished=why == "stop", logprob=logprob) for ids, why, logprob, _ in rows]
            responses = found * (decoding.samples // len(rows))
            yield Samples(prompt.prompt_id, prompt.messages, prompt.section, responses)

    def first_tokens(
        self, prompts: Sequence[Prompt], max_length: int, most: int
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield each prompt's id with the log-probabilities of its answer's `most` likeliest first tokens, by text."""
        decoding = DecodingConfig(samples=1, temperature=0.0, top_p=1.0, max_new_tokens=1, max_length=max_length)
        for prompt, rows in self._asked(prompts, decoding, 0, (), most):
            found: dict[str, float] = {}
            for token, logprob in rows[0][3]:
                found.setdefault(self.chat.decode([token]), logprob)  # likeliest first
            yield prompt.prompt_id, found

    def _asked(
        self, prompts: Sequence[Prompt], decoding: DecodingConfig, seed: int, skip: Collection[str], most: int = 0
    ) -> Iterator[tuple[Prompt, list[Any]]]:
        """Yield each prompt with its copies: ids, finish reason, log-probability, the first token's alternatives."""
        check_decoding(self.folder, self.config, decoding)
        job, found = {"decoding": decoding.model_dump(), "alternatives": most}, 0
        items = (
            [number, prompt.messages, prompt_seed(seed, name := prompt.prompt_id, decoding.samples), name not in skip]
            for number, prompt in enumerate(prompts)
        )
        self.counts = long_prompts(self.config, len(prompts), found)
        if self._workers is None or self._length < decoding.max_length:  # the engines have no room for such lengths
            self.close()
            self._length = decoding.max_length
            self._workers = vllm_workers(self.config, _WORKER, self.folder, self.template, max_length=self._length)
        for number, rows, too_long in self._workers.run(job, items):
            found += too_long
            self.counts = long_prompts(self.config, len(prompts), found)
            if rows is not None:
                yield prompts[number], rows
