"""From the rows of a task's tables to token sequences: rendered, fitted, aligned with their references, counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mt.engines.text import Chat, fit_conversation, fit_response
from mt.engines.training.settings import TrainingConfig
from mt.engines.training.task import TrainingTask
from mt.errors import DataError, describe
from mt.objectives import Objective
from mt.reward_losses import RewardLoss
from mt.selection import gains
from mt.types import Demonstration, Messages, Pair, PairLogProbs, Response
from mt.workflow import tables

TrainingRow = Pair | Demonstration
Sequences = list[tuple[list[int] | np.ndarray, int]]
"""Of one row: the ids of each sequence, and how many of its last ids the loss counts."""
Fitted = tuple[Sequences, bool]
"""A row's sequences, and whether any of them was cut."""
FitAll = Callable[[Sequence[TrainingRow], Callable[[TrainingRow], Fitted | None]], Iterable[Fitted | None]]
"""Returns what a function makes of every row; see `fit_locally` and `shares.fit_shared`."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: chosen and rejected sequences (or the only one), and what else its loss needs."""

    prompt_id: str
    sequences: Sequences
    weight: float
    reference: PairLogProbs | None = None
    win_probabilities: tuple[float, float] | None = None
    margin: float | None = None

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

    def add(self, row: TrainingRow, fitted: Fitted | None, **facts: Any) -> None:
        """Count a row, and keep it where it fits; raises `DataError` for a weight that is negative or not finite."""
        if fitted is None:
            self.dropped += 1
            return
        if not math.isfinite(row.weight) or row.weight < 0:
            problem = f"of the row of prompt '{row.prompt_id}'"
            raise DataError(describe("weight", row.weight, problem, allowed="finite, ≥ 0"))
        sequences, truncated = fitted
        self.truncated += truncated
        self.examples.append(Example(row.prompt_id, sequences, row.weight, **facts))


def fit_locally(rows: Sequence[TrainingRow], fit: Callable[[TrainingRow], Fitted | None]) -> Iterable[Fitted | None]:
    """Fit all rows in this process."""
    return map(fit, rows)


def read(task: TrainingTask, chat: Chat, fit_all: FitAll = fit_locally) -> Examples:
    """Read the task's tables as sequences; `fit_all` says which process tokenises which row.

    Raises `DataError` where no row is left, where references are not aligned with the pairs or not finite, and
    where win probabilities or rewards that the objective needs are missing.
    """
    found = Examples()
    rows: list[TrainingRow] = _rows(task.tables, Demonstration if task.kind == "sft" else Pair)
    references = _references(task, rows)
    for row, reference, fitted in zip(rows, references, fit_all(rows, partial(_fit, task, chat)), strict=True):
        # A row that is dropped may lack what only the loss needs.
        found.add(row, fitted, **({} if fitted is None else _facts(task.objective, row, reference)))
    if not found.examples:
        problem = f"no row is left to train on ({found.dropped} of {found.rows} dropped)"
        raise DataError(describe("training rows", 0, problem, fix="Raise max_length, or set truncation=left"))
    return found


def _fit(task: TrainingTask, chat: Chat, row: TrainingRow) -> Fitted | None:
    """Return a row's sequences as its loss reads them; None where one does not fit."""
    if isinstance(row, Demonstration):
        return policy_sequences(chat, row.messages, [row.response], task.training)
    if task.kind == "reward":
        return reward_sequences(chat, row, task.training, strip_bos=task.strip_bos)
    return policy_sequences(chat, row.messages, [row.chosen, row.rejected], task.training)


def _facts(objective: Objective | RewardLoss, row: TrainingRow, reference: PairLogProbs | None) -> dict[str, Any]:
    """Return what the loss needs of a row beside its sequences."""
    if isinstance(row, Demonstration):
        return {}
    if isinstance(objective, RewardLoss):
        return {"margin": gains([row])[0]} if objective.needs_margins else {}
    if reference is not None and not (math.isfinite(reference.chosen) and math.isfinite(reference.rejected)):
        problem = "is not finite for a pair that is trained on"
        fix = "Compute the log-probabilities with the same max_length and truncation as the training"
        raise DataError(describe("reference log-probability", reference.prompt_id, problem, fix=fix))
    wins = (row.chosen_win_probability, row.rejected_win_probability) if objective.needs_win_probabilities else None
    if wins is not None and None in wins:
        problem = "the pair has no win probabilities, which this objective needs"
        raise DataError(describe("pair", row.prompt_id, problem, fix="Select pairs with win probabilities"))
    return {"reference": reference, "win_probabilities": wins}


def policy_sequences(
    chat: Chat, messages: Messages, responses: Sequence[Response], config: TrainingConfig
) -> Fitted | None:
    """Return prompt + response ids of each response and whether any prompt was cut; None where one does not fit.

    Sampled responses are read as they were sampled: the loss counts exactly their ids.
    """
    prompt = chat.prompt_ids(messages)
    sequences: Sequences = []
    truncated = False
    for response in responses:
        answer = chat.response_ids(messages, response)
        fitted = fit_response(prompt, answer, config.max_length, config.truncation)
        if fitted is None:
            return None
        sequences.append((fitted.prompt + fitted.response, len(fitted.response)))
        truncated |= fitted.truncated
    return sequences, truncated


def reward_sequences(chat: Chat, pair: Pair, config: TrainingConfig, *, strip_bos: bool) -> Fitted | None:
    """Return whole conversations, read at their last token, and whether any was cut; None where one does not fit."""
    sequences: Sequences = []
    truncated = False
    for response in (pair.chosen, pair.rejected):
        ids = chat.conversation_ids(pair.messages, response.text, strip_bos=strip_bos)
        fitted = fit_conversation(ids, config.max_length, config.truncation)
        if fitted is None:
            return None
        sequences.append((fitted[0], 1))
        truncated |= fitted[1]
    return sequences, truncated


def _rows(paths: list[str], row_type: type[Any]) -> list[Any]:
    return [row for path in paths for row in tables.read(Path(path), row_type)]


def _references(task: TrainingTask, rows: Sequence[TrainingRow]) -> Sequence[PairLogProbs | None]:
    """Return each row's reference log-probabilities, None where the loss reads none."""
    if not (isinstance(task.objective, Objective) and task.objective.needs_reference):
        return [None] * len(rows)
    references: list[PairLogProbs] = _rows(task.references, PairLogProbs)
    if len(rows) != len(references):
        problem = f"do not belong to these {len(rows)} pairs"
        raise DataError(describe("reference log-probabilities", f"{len(references)} rows", problem))
    for number, (row, reference) in enumerate(zip(rows, references, strict=True)):
        if row.prompt_id != reference.prompt_id:
            problem = f"row {number} belongs to prompt '{reference.prompt_id}', the pair to '{row.prompt_id}'"
            raise DataError(describe("reference log-probabilities", f"row {number}", problem))
    return references
