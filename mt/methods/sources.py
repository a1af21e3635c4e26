"""Where prompts and base models come from: the synthetic world, or the user's files, folders and hub names."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Protocol

from mt.config.evaluation import AlpacaEvalEval, ArenaHardEval
from mt.config.run import RunConfig
from mt.config.template import TemplateConfig
from mt.config.world import LanguageConfig, TinyModelConfig, WorldData
from mt.methods.given import given_model, template_of, without_file
from mt.stages.train import SupervisedFinetune, TrainReward
from mt.stages.world import (
    WorldBaseline,
    WorldBenchmark,
    WorldDemonstrations,
    WorldJudgments,
    WorldPolicy,
    WorldPreferences,
    WorldPrompts,
)
from mt.workflow.keys import derive_seed
from mt.workflow.stage import Stage

Style = Literal["standard", "verbose", "concise"]
Judged = AlpacaEvalEval | ArenaHardEval
"""Settings of the benchmarks that compare with a baseline."""


class Source(Protocol):
    """What a method starts from."""

    def prompts(self) -> Stage:
        """All prompts D."""
        ...

    def policy(self) -> Stage:
        """The base policy π_0."""
        ...

    def reward(self) -> Stage:
        """The base reward model r_0."""
        ...

    def held_out(self, size: int) -> Stage:
        """Prompts that train nothing, at most `size`."""
        ...

    @property
    def has_gold(self) -> bool:
        """Whether a gold judge exists."""
        ...

    def world(self) -> tuple[int, LanguageConfig]:
        """The gold judge's world: seed and language."""
        ...

    @property
    def rubric(self) -> str:
        """The name of the rubric by which a policy judges."""
        ...

    def size(self) -> int | None:
        """How many prompts a method may use at most; None for all that there are."""
        ...

    def demonstrations(self) -> Stage:
        """Demonstrations to imitate or to play against (SPIN)."""
        ...

    def preferences(self) -> Stage:
        """Offline preference pairs (SAIL)."""
        ...

    def judgments(self) -> Stage:
        """Demonstrations of judging (EFT, Meta-Rewarding)."""
        ...

    def transfer_policy(self) -> Stage:
        """Another base policy (Table 3)."""
        ...

    def baseline(self, settings: Judged, style: Style) -> Stage:
        """The answers of a judged benchmark's baseline: of the files that its settings name, or the world's own."""
        ...

    def reward_bench(self, pairs: str | None) -> Stage:
        """Pairs per section, as samples with the better response first: of the file `pairs`, or the world's own."""
        ...


class WorldSource:
    """Everything from the synthetic world; its base models depend on the world's seed, never on the run's."""

    def __init__(self, config: RunConfig, data: WorldData) -> None:
        self.config, self.data = config, data

    def prompts(self) -> Stage:
        """Training prompts."""
        return self.split("train", self.data.sizes.prompts)

    def held_out(self, size: int) -> Stage:
        """Prompts of the evaluation split."""
        return self.split("eval", size)

    @property
    def has_gold(self) -> bool:
        """The world always has its gold judge."""
        return True

    def split(self, name: str, size: int) -> Stage:
        """Prompts of any split."""
        return WorldPrompts(*self.world(), name, size)

    def baseline(self, settings: Judged, style: Style) -> Stage:
        """Answers of the world's baseline: to evaluation prompts (alpaca_eval), or to harder ones (arena_hard)."""
        prompts = self.split("harder" if isinstance(settings, ArenaHardEval) else "eval", settings.prompts)
        data, misconception = self.data, self.data.demonstrators.misconception
        return WorldBaseline(prompts, *self.world(), data.baseline, misconception, style)

    def reward_bench(self, pairs: str | None) -> Stage:
        """Held-out corruption pairs per section."""
        return WorldBenchmark(*self.world(), self.data.sizes.benchmark_pairs)

    def policy(self) -> Stage:
        """A tiny policy fine-tuned on demonstrations, unless the user gives one."""
        if self.config.policy.path:
            return given_model(self.config, "policy")
        return self._finetuned

    def reward(self) -> Stage:
        """A reward model from the base policy's body, trained on preferences, unless the user gives one."""
        if self.config.reward.path:
            return given_model(self.config, "reward")
        data, seed = self.data, derive_seed(self.data.seed, "base reward")
        pairs, trainer = self.preferences(), self.config.trainer
        template = template_of(self.config, "reward")
        return TrainReward(self._finetuned, pairs, data.reward_training, trainer, False, seed, template)

    @property
    def rubric(self) -> str:
        """The world's own words."""
        return "world"

    def size(self) -> int:
        """As many as there are training prompts."""
        return self.data.sizes.prompts

    def demonstrations(self) -> Stage:
        """Answers of novices, average people and experts."""
        return WorldDemonstrations(*self.world(), self.data.demonstrators, self.data.sizes.demonstrations)

    def preferences(self) -> Stage:
        """Human-like preferences of an older distribution."""
        data = self.data
        return WorldPreferences(*self.world(), data.demonstrators, data.preferences, data.sizes.preferences)

    def judgments(self) -> Stage:
        """Judgments of the gold judge, with noise."""
        data = self.data
        return WorldJudgments(*self.world(), data.demonstrators, data.judgments, data.sizes.judgments)

    def transfer_policy(self) -> Stage:
        """A tiny policy of another architecture and seed."""
        template = template_of(self.config, "policy")
        return self._finetune(self.data.transfer_policy, "transfer policy", without_file(template))

    def world(self) -> tuple[int, LanguageConfig]:
        """Seed and language of the world."""
        return self.data.seed, self.data.language

    @cached_property
    def _finetuned(self) -> Stage:
        template = template_of(self.config, "policy")
        own = self.config.policy.path is None  # a file for the user's policy is not for the reward model's body
        return self._finetune(self.data.policy, "base policy", template if own else without_file(template))

    def _finetune(self, model: TinyModelConfig, name: str, template: TemplateConfig) -> Stage:
        seed = derive_seed(self.data.seed, name)
        start, training = WorldPolicy(model, seed), self.data.policy_training
        return SupervisedFinetune(start, self.demonstrations(), training, self.config.trainer, seed, template)


def source_of(config: RunConfig) -> Source:
    """Return the source that a configuration names."""
    if isinstance(config.data, WorldData):
        return WorldSource(config, config.data)
    from mt.methods.user_source import UserSource

    return UserSource(config, config.data)
