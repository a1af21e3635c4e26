"""Verifiable English as a source of prompts, preferences, benchmarks and a gold judge (data=instructions)."""

from __future__ import annotations

from collections.abc import Container
from typing import ClassVar, Literal, NoReturn

from mt.choice import Count, Seed
from mt.config.data import DataSource, Judged, ResponseStyle
from mt.config.evaluation import ArenaHardEval
from mt.config.run import RunConfig
from mt.engines.settings import DecodingConfig
from mt.errors import ConfigError, describe
from mt.gold import GoldJudgeConfig, PeopleConfig
from mt.instructions.settings import InstructionLanguage, InstructionSizes
from mt.sources.references import configured_model, named_file, template_of
from mt.stages.gold import PeoplesLabels
from mt.stages.instructions import BestOverWorst, InstructionPrompts
from mt.stages.judging import Oracle
from mt.stages.load_benchmarks import LoadRankedPrompts
from mt.stages.sample import Sample
from mt.workflow.keys import derive_seed
from mt.workflow.stage import Stage


class InstructionData(DataSource):
    """Verifiable English: everyday questions with demands that a program checks (data=instructions)."""

    has_gold: ClassVar[bool] = True

    family: Literal["smollm2"]
    """Which hyper-parameters apply: those of a small real model."""
    seed: Seed
    """Which prompts: of all possible ones."""
    language: InstructionLanguage
    people: PeopleConfig
    """How people compare the base policy's responses, from which the base reward model learns."""
    pairs_per_prompt: Count
    """Pairs that people compare for each prompt, at most."""
    judge: GoldJudgeConfig
    sizes: InstructionSizes

    def source(self, config: RunConfig) -> InstructionSource:
        """Return the instructions as this run sees them."""
        return InstructionSource(config, self)


class InstructionSource:
    """Everything that verifiable English gives; what it makes of the base policy depends on its own seed only."""

    styles: tuple[ResponseStyle, ...] = ()

    def __init__(self, config: RunConfig, data: InstructionData) -> None:
        self.config, self.data = config, data

    def prompts(self) -> Stage:
        """Training prompts."""
        return self._split("train", self.data.sizes.prompts)

    def held_out(self, size: int) -> Stage:
        """Prompts about topics that train nothing."""
        return self._split("eval", size)

    def policy(self) -> Stage:
        """The model that `policy.path` names."""
        return configured_model(self.config, "policy")

    def reward(self) -> Stage:
        """The model that `reward.path` names; without one, reward=train makes one of the preferences."""
        return configured_model(self.config, "reward")

    def preferences(self) -> Stage:
        """Pairs of the base policy's responses, labelled as people label them."""
        data, seed = self.data, derive_seed(self.data.seed, "people")
        samples = self._answers(self._split("preferences", data.sizes.preferences), self.config.sampling)
        return PeoplesLabels(samples, *self.gold(), data.people, data.pairs_per_prompt, seed)

    def baseline(self, settings: Judged, style: ResponseStyle) -> Stage:
        """Answers of the base policy to prompts of their own; the harder ones make three demands (arena_hard)."""
        split = "harder" if isinstance(settings, ArenaHardEval) else "baseline"
        return self._answers(self._split(split, settings.prompts), settings.decoding)

    def reward_bench(self, pairs: str | None) -> Stage:
        """Pairs of the base policy's responses to demands that train nothing, ordered by gold."""
        samples = self._answers(self._split("benchmark", self.data.sizes.benchmark), self.config.sampling)
        return BestOverWorst(samples, *self.gold())

    def reward_bench_2(self, prompts: str | None) -> Stage:
        """The prompts in the file that `eval.reward_bench_2.prompts` names; raises ConfigError without one."""
        field = "eval.reward_bench_2.prompts"
        if prompts is None:
            problem = f"data={self.data.name} comes without them"
            raise ConfigError(describe(field, None, problem, fix=f"Add {field}=FILE"))
        return LoadRankedPrompts(named_file(self.config, prompts, field))

    def oracle(self) -> Oracle:
        """The gold judge with the data's noise."""
        return Oracle(*self.gold(), self.data.judge)

    def gold(self) -> tuple[int, InstructionLanguage]:
        """The gold judge: seed and language."""
        return self.data.seed, self.data.language

    @property
    def rubric(self) -> str:
        """Plain English."""
        return "english"

    def size(self) -> int:
        """As many as there are training prompts."""
        return self.data.sizes.prompts

    def demonstrations(self) -> Stage:
        """Raise ConfigError: nobody has answered the prompts."""
        self._lacks("demonstrations", "Choose another method, policy.sft=false, or data=world")

    def held_out_preferences(self, used: Container[str], size: int) -> None:
        """Return None: the gold judge tells more."""

    def judgments(self) -> None:
        """None: nobody has judged answers in words."""

    def transfer_policy(self) -> Stage:
        """Raise ConfigError: there is one policy, and Table 3 is about another."""
        self._lacks("a second policy", "Add method.policy=DIR")

    def _split(self, name: str, size: int) -> Stage:
        return InstructionPrompts(*self.gold(), name, size)

    def _answers(self, prompts: Stage, decoding: DecodingConfig) -> Stage:
        seed, template = derive_seed(self.data.seed, "base policy"), template_of(self.config, "policy")
        return Sample(self.policy(), prompts, decoding, self.config.generator, seed, template)

    def _lacks(self, what: str, fix: str) -> NoReturn:
        raise ConfigError(describe("data", self.data.name, f"it comes without {what}", fix=fix))
