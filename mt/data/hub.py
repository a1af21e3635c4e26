"""Hub names with pinned revisions: where their files lie in the local cache, and how they get there.

A pinned commit fixes the folder of the cache, so that plans need no network: only `fetch` uses it, and only for
what is missing. Weights are safetensors, data are Parquet, JSON or CSV; pickles and code are never downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from mt.data.files import ENDINGS, is_data_file
from mt.errors import ConfigError, DataError, ModelError, describe, first_line

RepositoryKind = Literal["model", "dataset"]

MODEL_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt")
"""What a model folder may hold: weights without pickles, descriptions, tokenizers; no code."""
_SUFFIXES = (*ENDINGS, *(f"{ending}.gz" for ending, kind in ENDINGS.items() if kind != "parquet"))
_DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
"""Files of the library `datasets` that hold no rows."""
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_FILE = re.compile(rf"({_NAME.pattern})(?:@([^:]*))?:([^:]+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ERRORS = {"model": ModelError, "dataset": DataError}


def snapshot_folder(kind: RepositoryKind, name: str, revision: str) -> Path:
    """Return where the local hub cache keeps a pinned revision, whether it is there yet or not."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=name, repo_type=kind)
    return Path(constants.HF_HUB_CACHE).expanduser() / folder / "snapshots" / revision


def check_name(setting: str, name: str, revision: str | None) -> str:
    """Return the pinned revision of a hub name; raises ConfigError where either cannot be used.

    `setting` holds the name ("policy.path"); the revision stands beside it ("policy.revision").
    """
    group = setting.partition(".")[0]
    if not _NAME.fullmatch(name):
        allowed, fix = "an existing path, or a hub name OWNER/NAME", "Check the path"
        raise ConfigError(describe(setting, name, "no such file or folder", allowed=allowed, fix=fix))
    if revision is None or not _COMMIT.fullmatch(revision):
        problem = f"no commit, and '{name}' is no local path: a hub name needs its revision pinned"
        fix = f"Add {group}.revision=COMMIT from the hub's page of {name}, or give a local path as {setting}"
        raise ConfigError(describe(f"{group}.revision", revision, problem, allowed="40 hex digits", fix=fix))
    return revision


def fetch(kind: RepositoryKind, name: str, revision: str, patterns: Sequence[str], field: str) -> Path:
    """Bring the files that match any pattern into the local cache; complete ones are not loaded again.

    Raises ModelError or DataError, with one line that names the setting, the hub name and the way to a local path.
    """
    from huggingface_hub import snapshot_download

    ignored = ["original/*", "*/original/*", "onnx/*", "consolidated*"]
    asked = _Request(kind, f"{name}@{revision[:12]}", revision, f"{field}.path", "DIR", f"Set {field}.revision to")
    return _loaded(
        asked,
        lambda: snapshot_download(
            name, repo_type=kind, revision=revision, allow_patterns=list(patterns), ignore_patterns=ignored
        ),
    )


def file_name(option: str, text: str) -> tuple[str, str, str] | None:
    """Return name, revision and file of a data set's file OWNER/NAME@COMMIT:FILE; None for what is not of this form.

    Raises ConfigError naming the setting `option` where the revision is not pinned.
    """
    found = _FILE.fullmatch(text)
    if found is None:
        return None
    name, revision, file = found.groups()
    if revision is None or not _COMMIT.fullmatch(revision):
        problem = f"no local file, and on the hub the revision of '{name}' has to be pinned"
        fix = f"Set {option}={name}@COMMIT:{file} with a commit of its hub page, or {option}=FILE"
        raise ConfigError(describe(option, text, problem, allowed="40 hex digits as COMMIT", fix=fix))
    return name, revision, file


def fetch_file(name: str, revision: str, file: str, option: str) -> Path:
    """Bring one file of a data set into the local cache unless it is there.

    Raises DataError with one line that names the file, its hub name and the setting `option` for a local one.
    """
    from huggingface_hub import hf_hub_download

    asked = _Request("dataset", f"{name}@{revision[:12]}:{file}", revision, option, "FILE", f"Give {option}")
    return _loaded(asked, lambda: hf_hub_download(name, file, repo_type="dataset", revision=revision))


def data_patterns(split: str | None, subset: str | None, files: str | None) -> list[str]:
    """Return the patterns of a split's files: <split>.ending, <split>-00000-of-00001.ending, <split>/….ending."""
    if files is not None:
        return [files]
    folders = [f"{subset}/", f"*/{subset}/"] if subset else ["", "*/"]
    stems = (f"{split}", f"{split}-[0-9]*", f"{split}/*")
    return [f"{folder}{stem}{suffix}" for folder in folders for stem in stems for suffix in _SUFFIXES]


def data_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the data files below a folder that match any pattern, by name; raises DataError where none does."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    arrow = [name for name in names if name.endswith(".arrow")]
    names = [name for name in names if is_data_file(name) and Path(name).name not in _DESCRIPTIONS]
    found = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
    if not found and arrow:
        problem = f"holds Arrow files as datasets' save_to_disk writes them ({arrow[0]})"
        fix = "Write it by to_parquet or to_json, and give the file to data=jsonl"
        raise DataError(describe("data.path", folder, problem, fix=fix))
    if not found:
        listed = ", ".join(names[:8]) or "no data file at all"
        fix = "Set data.split, data.subset, or data.files=PATTERN"
        raise DataError(describe("data.path", folder, f"no file of this split (found: {listed})", fix=fix))
    _check_shards(folder, found)
    return [folder / name for name in found]


def _check_shards(folder: Path, names: Sequence[str]) -> None:
    """Refuse a split of which a numbered part is missing (name-00000-of-00003.parquet)."""
    for name in names:
        if numbered := re.search(r"-(\d{5})-of-(\d{5})", name):
            for index in range(int(numbered[2])):
                part = f"{name[: numbered.start(1)]}{index:05d}{name[numbered.end(1) :]}"
                if not (folder / part).is_file():
                    fix = "Download the data set again"
                    raise DataError(describe("data.path", folder / part, "a part of the split is missing", fix=fix))


@dataclass(frozen=True, slots=True)
class _Request:
    """What is fetched, in the words of errors: for which setting, and what may stand there instead."""

    kind: RepositoryKind
    value: str
    revision: str
    option: str
    local: str
    repin: str


def _loaded(asked: _Request, load: Callable[[], str]) -> Path:
    """Return what was fetched; whatever the hub's client raises becomes one line."""
    from huggingface_hub import errors

    try:
        return Path(load())
    except (OSError, ValueError, RuntimeError, errors.HTTPError, errors.XetDownloadError) as error:
        local = f"or download it elsewhere and set {asked.option}={asked.local}"
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError):
            problem = "its owner has to grant you access, and a token to prove it"
            fix = f"Ask for access on its hub page, then run 'hf auth login' or set HF_TOKEN, {local}"
        elif isinstance(error, errors.RevisionNotFoundError):
            problem, fix = f"has no revision {asked.revision}", f"{asked.repin} a commit of its hub page"
        elif isinstance(error, errors.RepositoryNotFoundError) or status == 401:
            problem = f"no such {asked.kind} on the hub, or a private one"
            fix = f"Check the name, run 'hf auth login' or set HF_TOKEN for a private one, {local}"
        elif isinstance(error, errors.LocalEntryNotFoundError):
            problem = "not wholly in the local cache, and the hub cannot be reached"
            fix = f"Check the network (and that HF_HUB_OFFLINE is not set), {local}"
        elif isinstance(error, errors.EntryNotFoundError):
            problem, fix = "this revision has no such file", f"Check the file's name on its hub page, {local}"
        else:
            problem = f"the download was interrupted ({first_line(error)})"
            fix = f"Run the same command again to continue, {local}"
        raise _ERRORS[asked.kind](describe(asked.option, asked.value, problem, fix=fix)) from error
