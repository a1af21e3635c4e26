"""Prompts and base models of the user's own, or by their hub names; nothing here has a gold judge."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import ValidationInfo, field_validator

from mt.choice import Count, NotNegative, Positive, Unkeyed
from mt.config.data import DataSource, Judged, ResponseStyle
from mt.config.evaluation import ArenaHardEval
from mt.config.run import RunConfig
from mt.data.files import format_of
from mt.data.settings import DecontaminationConfig, FieldsConfig, Format
from mt.errors import ConfigError, DataError, describe, no_file
from mt.gold import GoldLanguage
from mt.sources.references import configured_model, named_file, template_of
from mt.stages.files import NotGiven
from mt.stages.judging import Oracle
from mt.stages.lineage import start_of
from mt.stages.load import LoadPrompts, PromptFile, Prompts
from mt.stages.load_answers import HeldOutPreferences, LoadAnswers
from mt.stages.load_benchmarks import LoadAnsweredQuestions, LoadOutputs, LoadRankedPrompts, LoadRewardPairs
from mt.stages.refused import DropRefused, Rows
from mt.workflow.fingerprint import file_fingerprint
from mt.workflow.stage import External, Stage


class UserData(DataSource):
    """What all sources of prompts of the user's own have in common."""

    family: Literal["paper"]
    """Which hyper-parameters apply: the paper's."""
    format: Unkeyed[Format]
    """Format of the data files; auto goes by the ending (.jsonl, .json, .csv, each also .gz; .parquet)."""
    fields: FieldsConfig
    limit: Count | None
    """Prompts to use at most, in the order of the files; null uses all."""
    held_out: Positive
    """Prompts that only evaluation uses: a whole number, or a share below 1. Chosen by a hash of their content."""
    decontamination: DecontaminationConfig
    """Which prompts evaluation keeps to itself."""
    refused_prompts: Literal["error", "drop"]
    """What happens to prompts that the chat template of the policy or of the reward model refuses, such as a system
    turn under Gemma's: the run stops at its start and names them, or they are dropped and counted."""
    demonstrations: str | None
    """Answers to imitate (method=spin, policy.sft=true): a file of prompt and response, or of messages with the answer
    last; on the hub by OWNER/NAME@COMMIT:FILE."""
    preferences: str | None
    """Offline preference pairs (reward=train, method=sail, rm_data=replay, policy.offline_share): a file of chosen and
    rejected, texts beside a prompt or chats with the answer last; named likewise. Pairs that train nothing measure
    the reward model."""
    held_out_preferences: NotNegative | None = None
    """Prompts of `preferences` that are kept from training, besides those that are held out already: a whole number,
    or a share below 1. Null keeps none; 0 measures nothing on what is left over, either."""

    @field_validator("held_out", "held_out_preferences")
    @classmethod
    def _is_share_or_count(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and value > 1 and value != int(value):
            allowed = "a share below 1, or a whole number"
            raise ConfigError(describe(f"data.{info.field_name}", value, "no share and no count", allowed=allowed))
        return value

    def source(self, config: RunConfig) -> UserSource:
        """Return the user's prompts and models."""
        return UserSource(config, self)

    @abstractmethod
    def located(self, store: Path) -> tuple[Prompts, ...]:
        """Return where the prompts lie: local files by content, a hub name by its revision."""

    def local_file(self, name: str, store: Path) -> PromptFile:
        """Return a data file by its content; raises DataError where there is none."""
        return prompt_file(name, "data.path", store, self.format)


class UserSource:
    """Everything from the user; planning reads local files' hashes only and needs no network."""

    styles: tuple[ResponseStyle, ...] = ()

    def __init__(self, config: RunConfig, data: UserData) -> None:
        self.config, self.data = config, data
        store = Path(config.store)
        self._prompts = data.located(store)
        evaluation = data.decontamination.files
        self._evaluation = tuple(prompt_file(name, "data.decontamination.files", store) for name in evaluation)

    def prompts(self) -> Stage:
        """All prompts but the held-out ones."""
        return self._rendered(self._load("train"), "prompts")

    def held_out(self, size: int) -> Stage:
        """Held-out prompts, at most `size`."""
        return self._rendered(self._load("held_out", size), "prompts")

    def policy(self) -> Stage:
        """The model that `policy.path` names."""
        return configured_model(self.config, "policy")

    def reward(self) -> Stage:
        """Raise ConfigError: models are the user's own."""
        problem = f"data={self.data.name} comes without a base reward model"
        raise ConfigError(describe("reward.path", None, problem, fix="Add reward.path=DIR, or reward=train"))

    def oracle(self) -> Oracle:
        """Raise ConfigError: there is no gold judge."""
        self._lacks("a gold judge")

    def gold(self) -> tuple[int, GoldLanguage]:
        """Raise ConfigError: there is no gold judge."""
        self._lacks("a gold judge")

    def baseline(self, settings: Judged, style: ResponseStyle) -> Stage:
        """The answers in the file that `eval.<benchmark>.outputs` names."""
        field = "eval.arena_hard.outputs" if isinstance(settings, ArenaHardEval) else "eval.alpaca_eval.outputs"
        if settings.outputs is None:
            self._needs_file(field, "the baseline's answers")
        outputs = named_file(self.config, settings.outputs, field)
        if isinstance(settings, ArenaHardEval) and settings.questions is not None:
            questions = named_file(self.config, settings.questions, "eval.arena_hard.questions")
            return LoadAnsweredQuestions(questions, outputs, settings.prompts, settings.category)
        return LoadOutputs(outputs, settings.prompts)

    def reward_bench(self, pairs: str | None) -> Stage:
        """The pairs in the file that `eval.reward_bench.pairs` names."""
        if pairs is None:
            self._needs_file("eval.reward_bench.pairs", "the pairs (subset, prompt, chosen, rejected)")
        return LoadRewardPairs(named_file(self.config, pairs, "eval.reward_bench.pairs"))

    def reward_bench_2(self, prompts: str | None) -> Stage:
        """The prompts in the file that `eval.reward_bench_2.prompts` names."""
        if prompts is None:
            self._needs_file("eval.reward_bench_2.prompts", "the prompts (id, subset, prompt, chosen, rejected)")
        return LoadRankedPrompts(named_file(self.config, prompts, "eval.reward_bench_2.prompts"))

    @property
    def rubric(self) -> str:
        """Plain English."""
        return "english"

    def size(self) -> int | None:
        """As many as the user allows."""
        return self.data.limit

    def demonstrations(self) -> Stage:
        """The answers in the file that `data.demonstrations` names."""
        return self._answers("demonstrations", self.data.demonstrations, "prompt, response")

    def preferences(self) -> Stage:
        """The pairs in the file that `data.preferences` names."""
        return self._answers("preferences", self.data.preferences, "prompt, chosen, rejected")

    def held_out_preferences(self, used: Container[str], size: int) -> Stage | None:
        """The pairs of `data.preferences` that train nothing: all, unless the run trains on them or holds some out."""
        share = self.data.held_out_preferences
        if self.data.preferences is None or share == 0:
            return None
        others = self.preferences()
        trained = others if others.key in used or share is not None else None
        source = named_file(self.config, self.data.preferences, "data.preferences")
        return self._rendered(HeldOutPreferences(source, trained, size), "samples")

    def judgments(self) -> None:
        """None: prompts come without."""

    def transfer_policy(self) -> Stage:
        """Raise ConfigError: there is one policy, and Table 3 is about another."""
        problem = f"data={self.data.name} comes without a second policy"
        raise ConfigError(describe("method.policy", None, problem, fix="Add method.policy=DIR"))

    def _answers(self, rows: Literal["demonstrations", "preferences"], name: str | None, fields: str) -> Stage:
        option = f"data.{rows}"
        source: External
        if name is None:
            problem = f"{rows} are needed, and data={self.data.name} comes with prompts only"
            fix = f"Add {option}=FILE (JSONL, CSV or Parquet: {fields})"
            source = NotGiven(option, Path(option), describe(option, None, problem, fix=fix))
        else:
            source = named_file(self.config, name, option)
        share = (self.data.held_out_preferences or None) if rows == "preferences" else None
        kept = (self._load("held_out"), self._evaluation, self.data.decontamination, share)
        answers = LoadAnswers(source, rows, *kept)
        return self._rendered(answers, rows)

    def _rendered(self, table: LoadPrompts | LoadAnswers | HeldOutPreferences, rows: Rows) -> Stage:
        """Leave out the rows that a chat template refuses, where the user wants that."""
        if self.data.refused_prompts == "error":
            return table
        reader = self.config.reward.reader(self.config)
        reward = None if reader is None else start_of(reader)
        reward_template = template_of(self.config, "reward") if reward else None
        return DropRefused(table, rows, self.policy(), reward, template_of(self.config, "policy"), reward_template)

    def _needs_file(self, field: str, what: str) -> NoReturn:
        problem = f"data={self.data.name} has no benchmark of its own; {what} are needed"
        raise ConfigError(describe(field, None, problem, fix=f"Add {field}=FILE, or leave the benchmark out of eval="))

    def _lacks(self, what: str) -> NoReturn:
        problem = f"{what} were asked for, and prompts are all it has"
        fix = "Choose another method, or data=world"
        raise ConfigError(describe("data", self.data.name, problem, fix=fix))

    def _load(self, part: Literal["train", "held_out"], size: int | None = None) -> LoadPrompts:
        data, kept = self.data, (self._evaluation, self.data.decontamination)
        return LoadPrompts(self._prompts, data.fields, data.limit, data.held_out, *kept, part, size)


def prompt_file(name: str, field: str, store: Path, data_format: Format = "auto") -> PromptFile:
    """Return a file of prompts by its content; raises DataError naming `field` where there is none."""
    path = Path(name).expanduser()
    if not path.is_file():
        fix = "Name a file in it, or set data=hub" if path.is_dir() else "Check the path"
        raise DataError(describe(field, name, no_file(path), fix=fix))
    read_as: str = format_of(path) if data_format == "auto" else data_format
    return PromptFile(file_fingerprint(path, store), path.resolve(), read_as)
