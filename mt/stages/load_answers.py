"""Demonstrations and preference pairs from a file of the user's, for the methods that need more than prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from mt.data.answers import DEMONSTRATION_FIELDS, PREFERENCE_FIELDS, load_demonstrations, load_preferences
from mt.data.clean import decontaminate
from mt.data.files import format_of, read_rows
from mt.data.settings import DecontaminationConfig
from mt.errors import DataError, describe
from mt.stages.load import PromptFile, evaluation_prompts
from mt.types import Demonstration, Messages, Pair, Prompt
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

    def run(self, work: Work) -> None:
        """Write the rows; what was taken out is counted."""
        found = self.read(work.path(self.source))
        kept, counts = decontaminate(found, work.rows(Prompt, self.held_out), None)
        forbidden = evaluation_prompts(self.evaluation, self.decontamination)
        kept, more = decontaminate(kept, forbidden, self.decontamination.ngram)
        taken_out = counts["contaminated_equal"]
        work.count(rows=len(found), held_out=taken_out, **more, kept=len(kept))
        work.write(kept, Demonstration if self.rows == "demonstrations" else Pair)

    def check(self) -> None:
        """Read the file once, so that a malformed line is reported before anything heavy starts."""
        self.read(self.source.location)

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield where each row stands, and its prompt."""
        places: dict[str, str] = {}
        for row in self.read(self.source.location, places):
            yield places[row.prompt_id], row.messages

    def read(self, path: Path, places: dict[str, str] | None = None) -> list[Any]:
        """Return all rows of the file; raises DataError for a malformed one, or none."""
        load, columns = _READ[self.rows]
        found: list[Any] = load(read_rows(path, columns=columns), places)
        if not found:
            raise DataError(describe(f"data.{self.rows}", path, "it holds none", mend="Give a file with rows"))
        return found

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return two answers to as many prompts as a local file has, or as are assumed."""
        path = self.source.location
        rows = sum(1 for _ in read_rows(path, format_of(path))) if path.is_file() else assumed.prompts
        return assumed.rows(rows, responses=2)
