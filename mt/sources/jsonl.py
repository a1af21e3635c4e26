"""The user's own files of prompts (data=jsonl)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mt.data.settings import Files
from mt.sources.user import UserData
from mt.stages.load import PromptFile


class FileData(UserData):
    """The user's own files (data=jsonl)."""

    path: Annotated[Files, Field(min_length=1)]
    """A file, or a list of files."""

    def located(self, store: Path) -> tuple[PromptFile, ...]:
        """Return the files by their content."""
        return tuple(self.local_file(name, store) for name in self.path)
