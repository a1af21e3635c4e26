"""Files that a run reads from outside the store: by their hub name, or not given yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mt.errors import ConfigError
from mt.workflow.stage import External


@dataclass(frozen=True, eq=False)
class HubFile(External):
    """A file of a hub data set; its fingerprint is "owner/name@revision:file", its place the local hub cache."""

    option: str
    """The setting that names it, and can name a local file instead."""
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location", "option"})

    def check(self) -> None:
        """Download the file unless the local cache has it."""
        from mt.data.hub import fetch_file

        if not self.location.is_file():
            repository, _, file = self.fingerprint.partition(":")
            name, _, revision = repository.partition("@")
            fetch_file(name, revision, file, self.option)


@dataclass(frozen=True, eq=False)
class NotGiven(External):
    """A file that no setting names yet: the run can be planned and its cost estimated, but not started."""

    problem: str
    """What is said when a run is to start: one line with the setting that names the file."""
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location", "problem"})

    def check(self) -> None:
        """Raise ConfigError."""
        raise ConfigError(self.problem)
