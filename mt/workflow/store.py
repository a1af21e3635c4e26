"""The artifact store: content-addressed folders, published once, verified on use, never overwritten."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from mt.errors import StoreError
from mt.runtime.jsonl import problem
from mt.runtime.text import parse_json
from mt.workflow.stage import SHORT, External, Stage

ARTIFACT = "artifact.json"
DECISION = "decision.json"
"""What a deciding stage says, beside its output: {"stopped": true, …} where the run ends with it."""


@dataclass(frozen=True)
class _File:
    size: NonNegativeInt
    sha256: str


@dataclass(frozen=True)
class _Facts:
    """What is read of `artifact.json`."""

    stage: str
    key: str
    files: dict[str, _File]
    started: str
    seconds: float
    counts: dict[str, float]
    packages: dict[str, str] = field(default_factory=dict)


_FACTS = TypeAdapter(_Facts)


@dataclass(frozen=True)
class Artifact:
    """A published folder and what `artifact.json` says of it."""

    path: Path
    facts: dict[str, Any]

    @property
    def key(self) -> str:
        """The full key."""
        return str(self.facts["key"])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(int(entry["size"]) for entry in self.facts["files"].values())


class Store:
    """Artifacts under one root: `<root>/<stage name>/<short key>/`; work in the making under `<root>/.work/`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def path(self, stage: Stage) -> Path:
        """Return the folder (or, for something external, the place) of a stage's artifact."""
        return stage.location if isinstance(stage, External) else self.root / stage.address

    def has(self, stage: Stage) -> bool:
        """Say whether the artifact is published (what is external counts while it exists)."""
        path = self.path(stage)
        return path.exists() if isinstance(stage, External) else (path / ARTIFACT).is_file()

    def stopped(self, stage: Stage) -> bool:
        """Say whether a deciding stage is published and has stopped the run."""
        return is_stopped(self.path(stage))

    def artifact(self, stage: Stage) -> Artifact:
        """Return the published artifact; raises StoreError when there is none."""
        return self.open(self.path(stage))

    def open(self, path: Path) -> Artifact:
        """Return the artifact in a folder; raises StoreError when its facts are missing or unreadable."""
        try:
            facts = parse_json((path / ARTIFACT).read_bytes())
            _FACTS.validate_python(facts)
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{path}: nothing is published here; run the command again to compute it") from None
        except ValueError as error:
            why = problem(error) if isinstance(error, ValidationError) else error
            raise StoreError(f"{path / ARTIFACT}: damaged ({why}). {self._fix(path)}") from None
        if not facts["key"].startswith(path.name):
            raise StoreError(f"{path / ARTIFACT}: damaged (it describes another artifact). {self._fix(path)}")
        return Artifact(path, facts)

    def verified(self, stage: Stage) -> Path:
        """Return the artifact's folder after checking it; files unchanged since the last check are not reread."""
        if isinstance(stage, External):
            if not stage.location.exists():
                raise StoreError(f"{stage.location}: it was there when the run was planned, and is gone")
            return stage.location
        artifact = self.artifact(stage)
        self.verify(artifact)
        return artifact.path

    def verify(self, artifact: Artifact, *, full: bool = False) -> None:
        """Compare every file with its recorded size and checksum; raises StoreError naming the damaged file."""
        seen_path = self._memory(artifact.key)
        seen = {} if full else recall(seen_path)
        fresh, fix = {ARTIFACT: _state(artifact.path / ARTIFACT)}, self._fix(artifact.path)
        if seen.get(ARTIFACT) != fresh[ARTIFACT]:  # the checksums may be other ones than those that files were read for
            seen = {}
        for name, recorded in artifact.facts["files"].items():
            path = artifact.path / name
            try:
                state = fresh[name] = _state(path)
            except (FileNotFoundError, NotADirectoryError):
                raise StoreError(f"{path}: a file of this artifact is missing. {fix}") from None
            if state[0] != recorded["size"] or (state != seen.get(name) and sha256(path) != recorded["sha256"]):
                raise StoreError(f"{path}: damaged (its checksum differs from the recorded one). {fix}")
        if fresh != seen:
            remember(seen_path, fresh)

    def _memory(self, key: str) -> Path:
        """Return the file that says which files of an artifact were compared with their checksums, and when."""
        return self.root / ".verified" / f"{key[:SHORT]}.json"

    def _fix(self, folder: Path) -> str:
        store = shlex.quote(str(self.root))
        return f"To compute it anew: python -m mt.store --store {store} rm {folder.name}, then the same command again"

    def scratch(self, key: str) -> Path:
        """Return the folder of what a stage in the making leaves for its next attempt, with its workers' logs."""
        return self.root / ".work" / key[:SHORT] / "scratch"

    def workspace(self, stage: Stage) -> tuple[Path, Path]:
        """Return (a new empty output folder, the scratch folder that survives a kill) for a stage in the making."""
        scratch = self.scratch(stage.key)
        work = scratch.parent
        for leftover in (*work.glob("output-*"), *work.glob("scratch/workers-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        output = work / f"output-{uuid.uuid4().hex[:8]}"
        output.mkdir(parents=True)
        scratch.mkdir(exist_ok=True)
        return output, scratch

    def publish(self, stage: Stage, output: Path, facts: dict[str, Any]) -> Artifact:
        """Move a finished output to its address; where another process was first, its artifact stays."""
        files = {
            str(path.relative_to(output)): {"size": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(output.rglob("*"))
            if path.is_file()
        }
        facts = {**stage.identity, "key": stage.key, **facts, "files": files}
        facts["input_keys"] = [upstream.key for upstream in stage.inputs()]
        write_json(output / ARTIFACT, facts)
        usual = (output / ARTIFACT).stat().st_mode & 0o777
        for name in files:  # safetensors lets the owner alone read what it writes
            (output / name).chmod(usual)
        target = self.path(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not self.has(stage):
            shutil.rmtree(target)  # what a removal that was cut short left behind
        states = {name: _state(output / name) for name in (ARTIFACT, *files)}
        try:
            output.rename(target)
            remember(self._memory(stage.key), states)  # hashed just now: who reuses it need not read it again
        except OSError:
            if not self.has(stage):
                raise
        shutil.rmtree(output.parent, ignore_errors=True)
        return self.artifact(stage)

    def artifacts(self) -> Iterator[Artifact]:
        """Yield every published artifact whose facts can be read, in the order of their addresses."""
        for path in self.folders():
            with contextlib.suppress(StoreError):  # reported by `verify`, and where it is used
                yield self.open(path)

    def folders(self) -> list[Path]:
        """Return the folders of all artifacts, in the order of their addresses; their names begin the keys."""
        return sorted(path for path in self.root.glob(f"[!.]*/{'?' * SHORT}") if path.is_dir())

    def remove(self, path: Path) -> None:
        """Remove an artifact's folder, its facts first, so that a half-removed one is never taken as published."""
        if self.root not in path.resolve().parents:
            raise StoreError(f"{path}: not inside the store {self.root}")
        (path / ARTIFACT).unlink(missing_ok=True)
        shutil.rmtree(path)


def is_stopped(artifact: Path) -> bool:
    """Say whether the artifact in a folder is a decision to stop."""
    return recall(artifact / DECISION).get("stopped") is True


def _state(path: Path) -> list[int]:
    """Return a file's size and time: as long as they stay, its content counts as unchanged."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write JSON in one step: readers see the old content or the new one, never half of it."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=True))


def write_text(path: Path, text: str) -> None:
    """Write a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        error.filename = str(path)  # writing to a full disk names no file
        raise
    finally:
        draft.unlink(missing_ok=True)


def recall(path: Path) -> dict[str, Any]:
    """Return what `remember` wrote, and nothing where the file is missing or damaged: it can be found out again."""
    with contextlib.suppress(OSError, ValueError):
        found = parse_json(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def remember(path: Path, value: dict[str, Any]) -> None:
    """Write what saves work later, where the disk takes it: a store may be read-only, or full."""
    with contextlib.suppress(OSError):
        write_json(path, value)
