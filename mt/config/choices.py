"""The YAML files that a command line may choose from: those in conf/, then those of the user's own folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mt.errors import ConfigError, describe

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass(frozen=True)
class SearchPath:
    """Folders of choices in the order in which a name is looked up; the first one is conf/."""

    folders: tuple[Path, ...] = (CONF,)

    def groups(self) -> list[str]:
        """Return the names of the groups that the configuration knows: those in conf/."""
        return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")

    def options(self, group: str) -> list[str]:
        """Return the valid choices of a group."""
        return sorted({path.stem for folder in self.folders for path in (folder / group).glob("*.yaml")})

    def file(self, group: str, name: str) -> Path:
        """Return the file of a choice."""
        return next(path for folder in self.folders if (path := folder / group / f"{name}.yaml").exists())


def optional_values(name: str) -> dict[str, Any]:
    """Return what an optional group of settings starts from where one of its fields is set: the file conf/NAME.yaml."""
    file = CONF / f"{name}.yaml"
    return dict(yaml.safe_load(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def search_path(own: list[str]) -> SearchPath:
    """Return conf/ and then the user's folders (`--config-dir`).

    Raises ConfigError where a folder is missing, holds no choice, or holds one that an earlier folder hides.
    """
    found = SearchPath()
    for name in own:
        folder = Path(name).expanduser().resolve()
        if not folder.is_dir():
            problem = "not a folder" if folder.exists() else "no such folder"
            raise ConfigError(describe("--config-dir", name, problem, fix="Give a folder with files GROUP/NAME.yaml"))
        files = [(group, path) for group in found.groups() for path in sorted((folder / group).glob("*.yaml"))]
        if not files:
            problem, allowed = "it holds no choice: no file GROUP/NAME.yaml", f"GROUP of {', '.join(found.groups())}"
            raise ConfigError(describe("--config-dir", name, problem, allowed=allowed))
        for group, path in files:
            if path.stem in found.options(group):
                problem = f"{group}={path.stem} exists already, so that {group}/{path.name} would never be read"
                raise ConfigError(describe("--config-dir", name, problem, fix="Give the file another name"))
        found = SearchPath((*found.folders, folder))
    return found
