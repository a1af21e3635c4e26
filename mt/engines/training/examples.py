"""Rows of tables as token ids ready to train on: fitted, aligned with their references, counted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mt.engines.text import (
    Truncation,
    conversation_ids,
    fit_conversation,
    fit_response,
    prompt_ids,
    response_ids,
)
from mt.errors import DataError, describe
from mt.types import Demonstration, Messages, Pair, PairLogProbs, Response

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Sequences = list[tuple[list[int], int]]
"""Of one row: the ids of each sequence, and how many of its last ids the loss counts."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: chosen and rejected sequences (or the only one), and what else its loss needs."""

    prompt_id: str
    sequences: Sequences
    weight: float
    reference: PairLogProbs | None = None
    win_probabilities: tuple[float, float] | None = None

    @property
    def padded(self) -> int:
        """Tokens that the row takes in a batch of its own: its sequences share one width."""
        return len(self.sequences) * max(len(ids) for ids, _ in self.sequences)


@dataclass
class Examples:
    """The rows that are trained on, and how many were left out or cut."""

    examples: list[Example] = field(default_factory=list)
    dropped: int = 0
    truncated: int = 0

    @property
    def rows(self) -> int:
        """Rows of the tables."""
        return len(self.examples) + self.dropped

    def add(self, prompt_id: str, fitted: tuple[Sequences, bool] | None, weight: float, **facts: Any) -> None:
        """Count a row, and keep it where it fits."""
        if fitted is None:
            self.dropped += 1
            return
        sequences, truncated = fitted
        self.truncated += truncated
        self.examples.append(Example(prompt_id, sequences, _weight(prompt_id, weight), **facts))


@dataclass(frozen=True)
class Reader:
    """How text becomes sequences: tokenizer, end-of-turn id, and what happens to long ones."""

    tokenizer: PreTrainedTokenizerBase
    end_id: int
    max_length: int
    truncation: Truncation

    def answers(self, messages: Messages, responses: Sequence[Response]) -> tuple[Sequences, bool] | None:
        """Return a policy's sequences of one prompt, and whether any was cut; None where one does not fit."""
        prompt = prompt_ids(self.tokenizer, messages)
        sequences, truncated = [], False
        for response in responses:
            answer = response_ids(self.tokenizer, response, self.end_id)
            fitted = fit_response(prompt, answer, self.max_length, self.truncation)
            if fitted is None:
                return None
            sequences.append((fitted.prompt + fitted.response, len(fitted.response)))
            truncated |= fitted.truncated
        return sequences, truncated

    def conversations(self, pair: Pair, strip_bos: bool) -> tuple[Sequences, bool] | None:
        """Return a reward model's sequences of a pair: whole conversations, read at their last token."""
        sequences, truncated = [], False
        for response in (pair.chosen, pair.rejected):
            ids = conversation_ids(self.tokenizer, pair.messages, response.text, strip_bos=strip_bos)
            fitted = fit_conversation(ids, self.max_length, self.truncation)
            if fitted is None:
                return None
            sequences.append((fitted[0], 1))
            truncated |= fitted[1]
        return sequences, truncated


def read_demonstrations(reader: Reader, rows: Sequence[Demonstration]) -> Examples:
    """Return demonstrations as sequences."""
    found = Examples()
    for row in rows:
        found.add(row.prompt_id, reader.answers(row.messages, [row.response]), row.weight)
    return found


def read_conversations(reader: Reader, rows: Sequence[Pair], *, strip_bos: bool) -> Examples:
    """Return pairs as a reward model reads them."""
    found = Examples()
    for row in rows:
        found.add(row.prompt_id, reader.conversations(row, strip_bos), row.weight)
    return found


def read_pairs(
    reader: Reader, rows: Sequence[Pair], references: Sequence[PairLogProbs] | None, *, win_probabilities: bool
) -> Examples:
    """Return pairs as a policy reads them, with their reference log-probabilities where there are any.

    Raises `DataError` where references are not aligned with the pairs or not finite, or win probabilities missing.
    """
    found = Examples()
    for row, reference in _aligned(rows, references):
        fitted = reader.answers(row.messages, [row.chosen, row.rejected])
        if fitted is not None and reference is not None:
            _check_finite(reference)
        wins = _wins(row) if win_probabilities and fitted is not None else None
        found.add(row.prompt_id, fitted, row.weight, reference=reference, win_probabilities=wins)
    return found


def _aligned(
    rows: Sequence[Pair], references: Sequence[PairLogProbs] | None
) -> Iterator[tuple[Pair, PairLogProbs | None]]:
    if references is None:
        yield from ((row, None) for row in rows)
        return
    if len(rows) != len(references):
        problem = f"do not belong to these {len(rows)} pairs"
        raise DataError(describe("reference log-probabilities", f"{len(references)} rows", problem))
    for number, (row, reference) in enumerate(zip(rows, references, strict=True)):
        if row.prompt_id != reference.prompt_id:
            problem = f"row {number} belongs to prompt '{reference.prompt_id}', the pair to '{row.prompt_id}'"
            raise DataError(describe("reference log-probabilities", f"row {number}", problem))
        yield row, reference


def _check_finite(reference: PairLogProbs) -> None:
    if not (math.isfinite(reference.chosen) and math.isfinite(reference.rejected)):
        problem = "is not finite for a pair that is trained on"
        mend = "Compute the log-probabilities with the same max_length and truncation as the training"
        raise DataError(describe("reference log-probability", reference.prompt_id, problem, mend=mend))


def _wins(row: Pair) -> tuple[float, float]:
    chosen, rejected = row.chosen_win_probability, row.rejected_win_probability
    if chosen is None or rejected is None:
        problem = "the pair has no win probabilities, which this objective needs"
        raise DataError(describe("pair", row.prompt_id, problem, mend="Select pairs with win probabilities"))
    return chosen, rejected


def _weight(prompt_id: str, weight: float) -> float:
    if not math.isfinite(weight) or weight < 0:
        raise DataError(describe("weight", weight, f"of the row of prompt '{prompt_id}'", allowed="finite, ≥ 0"))
    return weight
