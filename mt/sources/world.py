"""The synthetic world as a source of prompts, base models, benchmarks and a gold judge (data=world)."""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property
from typing import ClassVar, Literal

from mt.choice import Seed
from mt.config.data import DataSource, Judged, ResponseStyle
from mt.config.evaluation import ArenaHardEval
from mt.config.run import RunConfig
from mt.engines.template import TemplateConfig
from mt.engines.training.settings import TrainingConfig
from mt.gold import GoldJudgeConfig
from mt.sources.references import configured_model, named_file, template_of, without_file
from mt.stages.judging import Oracle
from mt.stages.load_benchmarks import LoadRankedPrompts
from mt.stages.train import SupervisedFinetune, TrainReward
from mt.stages.world import (
    WorldBaseline,
    WorldBenchmark,
    WorldDemonstrations,
    WorldJudgments,
    WorldPolicy,
    WorldPreferences,
    WorldPrompts,
    WorldRankedPrompts,
)
from mt.workflow.keys import derive_seed
from mt.workflow.stage import Stage
from mt.world.settings import (
    BaselineConfig,
    DemonstratorsConfig,
    JudgmentsConfig,
    LanguageConfig,
    PreferencesConfig,
    TinyModelConfig,
    WorldSizes,
)


class WorldData(DataSource):
    """The synthetic world (data=world)."""

    has_gold: ClassVar[bool] = True
    has_policy: ClassVar[bool] = True
    has_reward: ClassVar[bool] = True

    family: Literal["world"]
    """Which hyper-parameters apply: the world's."""
    seed: Seed
    """Which world: its facts, recipes and misconceptions."""
    language: LanguageConfig
    demonstrators: DemonstratorsConfig
    preferences: PreferencesConfig
    judge: GoldJudgeConfig
    baseline: BaselineConfig
    judgments: JudgmentsConfig
    policy: TinyModelConfig
    policy_training: TrainingConfig
    """How the base policy learns from demonstrations."""
    reward_training: TrainingConfig
    """How the base reward model learns from preferences."""
    transfer_policy: TinyModelConfig
    """The second policy, of another architecture (Table 3)."""
    sizes: WorldSizes

    def source(self, config: RunConfig) -> WorldSource:
        """Return the world as this run sees it."""
        return WorldSource(config, self)


class WorldSource:
    """Everything from the synthetic world; its base models depend on the world's seed, never on the run's."""

    styles: tuple[ResponseStyle, ...] = ("verbose", "concise")

    def __init__(self, config: RunConfig, data: WorldData) -> None:
        self.config, self.data = config, data

    def prompts(self) -> Stage:
        """Training prompts."""
        return self.split("train", self.data.sizes.prompts)

    def held_out(self, size: int) -> Stage:
        """Prompts of the evaluation split."""
        return self.split("eval", size)

    def split(self, name: str, size: int) -> Stage:
        """Prompts of any split."""
        return WorldPrompts(*self.gold(), name, size)

    def baseline(self, settings: Judged, style: ResponseStyle) -> Stage:
        """Answers of the world's baseline: to evaluation prompts (alpaca_eval), or to harder ones (arena_hard)."""
        prompts = self.split("harder" if isinstance(settings, ArenaHardEval) else "eval", settings.prompts)
        data, misconception = self.data, self.data.demonstrators.misconception
        return WorldBaseline(prompts, *self.gold(), data.baseline, misconception, style)

    def reward_bench(self, pairs: str | None) -> Stage:
        """Held-out corruption pairs per section."""
        return WorldBenchmark(*self.gold(), self.data.sizes.benchmark_pairs)

    def reward_bench_2(self, prompts: str | None) -> Stage:
        """Prompts with their answers: of the file, or held-out ones of the world."""
        if prompts is not None:
            return LoadRankedPrompts(named_file(self.config, prompts, "eval.reward_bench_2.prompts"))
        return WorldRankedPrompts(*self.gold(), self.data.sizes.benchmark_pairs)

    def policy(self) -> Stage:
        """A tiny policy fine-tuned on demonstrations, unless the user gives one."""
        if self.config.policy.path:
            return configured_model(self.config, "policy")
        return self._finetuned

    def reward(self) -> Stage:
        """A reward model from the base policy's body, trained on preferences."""
        data, seed = self.data, derive_seed(self.data.seed, "base reward")
        pairs, trainer = self.preferences(), self.config.trainer
        template = template_of(self.config, "reward")
        how = (data.reward_training, trainer, False, seed, template)
        return TrainReward(self._finetuned, pairs, *how, setting="data.reward_training")

    @property
    def rubric(self) -> str:
        """The world's own words."""
        return "world"

    def size(self) -> int:
        """As many as there are training prompts."""
        return self.data.sizes.prompts

    def demonstrations(self) -> Stage:
        """Answers of novices, average people and experts."""
        return WorldDemonstrations(*self.gold(), self.data.demonstrators, self.data.sizes.demonstrations)

    def preferences(self) -> Stage:
        """Human-like preferences of an older distribution."""
        data = self.data
        return WorldPreferences(*self.gold(), data.demonstrators, data.preferences, data.sizes.preferences)

    def held_out_preferences(self, used: Container[str], size: int) -> None:
        """Return None: the gold judge tells more."""

    def judgments(self) -> Stage:
        """Judgments of the gold judge, with noise."""
        data = self.data
        return WorldJudgments(*self.gold(), data.demonstrators, data.judgments, data.sizes.judgments)

    def transfer_policy(self) -> Stage:
        """A tiny policy of another architecture and seed."""
        template = template_of(self.config, "policy")
        return self._finetune(self.data.transfer_policy, "transfer policy", without_file(template))

    def oracle(self) -> Oracle:
        """The gold judge with the data's noise."""
        return Oracle(*self.gold(), self.data.judge)

    def gold(self) -> tuple[int, LanguageConfig]:
        """Seed and language of the world."""
        return self.data.seed, self.data.language

    @cached_property
    def _finetuned(self) -> Stage:
        template = template_of(self.config, "policy")
        own = self.config.policy.path is None  # a file for the user's policy is not for the reward model's body
        return self._finetune(self.data.policy, "base policy", template if own else without_file(template))

    def _finetune(self, model: TinyModelConfig, name: str, template: TemplateConfig) -> Stage:
        seed = derive_seed(self.data.seed, name)
        how = (self.data.policy_training, self.config.trainer, seed, template)
        return SupervisedFinetune(WorldPolicy(model, seed), self.demonstrations(), *how, "data.policy_training")
