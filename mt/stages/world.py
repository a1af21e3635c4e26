"""The synthetic world as stages: prompts, demonstrations, preferences, the first policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from mt.types import Demonstration, Messages, Pair, Prompt, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Shape, Volume, Volumes
from mt.workflow.work import Work
from mt.world.settings import (
    BaselineConfig,
    DemonstratorsConfig,
    JudgmentsConfig,
    LanguageConfig,
    PreferencesConfig,
    TinyModelConfig,
)


class WorldTable:
    """Mixin of the world's tables: a sample prompt, by which chat templates are checked."""

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield one prompt: all are a single turn of the user's, in words without markup."""
        yield "data=world", [{"role": "user", "content": "what"}]


@dataclass(frozen=True, eq=False)
class WorldPrompts(WorldTable, Stage):
    """Different prompts of one split of a world; no text is in two splits."""

    VERSION: ClassVar[int] = 2
    seed: int
    language: LanguageConfig
    split: str
    size: int

    def count(self) -> int:
        """Return the number of prompts."""
        return self.size

    def origin(self) -> str:
        """Return the data's name."""
        return "data=world"

    def check(self) -> None:
        """Refuse more prompts than the language has texts."""
        self.prompts()

    def run(self, work: Work) -> None:
        """Draw the prompts."""
        work.write(self.prompts(), Prompt)

    def prompts(self) -> list[Prompt]:
        """Return the prompts; raises ConfigError where the split has too few texts."""
        from mt.world.prompts import prompts
        from mt.world.world import build_world

        return prompts(build_world(self.seed, self.language), self.split, self.size)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its rows."""
        return assumed.rows(self.size)


@dataclass(frozen=True, eq=False)
class WorldDemonstrations(WorldTable, Stage):
    """Answers of novices, average people and experts, from which the base policy learns to speak."""

    VERSION: ClassVar[int] = 3
    seed: int
    language: LanguageConfig
    people: DemonstratorsConfig
    size: int

    def run(self, work: Work) -> None:
        """Write the demonstrations."""
        from mt.world.demonstrators import demonstrations
        from mt.world.world import build_world

        world = build_world(self.seed, self.language)
        work.write(demonstrations(world, self.people, self.size, self.seed), Demonstration)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its rows."""
        return assumed.rows(self.size, responses=1)


@dataclass(frozen=True, eq=False)
class WorldPreferences(WorldTable, Stage):
    """Human-like preference pairs of an older distribution, from which the base reward model learns."""

    VERSION: ClassVar[int] = 3
    seed: int
    language: LanguageConfig
    people: DemonstratorsConfig
    preferences: PreferencesConfig
    size: int

    def run(self, work: Work) -> None:
        """Write the pairs."""
        from mt.world.preferences import preferences
        from mt.world.world import build_world

        world = build_world(self.seed, self.language)
        work.write(preferences(world, self.preferences, self.people, self.size, self.seed), Pair)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its rows."""
        return assumed.rows(self.size, responses=2)


@dataclass(frozen=True, eq=False)
class WorldJudgments(WorldTable, Stage):
    """Demonstrations of judging by the noisy gold judge, with ordinary answers as replay (EFT)."""

    VERSION: ClassVar[int] = 3
    seed: int
    language: LanguageConfig
    people: DemonstratorsConfig
    judgments: JudgmentsConfig
    size: int

    def run(self, work: Work) -> None:
        """Write the demonstrations."""
        from mt.world.judging import judgment_demonstrations
        from mt.world.world import build_world

        world = build_world(self.seed, self.language)
        work.write(judgment_demonstrations(world, self.judgments, self.people, self.size, self.seed), Demonstration)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its rows."""
        return assumed.rows(self.size, responses=1)


@dataclass(frozen=True, eq=False)
class WorldPolicy(Stage):
    """A tiny policy with random weights and the world's tokenizer."""

    VERSION: ClassVar[int] = 1
    model: TinyModelConfig
    seed: int

    def run(self, work: Work) -> None:
        """Write the model folder."""
        from mt.world.models import write_policy

        work.count(parameters=write_policy(work.folder, self.model, self.seed))

    def skeleton(self) -> Any:
        """Return the model without weights (on torch's meta device)."""
        import torch
        from transformers import AutoModelForCausalLM

        from mt.world.models import architecture

        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(architecture(self.model))

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the shape of the small model."""
        model = self.model
        sizes = (model.hidden_size, model.layers, model.feed_forward, model.heads, model.key_value_heads)
        return Volume(shape=Shape(*sizes, model.hidden_size // model.heads, vocabulary=130, tied=True))


@dataclass(frozen=True, eq=False)
class WorldBenchmark(Stage):
    """RewardBench's counterpart: held-out pairs per section, as samples with the better response first."""

    VERSION: ClassVar[int] = 4
    seed: int
    language: LanguageConfig
    size: int
    """Pairs per subset."""

    def check(self) -> None:
        """Refuse more pairs than the language has texts."""
        self.pairs()

    def run(self, work: Work) -> None:
        """Write the pairs."""
        pairs = self.pairs()
        rows = [Samples(f"{p.source}/{p.prompt_id}", p.messages, p.section, [p.chosen, p.rejected]) for p in pairs]
        work.write(rows, Samples)

    def pairs(self) -> list[Pair]:
        """Return the pairs; raises ConfigError where a subset has too few texts."""
        from mt.world.benchmark import benchmark_pairs
        from mt.world.world import build_world

        return benchmark_pairs(build_world(self.seed, self.language), self.size)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its pairs of 16 subsets."""
        return assumed.rows(16 * self.size, responses=2)


@dataclass(frozen=True, eq=False)
class WorldRankedPrompts(Stage):
    """RewardBench 2's counterpart: held-out prompts per subset, each with its answers, the right ones first."""

    VERSION: ClassVar[int] = 1
    seed: int
    language: LanguageConfig
    size: int
    """Prompts per subset; questions, in the subset Ties."""

    def check(self) -> None:
        """Refuse more prompts than the language has texts."""
        self.prompts()

    def run(self, work: Work) -> None:
        """Write the prompts with their answers."""
        work.write(self.prompts(), Samples)

    def prompts(self) -> list[Samples]:
        """Return the prompts with their answers; raises ConfigError where a subset has too few texts."""
        from mt.world.ranked import ranked_prompts
        from mt.world.world import build_world

        return ranked_prompts(build_world(self.seed, self.language), self.size)


@dataclass(frozen=True, eq=False)
class WorldBaseline(Stage):
    """The judged benchmarks' opponent: its answers to the prompts, in one of three styles of the same content."""

    VERSION: ClassVar[int] = 2
    prompts: Stage
    seed: int
    language: LanguageConfig
    baseline: BaselineConfig
    misconception: float
    style: Literal["standard", "verbose", "concise"]

    def run(self, work: Work) -> None:
        """Write one response per prompt."""
        from mt.world.benchmark import baseline_answers
        from mt.world.world import build_world

        prompts, world = work.rows(Prompt, self.prompts), build_world(self.seed, self.language)
        answers = baseline_answers(world, self.baseline, self.misconception, prompts)
        rows = [
            Samples(prompt.prompt_id, prompt.messages, prompt.section, [getattr(answer, self.style)])
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        work.write(rows, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one answer to each prompt."""
        return replace(inputs[self.prompts.key], responses=1)
