"""What killed processes leave behind goes, and nothing that a run needs does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mt.store
from mt.runtime.lock import Lock, Owner
from mt.workflow.execute import execute, lock_of
from mt.workflow.leftovers import clean_store, note_needed
from mt.workflow.plan import plan
from mt.workflow.store import Store
from mt.workflow.work import NullObserver
from tests.workflow.fakes import Number, Resumable, Sum

KILLED = """
import os, sys
from pathlib import Path
from mt.workflow.execute import lock_of
from mt.workflow.store import Store
from tests.workflow.fakes import Number
store = Store(Path(sys.argv[1]))
with lock_of(store, Number(1).key).hold():
    (store.root / ".work" / Number(1).key[:20] / "scratch").mkdir(parents=True)
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def names(store: Store) -> set[str]:
    """Everything in the store but artifacts and what is remembered of them."""
    found = {path for path in store.root.rglob("*") if path.relative_to(store.root).parts[0].startswith(".")}
    return {str(path.relative_to(store.root)) for path in found if path.is_file() and path.suffix != ".json"}


def old(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half of it")
    os.utime(path, (time.time() - 3600,) * 2)


def test_the_next_run_removes_what_killed_ones_left(store: Store) -> None:
    execute(plan([Number(1)]), store, NullObserver())
    subprocess.run([sys.executable, "-c", KILLED, str(store.root)], check=False)
    assert list((store.root / ".locks").iterdir())
    drafts = [".fingerprints.json.0123abcd", ".verified/.x.json.0123abcd", ".locks/.key.1." + "0a" * 16]
    for draft in drafts:
        old(store.root / draft)
    (store.root / ".locks" / ".fresh.1.0123abcd").write_text("being written")
    execute(plan([Number(2)]), store, NullObserver())
    assert names(store) == {".locks/.fresh.1.0123abcd"}
    assert not list((store.root / ".work").iterdir())


def test_locks_of_the_living_and_workspaces_of_the_unfinished_stay(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(plan([Resumable(5, patience=1)]), store, NullObserver())
    (store.root / ".locks").mkdir(exist_ok=True)
    elsewhere = {**vars(Owner.me()), "host": "elsewhere", "pid": 7}
    for age, name in ((0, "living"), (2 * 86_400, "silent")):
        file = store.root / ".locks" / f"{name}.1"
        file.write_text(json.dumps(elsewhere))
        os.utime(file, (time.time() - age,) * 2)
    with lock_of(store, "held").hold():
        clean_store(store)
        assert names(store) >= {".locks/held.1", ".locks/living.1"}
        assert ".locks/silent.1" not in names(store)
    assert list((store.root / ".work").glob("*/scratch/items.jsonl"))


def gc(store: Store, runs: Path) -> int:
    return mt.store.main(["--store", str(store.root), "gc", "--delete", "--runs", str(runs)])


def test_gc_keeps_what_runs_recorded_elsewhere_need(store: Store, tmp_path: Path) -> None:
    target = Sum((Number(1), Number(2)))
    for place, stage in (("here", Number(3)), ("there", target)):
        (tmp_path / place).mkdir()
        execute(plan([stage]), store, NullObserver(), str(tmp_path / place))
    execute(plan([Number(4)]), store, NullObserver())
    assert gc(store, tmp_path / "runs") == 0
    assert [store.has(one) for one in (Number(3), Number(1), target, Number(4))] == [True, True, True, False]
    shutil.rmtree(tmp_path / "there")
    assert gc(store, tmp_path / "runs") == 0
    assert [store.has(one) for one in (Number(3), Number(1), target)] == [True, False, False]


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"place": "here"}', '{"keys": [], "place": 1}'])
def test_gc_removes_nothing_where_it_cannot_read_what_a_run_needs(
    store: Store, tmp_path: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").mkdir()
    execute(plan([Number(1)]), store, NullObserver(), str(tmp_path / "there"))
    execute(plan([Number(2)]), store, NullObserver())
    (note,) = (store.root / ".needed").glob("*.json")
    note.write_text(damaged)
    assert gc(store, tmp_path / "runs") == 2
    assert f"{note}: cannot be read" in " ".join(capsys.readouterr().err.split())
    assert store.has(Number(1)) and store.has(Number(2))
    execute(plan([Number(1)]), store, NullObserver(), str(tmp_path / "there"))  # which writes the note anew
    assert gc(store, tmp_path / "runs") == 0
    assert store.has(Number(1)) and not store.has(Number(2))


def test_gc_keeps_what_a_live_process_needs_wherever_its_folder_is(store: Store, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    note_needed(store, str(tmp_path / "here"), [Number(9)])
    seen = []

    class Look(NullObserver):
        def started(self, stage: object) -> None:
            seen.append(gc(store, tmp_path / "runs"))

    execute(plan([Sum((Number(1), Number(2)))]), store, Look(), str(tmp_path / "on another machine"))
    assert seen == [0, 0, 0] and store.has(Number(1))
    assert gc(store, tmp_path / "runs") == 0
    assert not store.has(Number(1))


def test_a_run_waits_for_gc_before_it_looks_what_is_there(store: Store, tmp_path: Path) -> None:
    from threading import Thread

    from mt.workflow.leftovers import changing

    (tmp_path / "run").mkdir()
    execute(plan([Number(1)]), store, NullObserver())
    run = Thread(target=execute, args=(plan([Sum((Number(1),))]), store, NullObserver(), str(tmp_path / "run")))
    with changing(store).hold():
        run.start()
        time.sleep(0.3)
        store.remove(store.path(Number(1)))
    run.join()
    assert store.has(Number(1)) and store.has(Sum((Number(1),)))


def test_files_are_as_readable_as_their_folder_whatever_wrote_them(store: Store) -> None:
    from mt.workflow.work import Work

    class Weights(Number):
        def run(self, work: Work) -> None:
            (work.folder / "model.safetensors").write_bytes(b"weights")
            (work.folder / "model.safetensors").chmod(0o600)

    before = os.umask(0o027)
    try:
        execute(plan([Weights(1)]), store, NullObserver())
    finally:
        os.umask(before)
    assert (store.path(Weights(1)) / "model.safetensors").stat().st_mode & 0o777 == 0o640
    assert Lock(store.root / ".changing").owner() is None
