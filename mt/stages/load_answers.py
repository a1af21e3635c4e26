"""Demonstrations and preference pairs from a file of the user's, for the methods that need more than prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from mt.data.answers import DEMONSTRATION_FIELDS, PREFERENCE_FIELDS, load_demonstrations, load_preferences
from mt.data.clean import decontaminate, split
from mt.data.files import format_of, read_rows
from mt.data.prompts import content_hash
from mt.data.settings import DecontaminationConfig
from mt.errors import ConfigError, DataError, describe
from mt.stages.load import PromptFile, evaluation_prompts
from mt.types import Demonstration, Messages, Pair, Prompt, Samples
from mt.workflow.stage import External, Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work

_READ: dict[str, Any] = {
    "demonstrations": (load_demonstrations, DEMONSTRATION_FIELDS),
    "preferences": (load_preferences, PREFERENCE_FIELDS),
}


@dataclass(frozen=True, eq=False)
class LoadAnswers(Stage):
    """The file's rows, without those whose prompts only evaluation may use."""

    VERSION: ClassVar[int] = 2
    source: External
    rows: Literal["demonstrations", "preferences"]
    held_out: Stage
    """Prompts that train nothing."""
    evaluation: tuple[PromptFile, ...]
    """Files of further evaluation prompts."""
    decontamination: DecontaminationConfig
    held_out_share: float | None = None
    """Prompts of the file that train nothing, either: a share below 1, or a count."""

    def run(self, work: Work) -> None:
        """Write the rows; what was taken out is counted."""
        found = _read(work.path(self.source), self.rows)
        kept, counts = decontaminate(found, [*work.rows(Prompt, self.held_out), *self._held_out(found)], None)
        forbidden = evaluation_prompts(self.evaluation, self.decontamination)
        kept, more = decontaminate(kept, forbidden, self.decontamination.ngram)
        taken_out = counts["contaminated_equal"]
        work.count(rows=len(found), held_out=taken_out, **more, kept=len(kept))
        work.write(kept, Demonstration if self.rows == "demonstrations" else Pair)

    def check(self) -> None:
        """Read the file once, so that a malformed line is reported before anything heavy starts."""
        self._held_out(_read(self.source.location, self.rows))

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield where each row stands, and its prompt."""
        places: dict[str, str] = {}
        for row in _read(self.source.location, self.rows, places):
            yield places[row.prompt_id], row.messages

    def _held_out(self, found: list[Any]) -> list[Prompt]:
        """Return the share of the prompts that is held out, chosen by a hash of their content."""
        prompts = list({content_hash(row.messages): Prompt("", row.messages) for row in found}.values())
        if self.held_out_share is None:
            return []
        if self.held_out_share >= len(prompts):
            problem = f"leaves none of the {len(prompts)} prompts of data.{self.rows} to train on"
            share = f"{self.held_out_share:g}"
            raise ConfigError(describe("data.held_out_preferences", share, problem, fix="Lower it"))
        return split(prompts, self.held_out_share)[1]

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return two answers to as many prompts as a local file has, or as are assumed."""
        return _volume(self.source, assumed)


@dataclass(frozen=True, eq=False)
class HeldOutPreferences(Stage):
    """The preference pairs of a file that train nothing, as samples with the chosen answer first."""

    VERSION: ClassVar[int] = 1
    source: External
    trained: Stage | None
    """The file's pairs that may train something; None where none does."""
    size: int
    """Pairs to use at most."""

    def run(self, work: Work) -> None:
        """Leave out what may train something."""
        found: list[Pair] = _read(work.path(self.source), "preferences")
        trained = {pair.prompt_id for pair in work.rows(Pair, self.trained)} if self.trained else set()
        pairs = [pair for pair in found if pair.prompt_id not in trained][: self.size]
        if not pairs:
            fix = "data.held_out_preferences=0.1 keeps a tenth of them to measure reward models"
            work.note(f"all pairs of data.preferences are trained on: {fix}")
        work.count(pairs=len(pairs))
        rows = [Samples(pair.prompt_id, pair.messages, None, [pair.chosen, pair.rejected]) for pair in pairs]
        work.write(rows, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return two answers to as many prompts as the file has, or are used at most."""
        return _volume(self.source, assumed, self.size)


def _volume(source: External, assumed: AssumptionsConfig, most: int | None = None) -> Volume:
    rows = _count(source.location, source.fingerprint) if source.location.is_file() else assumed.prompts
    return assumed.rows(rows if most is None else min(rows, most), responses=2)


@lru_cache(maxsize=4)
def _count(path: Path, fingerprint: str) -> int:
    return sum(1 for _ in read_rows(path, format_of(path), columns=()))


def _read(path: Path, rows: str, places: dict[str, str] | None = None) -> list[Any]:
    """Return all rows of a file; raises DataError for a malformed one, or none."""
    load, columns = _READ[rows]
    found: list[Any] = load(read_rows(path, columns=columns), places)
    if not found:
        raise DataError(describe(f"data.{rows}", path, "it holds none", fix="Give a file with rows"))
    return found
