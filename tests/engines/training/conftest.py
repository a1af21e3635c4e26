from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mt.engines.training import TrainingOutcome, TrainingTask
from mt.engines.training.inline import InlineTrainer
from mt.engines.training.settings import TrainingConfig
from mt.objectives.dpo import Dpo
from mt.objectives.sft import Sft
from mt.reward_losses import BradleyTerry
from mt.types import Demonstration, Pair, PairLogProbs, Response
from mt.workflow import tables
from tests.engines.tiny import WORDS, tiny_policy, tiny_reward

DPO = Dpo(beta=0.1, label_smoothing=0.0, nll_weight=0.0)
OBJECTIVES = {"policy": DPO, "reward": BradleyTerry(), "sft": Sft(per_token=True)}
TRAINING = TrainingConfig(
    learning_rate=1e-2,
    batch_size=8,
    epochs=1,
    optimizer="adamw",
    schedule="cosine",
    warmup_ratio=0.1,
    weight_decay=0.01,
    max_gradient_norm=1.0,
    max_length=64,
    truncation="drop",
    group_by_length=1,
    drop_last=False,
    lora=None,
)
TRAINER = InlineTrainer(
    name="inline",
    dtype="float32",
    publish_dtype="float32",
    allow_unchanged=False,
    micro_batch_tokens=100_000,
    gradient_checkpointing=False,
    checkpoint_minutes=60,
    report_steps=1,
    threads=1,
    device="cpu",
)


def changed(config: Any, **values: Any) -> Any:
    return config.model_copy(update=values)


def text(random_: random.Random, words: int) -> str:
    return " ".join(random_.choice(WORDS) for _ in range(words))


def make_pairs(n: int, seed: int = 0, longest: int = 7) -> list[Pair]:
    random_ = random.Random(seed)
    return [
        Pair(
            prompt_id=f"p{i}",
            messages=[{"role": "user", "content": text(random_, random_.randint(2, 8))}],
            section=None,
            chosen=Response(text(random_, random_.randint(1, longest)), 0),
            rejected=Response(text(random_, random_.randint(1, longest)), 0),
            chosen_win_probability=0.8,
            rejected_win_probability=0.3,
        )
        for i in range(n)
    ]


def references_of(pairs: list[Pair], seed: int = 1) -> list[PairLogProbs]:
    random_ = random.Random(seed)
    return [PairLogProbs(pair.prompt_id, -10 - random_.random(), -10 - random_.random()) for pair in pairs]


def demonstrations_of(pairs: list[Pair]) -> list[Demonstration]:
    return [Demonstration(pair.prompt_id, pair.messages, None, pair.chosen) for pair in pairs]


@dataclass
class Lab:
    """Folders and tables of one test, and a task to vary."""

    folder: Path
    policy: Path
    reward: Path
    made: int = 0

    def task(self, kind: str = "policy", rows: list[Any] | None = None, **changes: Any) -> TrainingTask:
        """Return a small task on fresh folders; `references` may be given as rows."""
        self.made += 1
        rows = make_pairs(20) if rows is None else rows
        if kind == "sft" and isinstance(rows[0], Pair):
            rows = demonstrations_of(rows)
        table, reference = self.folder / f"{self.made}.parquet", self.folder / f"{self.made}.reference.parquet"
        tables.write(table, rows, type(rows[0]))
        references = changes.pop("references", references_of(rows) if kind == "policy" else [])
        if references:
            tables.write(reference, references, PairLogProbs)
        task = TrainingTask(
            model=str(self.policy),
            tables=[str(table)],
            references=[str(reference)] if references else [],
            objective=OBJECTIVES[kind],
            training=TRAINING,
            trainer=TRAINER,
            seed=0,
            output=str(self.folder / f"out{self.made}"),
            scratch=str(self.folder / f"scratch{self.made}"),
        )
        return replace(task, **changes)

    def train(
        self, task: TrainingTask, observe: Callable[[int, int, dict[str, float]], None] | None = None
    ) -> TrainingOutcome:
        return task.trainer.train(task, observe or (lambda step, total, metrics: None))


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    # Wider than the usual 0.02: Adam's first step would turn the rounding noise of tiny gradients into steps.
    wide = {"initializer_range": 0.1}
    return tiny_policy(folder / "policy", **wide), tiny_reward(folder / "reward", **wide)


@pytest.fixture
def lab(tmp_path: Path, tiny_models: tuple[Path, Path]) -> Lab:
    return Lab(tmp_path, *tiny_models)
