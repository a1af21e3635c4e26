"""Prompts and base models of the user's own, or by their hub names; nothing here has a gold judge."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NoReturn

from mt.config.data import FileData, HubData
from mt.config.evaluation import ArenaHardEval
from mt.config.run import RunConfig
from mt.config.world import LanguageConfig
from mt.data.files import format_of
from mt.data.hub import check_name, data_files, data_patterns, snapshot_folder
from mt.errors import ConfigError, DataError, describe, no_file
from mt.methods.given import given_model, named_file, template_of
from mt.methods.sources import Judged, Style
from mt.stages.files import NotGiven
from mt.stages.load import HubPrompts, LoadPrompts, PromptFile, Prompts
from mt.stages.load_answers import LoadAnswers
from mt.stages.load_benchmarks import LoadAnsweredQuestions, LoadOutputs, LoadRewardPairs
from mt.stages.load_judgments import LoadJudgments
from mt.stages.refused import DropRefused, Rows
from mt.workflow.fingerprint import file_fingerprint
from mt.workflow.stage import External, Stage


class UserSource:
    """Everything from the user; planning reads local files' hashes only and needs no network."""

    def __init__(self, config: RunConfig, data: FileData | HubData) -> None:
        self.config, self.data = config, data
        self._prompts = self._located()
        evaluation = data.decontamination.files
        self._evaluation = tuple(self._file(name, "data.decontamination.files") for name in evaluation)

    def prompts(self) -> Stage:
        """All prompts but the held-out ones."""
        return self._rendered(self._load("train"), "prompts")

    def held_out(self, size: int) -> Stage:
        """Held-out prompts, at most `size`."""
        return self._rendered(self._load("held_out", size), "prompts")

    def policy(self) -> Stage:
        """The model that `policy.path` names."""
        return given_model(self.config, "policy")

    def reward(self) -> Stage:
        """The model that `reward.path` names."""
        return given_model(self.config, "reward")

    @property
    def has_gold(self) -> bool:
        """Only the synthetic world has a gold judge."""
        return False

    def world(self) -> tuple[int, LanguageConfig]:
        """Raise ConfigError: there is no gold judge."""
        self._lacks("a gold judge")

    def baseline(self, settings: Judged, style: Style) -> Stage:
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

    def judgments(self) -> Stage:
        """A file that the user has yet to name: prompts come without judgments."""
        problem = f"data={self.data.name} comes without judgments to learn from"
        mend = "Add method.eft=FILE (JSONL: messages, response, judgment)"
        absent = NotGiven("method.eft", Path("method.eft"), describe("method.eft", None, problem, mend=mend))
        return LoadJudgments(absent, self.rubric)

    def transfer_policy(self) -> Stage:
        """Raise ConfigError: there is one policy, and Table 3 is about another."""
        problem = f"data={self.data.name} comes without a second policy"
        raise ConfigError(describe("method.policy", None, problem, mend="Add method.policy=DIR"))

    def _answers(self, rows: Literal["demonstrations", "preferences"], name: str | None, fields: str) -> Stage:
        option = f"data.{rows}"
        source: External
        if name is None:
            problem = f"{rows} are needed, and data={self.data.name} comes with prompts only"
            mend = f"Add {option}=FILE (JSONL, CSV or Parquet: {fields})"
            source = NotGiven(option, Path(option), describe(option, None, problem, mend=mend))
        else:
            source = named_file(self.config, name, option)
        answers = LoadAnswers(source, rows, self._load("held_out"), self._evaluation, self.data.decontamination)
        return self._rendered(answers, rows)

    def _rendered(self, table: LoadPrompts | LoadAnswers, rows: Rows) -> Stage:
        """Leave out the rows that a chat template refuses, where the user wants that."""
        if self.data.refused_prompts == "error":
            return table
        templates = template_of(self.config, "policy"), template_of(self.config, "reward")
        return DropRefused(table, rows, self.policy(), self.reward(), *templates)

    def _needs_file(self, field: str, what: str) -> NoReturn:
        problem = f"data={self.data.name} has no benchmark of its own; {what} are needed"
        raise ConfigError(describe(field, None, problem, mend=f"Add {field}=FILE, or leave the benchmark out of eval="))

    def _lacks(self, what: str) -> NoReturn:
        problem = f"{what} were asked for, and prompts are all it has"
        mend = "Choose another method, or data=world"
        raise ConfigError(describe("data", self.data.name, problem, mend=mend))

    def _load(self, part: Literal["train", "held_out"], size: int | None = None) -> LoadPrompts:
        data, kept = self.data, (self._evaluation, self.data.decontamination)
        return LoadPrompts(self._prompts, data.fields, data.limit, data.held_out, *kept, part, size)

    def _located(self) -> tuple[Prompts, ...]:
        """Return where the prompts lie: local files by content, a hub name by its revision."""
        data = self.data
        if isinstance(data, FileData):
            return tuple(self._file(name, "data.path") for name in data.path)
        local = Path(data.path).expanduser()
        if local.is_file():
            return (self._file(data.path, "data.path"),)
        if local.is_dir():
            found = data_files(local, data_patterns(data.split, data.subset, data.files))
            return tuple(self._file(str(path), "data.path") for path in found)
        revision = check_name("data", data.path, data.revision)
        folder = snapshot_folder("dataset", data.path, revision)
        fingerprint = f"{data.path}@{revision}"
        return (HubPrompts(fingerprint, folder, data.split, data.subset, data.files, data.format),)

    def _file(self, name: str, field: str) -> PromptFile:
        path = Path(name).expanduser()
        if not path.is_file():
            raise DataError(describe(field, name, no_file(path), mend="Check the path"))
        data_format: str = "auto" if field != "data.path" else self.data.format
        if data_format == "auto":
            data_format = format_of(path)
        return PromptFile(file_fingerprint(path, Path(self.config.store)), path.resolve(), data_format)
