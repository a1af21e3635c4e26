"""Generation by transformers in this process: the default on a CPU, and on one GPU."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mt.config.engines import DecodingConfig, TransformersGenerator
from mt.engines.batching import run_halving, token_batches
from mt.engines.devices import choose_device, choose_dtype, cpu_threads, release
from mt.engines.generation.decoding import Batch
from mt.engines.generation.prompts import Ready, check_decoding, fit_prompts
from mt.engines.models import load_model
from mt.engines.text import load_tokenizer, stop_ids
from mt.types import Prompt, Response, Samples


class LocalGenerator:
    """A policy in this process; see `Generator`."""

    def __init__(self, config: TransformersGenerator, folder: Path):
        """Load the policy and its tokenizer."""
        self.config, self.folder = config, folder
        self.tokenizer = load_tokenizer(folder)
        self.stop = stop_ids(self.tokenizer, folder)
        self.model: Any = load_model(folder, "policy", choose_dtype(config.dtype), choose_device(config.device))
        self.counts: dict[str, int] = {}

    def sample(
        self, prompts: Sequence[Prompt], decoding: DecodingConfig, seed: int, skip: Collection[str] = ()
    ) -> Iterator[Samples]:
        """Yield the responses batch by batch, longest prompts first."""
        check_decoding(self.folder, decoding)
        ready, self.counts = fit_prompts(prompts, self.tokenizer, self.config, decoding)
        sizes = [(len(row.ids) + row.room) * decoding.samples for row in ready]
        batches = token_batches(sizes, self.config.batch_tokens)
        missing = [batch for batch in batches if any(ready[i].prompt.prompt_id not in skip for i in batch)]

        def compute(batch: list[int]) -> list[Samples]:
            return self._answer([ready[i] for i in batch], decoding, seed)

        for _, answered in run_halving(missing, sizes, compute, "generator.batch_tokens"):
            yield from (samples for samples in answered if samples.prompt_id not in skip)

    def _answer(self, ready: Sequence[Ready], decoding: DecodingConfig, seed: int) -> list[Samples]:
        """Decode one batch; greedy responses of a prompt are equal, so that one is decoded and repeated."""
        copies = 1 if decoding.temperature == 0 else decoding.samples
        batch = Batch(self.model, ready, decoding, seed, copies)
        rows = batch.decode(self.stop, self.tokenizer.pad_token_id)
        responses = [self._response(ids, finished) for ids, finished in rows]
        return [
            Samples(
                row.prompt.prompt_id,
                row.prompt.messages,
                row.prompt.section,
                responses[i * copies : (i + 1) * copies] * (decoding.samples // copies),
            )
            for i, row in enumerate(ready)
        ]

    def _response(self, ids: list[int], finished: bool) -> Response:
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return Response(str(text), len(ids), finished)


@contextmanager
def open_transformers(config: TransformersGenerator, folder: Path) -> Iterator[LocalGenerator]:
    """Load a policy for the length of a block."""
    with cpu_threads(config.threads):
        generator = LocalGenerator(config, folder)
        try:
            yield generator
        finally:
            del generator.model
            release()
