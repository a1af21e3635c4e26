"""Scoring by transformers in this process: the default on a CPU, and on one GPU."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mt.engines.batching import run_halving, token_batches
from mt.engines.devices import choose_device, choose_dtype
from mt.engines.heads import read_rewards, reward_head
from mt.engines.models import check_context, load_model
from mt.engines.rotary import batch_regime
from mt.engines.scoring.sequences import ahead, count, finite, fit_item, pad_right, windows
from mt.engines.scoring.transformers import TransformersScorer
from mt.engines.template import TemplateConfig
from mt.engines.text import open_chat

if TYPE_CHECKING:
    from mt.engines.scoring import Item


class LocalRewardModel:
    """A reward model in this process; see `OpenRewardModel`."""

    def __init__(self, config: TransformersScorer, folder: Path, template: TemplateConfig | None):
        """Load the reward model and its tokenizer."""
        check_context(folder, config.max_length, "scorer.max_length")
        self.config = config
        self.chat = open_chat(folder, template)
        device = choose_device(config.device)
        self.batch_tokens = config.tokens_per_batch(device.type)
        self.model: Any = load_model(folder, "reward", choose_dtype(config.dtype), device)
        self.counts = {"conversations": 0, "tokens": 0, "truncated": 0}

    def score(self, items: Sequence[Item], skip: Collection[int] = ()) -> Iterator[tuple[int, float]]:
        """Yield (index, reward) batch by batch, the longest conversations of each window first."""
        self.counts = dict.fromkeys(self.counts, 0)
        for window, rows in ahead(self._rows(items)):
            lengths = [len(row) for row in rows]
            regimes = [batch_regime(self.model.config, length) for length in lengths]
            batches = token_batches(lengths, self.batch_tokens, regimes=regimes)
            missing = [batch for batch in batches if any(window[i] not in skip for i in batch)]

            def compute(batch: list[int], rows: list[list[int]] = rows) -> list[float]:
                return self.rewards([rows[i] for i in batch])

            for batch, rewards in run_halving(missing, lengths, compute, "scorer.batch_tokens", regimes):
                scored = ((window[i], value) for i, value in zip(batch, rewards, strict=True))
                yield from ((index, finite(index, value)) for index, value in scored if index not in skip)

    def _rows(self, items: Sequence[Item]) -> Iterator[tuple[range, list[list[int]]]]:
        for window in windows(len(items)):
            rows = []
            for messages, text, _ in (items[i] for i in window):
                ids, cut = fit_item(messages, text, self.chat, self.config)
                count(self.counts, len(ids), cut)
                rows.append(ids)
            yield window, rows

    @torch.inference_mode()
    def rewards(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """Return the rewards of token sequences that form one batch.

        The last token is found by length, never by its value; causal attention needs no mask for padding on the
        right.
        """
        ids_BT = pad_right(rows, self.chat.pad_id, self.model.device)
        hidden_BTD = self.model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
        last_B = torch.tensor([len(row) - 1 for row in rows], device=ids_BT.device)
        hidden_BD = hidden_BTD[torch.arange(len(rows), device=ids_BT.device), last_B]
        found: list[float] = read_rewards(reward_head(self.model), hidden_BD).tolist()
        return found
