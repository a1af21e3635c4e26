"""Summed log-probabilities of responses under a policy: the reference side of preference objectives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mt.engines.batching import run_halving, token_batches
from mt.engines.devices import choose_device, choose_dtype, cpu_threads, release
from mt.engines.heads import OutputHead
from mt.engines.logprobs import predicting_positions, row_sums, token_logprobs
from mt.engines.models import check_context, load_model
from mt.engines.rotary import batch_regime
from mt.engines.scoring.sequences import WINDOW, ahead, finite, pad_right, windows
from mt.engines.settings import LogProbsConfig
from mt.engines.template import TemplateConfig
from mt.engines.text import Fitted, Truncation, fit_response, open_chat
from mt.engines.workers import Workers, visible_gpus
from mt.types import Messages, Response

Rows = Sequence[tuple[Messages, Response]]
_WORKER = "mt.engines.scoring.logprobs_worker"


class OpenLogProbs:
    """A policy that computes log-probabilities; loaded at the first call, here or in one process per GPU."""

    def __init__(self, config: LogProbsConfig, folder: Path, template: TemplateConfig | None):
        self.config, self.folder, self.template = config, folder, template
        self._here: _Policy | None = None
        self._workers: Workers | None = None
        self._held = ExitStack()

    def logprobs(
        self, rows: Rows, max_length: int, truncation: Truncation = "left"
    ) -> Iterator[tuple[int, float, int]]:
        """Yield (index of the row, Σ log π(token), number of response tokens summed), in no particular order.

        Sequences are formed exactly as in training (§5.1, Eq. 2): the prompt rendered by the template, then the
        response's ids as sampled (foreign text is tokenised), fitted into `max_length` by `truncation`. A row that
        training would drop yields (index, nan, 0). With device=auto the rows of several windows are shared among the
        GPUs. Raises `EngineError` where a sum is not finite.
        """
        check_context(self.folder, max_length, "max_length")
        gpus = visible_gpus() if self.config.device == "auto" and len(rows) > WINDOW else []
        ask = self._on_gpus if len(gpus) > 1 else self._in_this_process
        yield from ask(rows, max_length, truncation, gpus)

    def close(self) -> None:
        """Give the memory back."""
        self._here = self._workers = None
        self._held.close()

    def _on_gpus(
        self, rows: Rows, max_length: int, truncation: Truncation, gpus: Sequence[str]
    ) -> Iterator[tuple[int, float, int]]:
        """Share the rows among processes, one per GPU."""
        if self._workers is None:
            self.close()
            settings = self.config.model_copy(update={"threads": self.config.threads or 1}).model_dump()
            template = self.template.model_dump() if self.template else None
            request = {"config": settings, "folder": str(self.folder), "template": template}
            workers = Workers(_WORKER, request, [[gpu] for gpu in gpus], {"HF_HUB_OFFLINE": "1"})
            self._workers = self._held.enter_context(closing(workers))
        items = ([index, messages, asdict(response)] for index, (messages, response) in enumerate(rows))
        found = self._workers.run({"max_length": max_length, "truncation": truncation}, items)
        yield from ((index, value, tokens) for index, value, tokens in found)

    def _in_this_process(
        self, rows: Rows, max_length: int, truncation: Truncation, gpus: Sequence[str]
    ) -> Iterator[tuple[int, float, int]]:
        if self._here is None:
            self.close()
            self._held.callback(release)
            self._held.enter_context(cpu_threads(self.config.threads))
            self._here = _Policy(self.config, self.folder, self.template)
        policy = self._here
        tokenised = (
            (window, [policy.fit(rows[index], max_length, truncation) for index in window])
            for window in windows(len(rows))
        )
        for window, fitted in ahead(tokenised):
            for i, value, tokens in policy.logprobs(fitted):
                yield window[i], finite(window[i], value, "log-probability") if tokens else value, tokens


class _Policy:
    def __init__(self, config: LogProbsConfig, folder: Path, template: TemplateConfig | None):
        self.chat = open_chat(folder, template)
        device = choose_device(config.device)
        self.batch_tokens = config.tokens_per_batch(device.type)
        self.model: Any = load_model(folder, "policy", choose_dtype(config.dtype), device)
        self.head = OutputHead(self.model)

    def fit(self, row: tuple[Messages, Response], max_length: int, truncation: Truncation) -> Fitted | None:
        messages, response = row
        prompt, answer = self.chat.prompt_ids(messages), self.chat.response_ids(messages, response)
        return fit_response(prompt, answer, max_length, truncation)

    def logprobs(self, rows: Sequence[Fitted | None]) -> Iterator[tuple[int, float, int]]:
        """Yield (index, sum, tokens) of the rows of one window, those that were dropped first."""
        yield from ((index, math.nan, 0) for index, row in enumerate(rows) if row is None)
        kept = {index: row for index, row in enumerate(rows) if row is not None}
        lengths = [len(row.prompt) + len(row.response) if row else 0 for row in rows]

        def compute(batch: list[int]) -> list[float]:
            return self.sums([kept[index] for index in batch])

        regimes = [batch_regime(self.model.config, length) for length in lengths]
        batches = token_batches(lengths, self.batch_tokens, kept, regimes)
        for batch, sums in run_halving(batches, lengths, compute, "batch_tokens", regimes):
            yield from ((i, value, len(kept[i].response)) for i, value in zip(batch, sums, strict=True))

    @torch.inference_mode()
    def sums(self, batch: Sequence[Fitted]) -> list[float]:
        """Return the summed log-probabilities of sequences that form one batch."""
        ids_BT = pad_right([row.prompt + row.response for row in batch], self.chat.pad_id, self.model.device)
        hidden_BTD = self.model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
        lengths = [len(row.response) for row in batch]
        where_R = predicting_positions([len(row.prompt) for row in batch], lengths, ids_BT.shape[1]).to(ids_BT.device)
        hidden_RD = hidden_BTD.flatten(0, 1)[where_R]
        logps_R = token_logprobs(
            hidden_RD, self.head.logits, ids_BT.flatten()[where_R + 1], vocabulary=self.head.vocabulary
        )
        sums: list[float] = row_sums(logps_R, lengths).tolist()
        return sums
