"""Prompts of the user's own: files by their content, hub data sets by their pinned revision, cleaned and split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from mt.data.clean import decontaminate, split
from mt.data.files import read_rows
from mt.data.hub import data_files, data_patterns, fetch
from mt.data.prompts import Loaded, load_prompts
from mt.data.settings import DecontaminationConfig, FieldsConfig
from mt.errors import ConfigError, DataError, describe
from mt.types import Messages, Prompt
from mt.workflow.stage import External, Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class PromptFile(External):
    """A data file of the user's; its fingerprint is a hash of its content."""

    format: str
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location", "format"})

    def files(self) -> list[Path]:
        """Return the file."""
        return [self.location]


@dataclass(frozen=True, eq=False)
class HubPrompts(External):
    """The files of one split of a hub data set; its fingerprint is "owner/name@revision"."""

    split: str | None
    subset: str | None
    pattern: str | None
    format: str
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location", "format"})

    def files(self) -> list[Path]:
        """Return the split's files in the local cache."""
        return data_files(self.location, self._patterns)

    def check(self) -> None:
        """Bring the files into the local cache."""
        name, revision = self.fingerprint.split("@")
        fetch("dataset", name, revision, self._patterns, "data")

    @property
    def _patterns(self) -> list[str]:
        return data_patterns(self.split, self.subset, self.pattern)


Prompts = PromptFile | HubPrompts


@dataclass(frozen=True, eq=False)
class LoadPrompts(Stage):
    """Distinct prompts without those of evaluation; one part is trained on, the other is held out."""

    VERSION: ClassVar[int] = 1
    sources: tuple[Prompts, ...]
    fields: FieldsConfig
    limit: int | None
    held_out: float
    evaluation: tuple[PromptFile, ...]
    """Files of evaluation prompts, which neither part may hold."""
    decontamination: DecontaminationConfig
    part: Literal["train", "held_out"]
    size: int | None = None
    """Prompts of this part to use at most."""

    def run(self, work: Work) -> None:
        """Write this part's prompts; what was dropped is counted."""
        prompts, counts = self.prompts()
        work.count(**counts, prompts=len(prompts))
        dropped = {name: n for name, n in counts.items() if n and name in ("empty", "duplicates")}
        dropped |= {name: n for name, n in counts.items() if n and name.startswith("contaminated")}
        if dropped and self.part == "train":  # both parts come from one reading
            work.note("prompts dropped: " + ", ".join(f"{n} {name}" for name, n in dropped.items()))
        work.write(prompts, Prompt)

    def check(self) -> None:
        """Read everything once, so that a malformed line is reported before anything heavy starts."""
        self.prompts()

    def count(self) -> int:
        """Return the number of this part's prompts."""
        return len(self.prompts()[0])

    def origin(self) -> str:
        """Return the files, and how many of their prompts are not of this part."""
        other = len(self._loaded().prompts) - len(self.prompts()[0])
        place = ", ".join(str(source.location) for source in self.sources)
        return (
            f"{place}, where {other} more {'is' if other == 1 else 'are'} held out by data.held_out={self.held_out:g}"
        )

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield where each of this part's prompts stands, and the prompt."""
        for prompt in self.prompts()[0]:
            yield self._loaded().places[prompt.prompt_id], prompt.messages

    def prompts(self) -> tuple[list[Prompt], dict[str, int]]:
        """Return this part's prompts and the counts of the whole; raises DataError or ConfigError."""
        loaded = self._loaded()
        total = len(loaded.prompts)
        if total == 0:
            places = ", ".join(str(source.location) for source in self.sources)
            raise DataError(describe("data.path", places, "no prompt is left", fix="Give a file with prompts"))
        if self.held_out >= total:
            problem, fix = f"leaves none of the {total} prompts to train on", "Lower it"
            raise ConfigError(
                describe("data.held_out", f"{self.held_out:g}", problem, allowed=f"below {total}", fix=fix)
            )
        train, held_out = split(loaded.prompts, self.held_out)
        chosen = train if self.part == "train" else held_out
        return chosen[: self.size], loaded.counts

    def _loaded(self) -> Loaded:
        evaluation = _files(self.evaluation), self.decontamination.fields, self.decontamination.ngram
        return _load(_files(self.sources), self.fields, self.limit, *evaluation)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its part of the prompts: of those that local files have, or of as many as are assumed or allowed."""
        if all(source.location.is_file() for source in self.sources):
            if self.key not in _SIZES:
                prompts, _ = self.prompts()
                text = sum(len(message["content"].encode()) for prompt in prompts for message in prompt.messages)
                _SIZES[self.key] = len(prompts), text
            count, text = _SIZES[self.key]
            return replace(assumed.rows(count), prompt_tokens=text / max(count, 1) / assumed.text_bytes_per_token)
        total = min(assumed.prompts, self.limit or assumed.prompts)
        held_out = self.held_out if self.held_out >= 1 else self.held_out * total
        rows = total - held_out if self.part == "train" else held_out
        return assumed.rows(min(rows, self.size or rows))


_SIZES: dict[str, tuple[int, int]] = {}
"""Prompts and bytes of their text by the key of the stage, which holds the content of the files."""

File = tuple[Path, str, str]
"""Where a file lies, its format, and the fingerprint of what holds it."""


def evaluation_prompts(files: tuple[PromptFile, ...], how: DecontaminationConfig) -> list[Prompt]:
    """Return the prompts of the files that training may not see."""
    return _read(_files(files), how.fields).prompts


def _files(sources: tuple[Prompts, ...]) -> tuple[File, ...]:
    return tuple((path, one.format, one.fingerprint) for one in sources for path in one.files())


@lru_cache(maxsize=1)
def _load(
    files: tuple[File, ...],
    fields: FieldsConfig,
    limit: int | None,
    evaluation: tuple[File, ...],
    evaluation_fields: FieldsConfig,
    ngram: int | None,
) -> Loaded:
    """Read and clean; both parts of a split and the check before a run share one reading."""
    loaded = _read(files, fields)
    forbidden = _read(evaluation, evaluation_fields).prompts
    kept, counts = decontaminate(loaded.prompts, forbidden, ngram)
    return Loaded(kept[:limit], {**loaded.counts, **counts}, loaded.places)


def _read(files: tuple[File, ...], fields: FieldsConfig) -> Loaded:
    columns = [name for name in (fields.prompt, fields.messages, fields.id, fields.section) if name is not None]
    rows = (row for path, data_format, _ in files for row in read_rows(path, data_format, columns))
    return load_prompts(rows, fields)
