"""A data set by its hub name, or a local copy of it (data=hub)."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from mt.data.hub import check_name, data_files, data_patterns, snapshot_folder
from mt.errors import ConfigError, describe
from mt.sources.user import UserData
from mt.stages.load import HubPrompts, Prompts


class HubData(UserData):
    """A data set by its hub name, or a local copy of it (data=hub, data=ultrafeedback)."""

    path: str
    """A hub name (owner/name), or a local folder or file."""
    revision: str | None
    """The pinned commit of a hub name (40 hex digits); unused for a local folder."""
    split: str | None
    """The split, as its files are named: data/<split>-00000-of-00001.parquet, <split>.jsonl, <split>/…"""
    subset: str | None
    """The folder that holds the split's files; null where the data set has no subsets."""
    files: str | None
    """A pattern of file names instead of split and subset: "data/train-*.parquet"."""

    @model_validator(mode="after")
    def _files_are_named(self) -> HubData:
        if self.split is None and self.files is None:
            raise ConfigError(
                describe("data.split", None, "which files to read is not said", fix="Set data.split=NAME")
            )
        return self

    def located(self, store: Path) -> tuple[Prompts, ...]:
        """Return a local file or folder's files by their content, or the hub name by its revision."""
        local = Path(self.path).expanduser()
        if local.is_file():
            return (self.local_file(self.path, store),)
        if local.is_dir():
            found = data_files(local, data_patterns(self.split, self.subset, self.files))
            return tuple(self.local_file(str(path), store) for path in found)
        revision = check_name("data.path", self.path, self.revision)
        folder = snapshot_folder("dataset", self.path, revision)
        fingerprint = f"{self.path}@{revision}"
        return (HubPrompts(fingerprint, folder, self.split, self.subset, self.files, self.format),)
