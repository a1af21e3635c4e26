"""What killed processes leave in a store or beside a record, and which runs need the artifacts of a store."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from mt.errors import StoreError
from mt.runtime.lock import Held, Lock
from mt.workflow.keys import digest
from mt.workflow.stage import SHORT, External, Stage
from mt.workflow.store import ARTIFACT, Store, recall, write_json

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}(?:[0-9a-f]{24})?")
"""How a file is called that becomes another one in one step."""
_DRAFT_S = 600.0
"""A draft exists for milliseconds; one of this age has been abandoned."""
_SILENT_S = 86_400.0
"""Silence after which a lock's owner on another machine is dead beyond doubt, whatever the clocks say."""
_NEEDED = ".needed"


def changing(store: Store) -> Lock:
    """Return the lock under which a run registers what it needs and `gc` removes what no run needs."""
    return Lock(store.root / ".changing")


def note_needed(store: Store, place: str, stages: Iterable[Stage]) -> Path:
    """Keep artifacts from `gc` for the run or sweep in a folder, while that is there; return the note."""
    keys = sorted(stage.key[:SHORT] for stage in stages if not isinstance(stage, External))
    file, note = store.root / _NEEDED / f"{digest([place, keys])[:SHORT]}.json", {"place": place, "keys": keys}
    if recall(file) != note:
        with changing(store).hold():
            write_json(file, note)
    return file


@contextlib.contextmanager
def needing(store: Store, place: str, stages: Iterable[Stage]) -> Iterator[None]:
    """Keep artifacts from `gc` as `note_needed` does, and while the block lasts in any case."""
    file = note_needed(store, place, stages)
    with Lock(file.with_name(f"{file.stem}-{uuid.uuid4().hex[:8]}")).hold():
        yield


def needed_keys(store: Store) -> set[str]:
    """Return the keys that runs need by their notes; notes of runs that are gone are removed.

    Raises StoreError for a note that cannot be read: nobody knows which artifacts its run needs.
    """
    needed = set[str]()
    for file in (store.root / _NEEDED).glob("*.json"):
        note = recall(file)
        place, keys = note.get("place"), note.get("keys")
        if not isinstance(place, str) or not isinstance(keys, list):
            raise StoreError(
                f"{file}: cannot be read, and says which artifacts a run needs that is recorded elsewhere. "
                "Start that run again, or delete the file if the run is gone"
            )
        if Path(place).exists() or _is_at_work(file):
            needed.update(map(str, keys))
        else:
            with contextlib.suppress(OSError):
                file.unlink()
    return needed


def clean_store(store: Store) -> None:
    """Remove what killed processes left: locks of the dead, drafts, and workspaces of published artifacts."""
    locks, needed = store.root / ".locks", store.root / _NEEDED
    ledgers = list((store.root / ".judgments" / "ledger").glob("*/"))
    for folder in (store.root, store.root / ".verified", locks, needed, *ledgers):
        remove_drafts(folder)
    left = [file for folder in (locks, needed) for file in _files(folder) if file.suffix != ".json"]
    left += [file for folder in ledgers for file in folder.glob("lock.*")] + list(store.root.glob(".changing.*"))
    for lock in {file.with_suffix("") for file in left}:
        _release(lock)
    for work in (store.root / ".work").glob("*/"):
        published = any(store.root.glob(f"[!.]*/{work.name}/{ARTIFACT}"))
        if published and Lock(locks / work.name).owner() is None:
            shutil.rmtree(work, ignore_errors=True)


def remove_drafts(folder: Path) -> None:
    """Remove files that were being written when their process was killed."""
    for file in _files(folder):
        with contextlib.suppress(OSError):
            if _DRAFT.fullmatch(file.name) and time.time() - file.stat().st_mtime > _DRAFT_S:
                file.unlink()


def _files(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from [file for file in folder.iterdir() if file.is_file()]


def _is_at_work(note: Path) -> bool:
    """Return whether a process that wrote or read a note is still alive."""
    locks = [file for file in note.parent.glob(f"{note.stem}-*") if _is_fresh(file)]
    return any(Lock(file.with_suffix("")).owner() for file in locks)


def _is_fresh(lock_file: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - lock_file.stat().st_mtime < _SILENT_S
    return False


def _release(path: Path) -> None:
    """Remove a lock whose owner is dead, by taking it and letting it go."""
    lock = Lock(path)
    owner = lock.owner()
    with contextlib.suppress(OSError, Held):
        if owner is None:
            with lock.hold(wait=False):
                return
        for file in path.parent.glob(f"{path.name}.*"):
            if not owner.is_here and not _is_fresh(file):
                file.unlink()
