"""The product run as a user runs it, and what it published, read without its help."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mt.run import main
from tests.models.plain import Plain

TEMPERATURE, TOP_P, BETA = 0.8, 0.8, 0.1
SETTINGS = [
    "data=jsonl",
    "data.held_out=2",
    "eval=[]",
    "iterations=1",
    "sampling.samples=3",
    "sampling.max_new_tokens=10",
    "sampling.max_length=320",
    f"sampling.temperature={TEMPERATURE}",
    f"sampling.top_p={TOP_P}",
    "selection=best_worst",
    f"objective.beta={BETA}",
    "objective.nll_weight=0",
    "policy.training.batch_size=64",
    "policy.training.learning_rate=1e-3",
    "reward.training.batch_size=64",
    "reward.training.learning_rate=1e-3",
    "reward.training.epochs=1",
    "reward.training.weight_decay=0",
    "trainer.report_steps=1",
    *(f"{engine}.dtype=float32" for engine in ("generator", "scorer", "logprobs", "trainer")),
    *(f"{engine}.threads=1" for engine in ("generator", "scorer", "logprobs", "trainer")),
]
ASKED = [
    "What is the capital of France?",
    "How are you?",
    "Is 12 x 30 = 360, or is it 3600? Please answer in one short sentence, and end with a full stop.",
    "Grüße aus Zürich! 你好 🙂",
    "def area(width, height):\n    return",
    "  Two spaces before, and one after. ",
    "Use\n\n- red apples\n- green pears",
    "Why?",
]


def conversations(*, system: bool) -> list[list[dict[str, str]]]:
    """Return 14 conversations: single turns, several turns, and turns after a system turn where there may be one."""
    single = [[{"role": "user", "content": text}] for text in ASKED]
    answered = [{"role": "assistant", "content": "It's raining; we'll stay in."}]
    several = [[*single[i], *answered, *single[i + 1]] for i in (0, 2, 4)]
    ruled = [
        [{"role": "system", "content": "Use simple words."}, *turns] for turns in (single[1], single[3], several[0])
    ]
    longer = [[*several[1], *answered, *turns] for turns in (single[5], single[6], single[7])]
    return [*single, *several, *(ruled if system else longer)]


def write_prompts(path: Path, *, system: bool) -> Path:
    """Write the conversations to a JSONL file."""
    rows = [json.dumps({"messages": messages}, ensure_ascii=False) for messages in conversations(system=system)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Artifact:
    """One published folder of the store."""

    folder: Path
    facts: dict[str, Any]

    @property
    def key(self) -> str:
        """Its key."""
        return str(self.facts["key"])

    def input(self, name: str) -> str:
        """Return the key of one of its inputs."""
        return str(self.facts["inputs"][name]["artifact"])

    def rows(self) -> list[dict[str, Any]]:
        """Return its table's rows."""
        rows: list[dict[str, Any]] = pq.read_table(self.folder / "table.parquet").to_pylist()
        return rows

    def curve(self) -> list[dict[str, float]]:
        """Return the steps of a training."""
        return [json.loads(line) for line in (self.folder / "curves.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Run:
    """A run: the folders it is given, the folder it writes to, and what the templates are passed."""

    policy: Path
    reward: Path
    place: Path
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    reward_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """The folder of what it publishes."""
        return self.place / "store"

    def arguments(self, *more: str, system: bool = True) -> list[str]:
        """Return its command line."""
        prompts = write_prompts(self.place / "prompts.jsonl", system=system)
        paths = {"data.path": prompts, "policy.path": self.policy, "reward.path": self.reward}
        paths |= {"store": self.store, "runs": self.place / "runs"}
        return [*SETTINGS, *(f"{name}={path}" for name, path in paths.items()), *more]

    def policy_at(self, folder: Path) -> Plain:
        """Open a policy by transformers alone."""
        return Plain(folder, self.policy_kwargs)

    def reward_at(self, folder: Path) -> Plain:
        """Open a reward model by transformers alone."""
        return Plain(folder, self.reward_kwargs, reward=True)

    def artifacts(self, stage: str) -> list[Artifact]:
        """Return the artifacts of a stage."""
        found = [Artifact(path.parent, json.loads(path.read_text())) for path in self.store.glob("*/*/artifact.json")]
        return [artifact for artifact in found if artifact.facts["stage"] == stage]

    def by_key(self, key: str) -> Artifact:
        """Return the artifact with a key."""
        (path,) = self.store.glob(f"*/{key[:20]}/artifact.json")
        return Artifact(path.parent, json.loads(path.read_text()))

    def only(self, stage: str) -> Artifact:
        """Return the one artifact of a stage."""
        (artifact,) = self.artifacts(stage)
        return artifact


def run(planned: Run, *more: str, system: bool = True) -> Run:
    """Run the main command to its end."""
    status = main(planned.arguments(*more, system=system))
    assert status == 0, f"the run ended with status {status}"
    return planned
