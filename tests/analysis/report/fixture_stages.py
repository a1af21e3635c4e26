"""Stages that write invented rows: the plan of a run whose results are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mt.types import Pair, Prompt, Response, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.work import Work

SECTIONS = ("Chat", "Chat Hard", "Safety", "Reasoning")
K = 5


@dataclass(frozen=True, eq=False)
class Prompts(Stage):
    part: str
    size: int
    extra: str = ""
    sections: bool = True

    def run(self, work: Work) -> None:
        rows = [
            Prompt(
                f"{self.part}-{i:05d}",
                [{"role": "user", "content": f"tell color of fox {i}{self.extra}"}],
                SECTIONS[i % 4] if self.sections else None,
            )
            for i in range(self.size)
        ]
        work.count(prompts=len(rows))
        work.write(rows, Prompt)


@dataclass(frozen=True, eq=False)
class SupervisedFinetune(Stage):
    seed: int

    def run(self, work: Work) -> None:
        (work.folder / "model.safetensors").write_bytes(b"")


@dataclass(frozen=True, eq=False)
class Sample(Stage):
    """Responses of K lengths; the text says who wrote it: "p1 answer 3 to D1-00007 …"."""

    policy: Stage
    prompts: Stage
    strength: int
    words: int = 4
    extra: str = ""

    def run(self, work: Work) -> None:
        work.write([self._row(prompt) for prompt in work.rows(Prompt, self.prompts)], Samples)

    def _row(self, prompt: Prompt) -> Samples:
        filler = " ".join(["word"] * self.words)
        responses = [
            Response(f"p{self.strength} answer {k} to {prompt.prompt_id} {filler}{self.extra}", self.words + k, k != 4)
            for k in range(K)
        ]
        return Samples(prompt.prompt_id, prompt.messages, prompt.section, responses)


@dataclass(frozen=True, eq=False)
class SampleSame(Stage):
    """One prompt with the same five responses from every policy."""

    policy: Stage

    def run(self, work: Work) -> None:
        same = [Response(f"answer {k}", 2) for k in range(K)]
        work.write([Samples("p", [{"role": "user", "content": "x"}], None, same)], Samples)


def gold_of(strength: int, k: int) -> float:
    """Gold of response k of policy `strength`: rises with both."""
    return 0.1 * k + 0.1 * strength


def reward_of(strength: int, k: int) -> float:
    """Reward of response k of policy `strength`: right about k but for a swap of the last two."""
    return float((0, 1, 2, 4, 3)[k]) + strength


@dataclass(frozen=True, eq=False)
class Score(Stage):
    reward: Stage
    samples: Stage
    strength: int

    def run(self, work: Work) -> None:
        rows = work.rows(Samples, self.samples)
        values = [[reward_of(self.strength, k) for k in range(len(row.responses))] for row in rows]
        work.write([Rewards(row.prompt_id, given) for row, given in zip(rows, values, strict=True)], Rewards)


@dataclass(frozen=True, eq=False)
class WorldBenchmark(Stage):
    """Held-out pairs, the better response first."""

    size: int

    def run(self, work: Work) -> None:
        both = [Response("right", 1), Response("wrong", 1)]
        rows = [Samples(f"pair-{i}", [{"role": "user", "content": "x"}], "Chat", both) for i in range(self.size)]
        work.write(rows, Samples)


@dataclass(frozen=True, eq=False)
class GoldRewards(Stage):
    samples: Stage
    strength: int

    def run(self, work: Work) -> None:
        rows = work.rows(Samples, self.samples)
        work.write([Rewards(row.prompt_id, [gold_of(self.strength, k) for k in range(K)]) for row in rows], Rewards)


@dataclass(frozen=True, eq=False)
class SelectPairs(Stage):
    samples: Stage
    rewards: Stage

    def run(self, work: Work) -> None:
        rewards = {row.prompt_id: row.rewards for row in work.rows(Rewards, self.rewards)}
        work.write([self._pair(row, rewards[row.prompt_id]) for row in work.rows(Samples, self.samples)], Pair)

    def _pair(self, row: Samples, values: Sequence[float]) -> Pair:
        best, worst = values.index(max(values)), values.index(min(values))
        chosen, rejected = row.responses[best], row.responses[worst]
        return Pair(
            row.prompt_id, row.messages, row.section, chosen, rejected, values[best], values[worst], source="pm"
        )


@dataclass(frozen=True, eq=False)
class ContrastPairs(Stage):
    new: Stage
    old: Stage

    def run(self, work: Work) -> None:
        old = {row.prompt_id: row for row in work.rows(Samples, self.old)}
        pairs = [
            Pair(row.prompt_id, row.messages, row.section, row.responses[1], old[row.prompt_id].responses[2],
                 source="contrast")
            for row in work.rows(Samples, self.new)
        ]  # fmt: skip
        work.write(pairs, Pair)


@dataclass(frozen=True, eq=False)
class UnionPairs(Stage):
    tables: tuple[Stage, ...]

    def run(self, work: Work) -> None:
        work.write([pair for table in self.tables for pair in work.rows(Pair, table)], Pair)


class _Train(Stage):
    def run(self, work: Work) -> None:
        for step in range(1, 41):
            loss, right = 0.69 * math.exp(-step / 30), 0.5 + step / 200
            work.curve(step, loss=loss, accuracy=right, learning_rate=1e-4 * (1 - step / 40))
        (work.folder / "model.safetensors").write_bytes(b"")


@dataclass(frozen=True, eq=False)
class TrainPolicy(_Train):
    policy: Stage
    pairs: Stage
    objective: str = "dpo"


@dataclass(frozen=True, eq=False)
class TrainReward(_Train):
    initial: Stage
    pairs: Stage
