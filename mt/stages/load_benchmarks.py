"""Benchmarks from files: prompts with a baseline's answers, and pairs for reward models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mt.errors import DataError, describe
from mt.types import Messages, Response, Samples
from mt.workflow.stage import External, Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work

_IDS = ("question_id", "uid", "prompt_id")
_ASKED = ("messages", "instruction", "prompt", "turns")
_READ = (*_IDS, *_ASKED, "id", "category", "subset", "output", "answer", "choices", "chosen", "rejected", "num_correct")
"""Columns that any benchmark's loader reads."""


@dataclass(frozen=True, eq=False)
class _OneFile(Stage, ABC):
    """A benchmark in one file: a prompt with its answers in each row."""

    counted: ClassVar[str] = "prompts"
    """What its rows are, as its counts name them."""
    source: External

    def run(self, work: Work) -> None:
        """Read the rows; an answer's length in tokens is unknown and 0."""
        rows = self.samples(work.path(self.source))
        work.count(**{self.counted: len(rows)})
        work.write(rows, Samples)

    def check(self) -> None:
        """Read the file once, so that a row that cannot be read or scored is reported before anything heavy starts."""
        rows = self.samples(self.source.location)
        try:
            self.require_scorable(rows)
        except DataError as error:
            raise DataError(f"{self.source.location}: {error}") from None

    def require_scorable(self, rows: Sequence[Samples]) -> None:
        """Raise DataError for rows that nothing would give a score, such as those of a subset that is not known."""

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield where each row stands, and its prompt."""
        for _, record, where in _records(self.source.location):
            yield where, conversation(required(record, ("messages", "prompt"), where), where)

    @abstractmethod
    def samples(self, path: Path) -> list[Samples]:
        """Return the file's rows; raises DataError naming the row that lacks a field."""


@dataclass(frozen=True, eq=False)
class LoadOutputs(_OneFile):
    """A baseline's answers in their file's order: alpaca_eval's format, or questions with answers (Arena-Hard)."""

    VERSION: ClassVar[int] = 2
    source: External
    """One file: a prompt (instruction, messages, prompt or turns) with its answer (output or answer) in each row."""
    limit: int

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield where each row stands, and its prompt."""
        for _, record, where in _records(self.source.location, self.limit):
            yield where, conversation(required(record, _ASKED, where), where)

    def samples(self, path: Path) -> list[Samples]:
        """Return the file's rows, at most `limit`; raises DataError naming the row that lacks a field."""
        found, known = [], dict[str, Samples]()
        for number, record, where in _records(path, self.limit):
            asked = conversation(required(record, _ASKED, where), where)
            answer = str(required(record, ("output", "answer"), where))
            row = Samples(str(_first(record, _IDS, number)), asked, None, [Response(answer, 0)])
            found.append(_of_its_own_id(row, known, where))
        return found

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one answer to each prompt."""
        return assumed.rows(self.limit, responses=1)


@dataclass(frozen=True, eq=False)
class LoadAnsweredQuestions(Stage):
    """Arena-Hard's two files: the questions of one category in their order, each with the baseline's answer."""

    VERSION: ClassVar[int] = 2
    questions: External
    """question_id (or uid), and turns or prompt."""
    answers: External
    """question_id (or uid), and choices[0].turns[0].content or messages, the last of them the answer."""
    limit: int
    category: str | None
    """The category whose questions are asked; None where all have the same."""

    def run(self, work: Work) -> None:
        """Join the files by id; an answer's length in tokens is unknown and 0."""
        rows = self.samples(work.path(self.questions), work.path(self.answers))
        work.count(prompts=len(rows))
        work.write(rows, Samples)

    def check(self) -> None:
        """Join the files once, so that what is missing is reported before anything heavy starts."""
        self.samples(self.questions.location, self.answers.location)

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield where each question stands, and the question."""
        for record, where in self._asked(self.questions.location):
            yield where, conversation(required(record, _ASKED, where), where)

    def samples(self, questions: Path, answers: Path) -> list[Samples]:
        """Return the questions, at most `limit`; raises DataError naming the row that lacks a field or an answer."""
        answered: dict[str, str] = {}
        for _, record, where in _records(answers):
            name = str(required(record, _IDS, where))
            if answered.setdefault(name, _answer(record, where)) != _answer(record, where):
                raise DataError(f"{where}: question '{name}' has two different answers.")
        found, known = [], dict[str, Samples]()
        for record, where in self._asked(questions):
            name = str(required(record, _IDS, where))
            if name not in answered:
                raise DataError(f"{where}: question '{name}' has no answer in {answers}. Each question needs one.")
            asked = conversation(required(record, _ASKED, where), where)
            row = Samples(name, asked, None, [Response(answered[name], 0)])
            found.append(_of_its_own_id(row, known, where))
        return found

    def _asked(self, path: Path) -> list[tuple[Any, str]]:
        """Return the category's questions, at most `limit`; categories have baselines of their own."""
        rows = [(record, where) for _, record, where in _records(path)]
        counts = Counter(str(record.get("category")) for record, _ in rows if isinstance(record, Mapping))
        shown = ", ".join(f"{name} {n}" for name, n in counts.most_common(6))
        if self.category is None and len(counts) > 1:
            problem, fix = f"{path} has several ({shown}), which are never mixed", "Choose one"
            raise DataError(describe("eval.arena_hard.category", None, problem, fix=fix))
        if self.category is not None and self.category not in counts:
            problem = f"no question of {path} is of it"
            raise DataError(describe("eval.arena_hard.category", self.category, problem, allowed=shown))
        kept = [row for row in rows if self.category is None or row[0].get("category") == self.category]
        return kept[: self.limit]

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one answer to each prompt."""
        return assumed.rows(self.limit, responses=1)


@dataclass(frozen=True, eq=False)
class LoadRewardPairs(_OneFile):
    """RewardBench's pairs, the chosen answer first: subset, prompt, chosen, rejected."""

    VERSION: ClassVar[int] = 2
    counted: ClassVar[str] = "pairs"

    def samples(self, path: Path) -> list[Samples]:
        """Return the file's pairs; raises DataError naming the row that lacks a field."""
        found = []
        for number, record, where in _records(path):
            name = f"{required(record, ('subset',), where)}/{record.get('id', number)}"
            answers = [Response(str(required(record, (side,), where)), 0) for side in ("chosen", "rejected")]
            asked = conversation(required(record, ("messages", "prompt"), where), where)
            found.append(Samples(name, asked, None, answers))
        return found

    def require_scorable(self, rows: Sequence[Samples]) -> None:
        """Require known subsets."""
        from mt.evaluation.reward_bench import score_accuracies

        score_accuracies(dict.fromkeys((row.prompt_id.partition("/")[0] for row in rows), 0.0))

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the 2985 pairs of RewardBench."""
        return assumed.rows(2985, responses=2)


@dataclass(frozen=True, eq=False)
class LoadRankedPrompts(_OneFile):
    """RewardBench 2's prompts: id, subset, prompt, chosen and rejected answers, num_correct.

    Right answers come first; `prompt_id` is "<subset>/<number of right answers>/<id>".
    """

    VERSION: ClassVar[int] = 1

    def samples(self, path: Path) -> list[Samples]:
        """Return the file's prompts; raises DataError naming the row that lacks a field."""
        found = []
        for number, record, where in _records(path):
            right, wrong = (_texts(required(record, (side,), where), side, where) for side in ("chosen", "rejected"))
            correct = record.get("num_correct")
            if correct is not None and correct != len(right):
                problem = f"{len(right)} chosen answers are in the row"
                raise DataError(describe(f"{where}: num_correct", correct, problem, allowed="their number"))
            name = f"{required(record, ('subset',), where)}/{len(right)}/{record.get('id', number)}"
            asked = conversation(required(record, ("messages", "prompt"), where), where)
            found.append(Samples(name, asked, None, [Response(text, 0) for text in (*right, *wrong)]))
        return found

    def require_scorable(self, rows: Sequence[Samples]) -> None:
        """Require known subsets, and prompts of Ties whose names say which belong together."""
        from mt.evaluation.reward_bench_2 import TIES, RankedPrompt, score_subsets, ties_score

        named = [row.prompt_id.split("/", 2) for row in rows]
        score_subsets(dict.fromkeys((subset for subset, _, _ in named), 0.0))
        ties = [RankedPrompt(TIES, name, (0.0, 0.0)) for subset, _, name in named if subset == TIES]
        if ties:
            ties_score(ties)


def conversation(asked: Any, where: str) -> Messages:
    """Return a text, chat messages, or Arena-Hard's turns ([{"content": …}]) as messages."""
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if isinstance(asked, list) and asked and all(isinstance(turn, Mapping) and "content" in turn for turn in asked):
        return [{"role": str(turn.get("role", "user")), "content": str(turn["content"])} for turn in asked]
    raise DataError(f"{where}: the prompt is a {type(asked).__name__}. Allowed: a text, or a list of chat messages.")


def required(record: Any, names: tuple[str, ...], where: str) -> Any:
    """Return the first field that the record has; raises DataError where it has none of them."""
    if not isinstance(record, Mapping):
        raise DataError(f"{where}: a {type(record).__name__} where an object belongs.")
    found = _first(record, names, None)
    if found is None:
        raise DataError(f"{where}: field '{names[0]}' is missing. Allowed: {', '.join(names)}.")
    return found


def _of_its_own_id(row: Samples, known: dict[str, Samples], where: str) -> Samples:
    """Return a row; raises DataError where another one has its id: answers and judgments are found by it."""
    if known.setdefault(row.prompt_id, row) != row:
        fix = "Make the ids unique"
        raise DataError(describe(f"{where}: {_IDS[0]}", row.prompt_id, "another row has this id already", fix=fix))
    return row


def _texts(value: Any, side: str, where: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: field '{side}' is a {type(value).__name__}. A list of at least one text is needed.")
    return texts


def _first(record: Mapping[str, Any], names: tuple[str, ...], otherwise: Any) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), otherwise)


def _records(path: Path, limit: int | None = None) -> Iterator[tuple[int, Any, str]]:
    """Yield each row's number, the row, and how errors name it."""
    from mt.evaluation.files import read_records

    for number, record in enumerate(read_records(path, _READ)[:limit]):
        yield number, record, f"{path} row {number} (from 0)"


def _answer(record: Any, where: str) -> str:
    """Return the answer in a row of a model's answers, of the older format (choices) or the newer (messages)."""
    try:
        turn = record["messages"][-1] if "messages" in record else record["choices"][0]["turns"][0]
        if turn.get("role", "assistant") != "assistant":
            raise ValueError(f"the last message is the {turn['role']}'s")
        content = turn["content"]
        return str(content["answer"] if isinstance(content, Mapping) else content)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        allowed = "choices[0].turns[0].content, or messages that end with the answer"
        raise DataError(f"{where}: no answer is found ({type(error).__name__}: {error}). Allowed: {allowed}.") from None
