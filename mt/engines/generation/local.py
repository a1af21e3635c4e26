"""A policy in this process, sampled in batches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from mt.engines.batching import run_halving, token_batches
from mt.engines.devices import choose_device, choose_dtype
from mt.engines.generation.attention import share_heads
from mt.engines.generation.decoding import DecodingBatch
from mt.engines.generation.plain import decode_plainly
from mt.engines.generation.prompts import Ready, check_decoding, fit_prompt, long_prompts
from mt.engines.generation.sharing import plain_loop, shares_prompts
from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.models import load_model
from mt.engines.rotary import batch_regime
from mt.engines.settings import DecodingConfig, default_batch_tokens
from mt.engines.template import TemplateConfig
from mt.engines.text import open_chat
from mt.types import Prompt, Samples


class LocalPolicy:
    """A policy in this process; see `OpenPolicy`."""

    def __init__(self, config: TransformersGenerator, folder: Path, template: TemplateConfig | None):
        """Load the policy and its tokenizer."""
        self.config, self.folder = config, folder
        self.chat = open_chat(folder, template)
        device = choose_device(config.device)
        self.batch_tokens = config.tokens_per_batch(device.type)
        self.prompt_tokens = config.batch_tokens or default_batch_tokens("score", device.type)
        self.model: Any = load_model(folder, "policy", choose_dtype(config.dtype), device)
        share_heads(self.model)  # before the trial, which then decodes so too
        self.shares = shares_prompts(self.model)
        self.loop = "cached" if self.shares else plain_loop(self.model)
        self.counts: dict[str, int] = {}

    def sample(
        self, prompts: Sequence[Prompt], decoding: DecodingConfig, seed: int, skip: Collection[str] = ()
    ) -> Iterator[Samples]:
        """Yield the responses batch by batch, longest prompts first."""
        check_decoding(self.folder, self.config, decoding)
        fitted = [fit_prompt(prompt, self.chat, self.config, decoding) for prompt in prompts]
        self.counts = long_prompts(self.config, len(prompts), sum(too_long for _, too_long in fitted))
        ready = [row for row, _ in fitted if row is not None]
        sizes = [(len(row.ids) + row.room) * decoding.samples for row in ready]
        regimes = [self._regime(row) for row in ready]
        batches = token_batches(sizes, self.batch_tokens, regimes=regimes)
        missing = [batch for batch in batches if any(ready[i].prompt.prompt_id not in skip for i in batch)]

        def compute(batch: list[int]) -> list[Samples]:
            return self._answer([ready[i] for i in batch], decoding, seed)

        for _, answered in run_halving(missing, sizes, compute, "generator.batch_tokens", regimes):
            yield from (samples for samples in answered if samples.prompt_id not in skip)

    def _regime(self, row: Ready) -> int:
        """Return the prompt's length where the batch must have prompts of one length, else 0."""
        config = self.model.config
        steady = batch_regime(config, len(row.ids) + row.room) == batch_regime(config, 1)
        return 0 if self.shares and steady else len(row.ids)

    def _answer(self, ready: Sequence[Ready], decoding: DecodingConfig, seed: int) -> list[Samples]:
        """Decode one batch; greedy responses of a prompt are equal, so that one is decoded and repeated."""
        copies = 1 if decoding.temperature == 0 else decoding.samples
        ends = self.chat.stop_ids, self.chat.pad_id
        if self._regime(ready[0]):
            drawn = decode_plainly(self.model, ready, decoding, seed, copies, *ends, loop=self.loop)
        else:
            drawn = DecodingBatch(self.model, ready, decoding, seed, copies, self.prompt_tokens).decode(*ends)
        responses = [self.chat.response(one.ids, finished=one.finished, logprob=one.logprob) for one in drawn]
        return [
            Samples(
                row.prompt.prompt_id,
                row.prompt.messages,
                row.prompt.section,
                responses[i * copies : (i + 1) * copies] * (decoding.samples // copies),
            )
            for i, row in enumerate(ready)
        ]
