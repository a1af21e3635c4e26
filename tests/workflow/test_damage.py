"""Files that only save work may hold any bytes: they cost a re-read or a recomputation, and never a run."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

import mt.store
from mt.errors import StoreError
from mt.runtime.jsonl import Journal
from mt.runtime.lock import Lock
from mt.workflow import store as module
from mt.workflow.execute import execute
from mt.workflow.fingerprint import MEMORY, file_fingerprint
from mt.workflow.plan import plan
from mt.workflow.run_record import read_record
from mt.workflow.store import ARTIFACT, Store
from mt.workflow.work import NullObserver, read_metrics
from tests.workflow.fakes import Number, Resumable

FOLDER = None
GARBAGE = [
    b"", b"\0" * 64, b"\xff\xfe\x00\xd8", b"[" * 100_000, b"9" * 6000, b"5", b'"text"', b"[]", b"{}", b"null", FOLDER,
    b'{"stage": "number", "files": 5}', b'{"pid": 1e999, "host": [], "table.parquet": NaN}',
    b'[["0", 1]]\n{"step": []}\n',
]  # fmt: skip


def damage(path: Path, content: bytes | None) -> None:
    """Put bytes, or a folder, in a file's place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("content", GARBAGE)
def test_what_was_verified_is_read_again(store: Store, content: bytes | None) -> None:
    execute(plan([Number(1)]), store, NullObserver())
    store.verified(Number(1))
    (memory,) = (store.root / ".verified").iterdir()
    damage(memory, content)
    store.verified(Number(1))
    table = store.path(Number(1)) / "table.parquet"
    table.write_bytes(b"x" * table.stat().st_size)
    with pytest.raises(StoreError, match="damaged"):
        store.verified(Number(1))


def test_what_is_published_is_hashed_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = module.sha256
    monkeypatch.setattr(module, "sha256", lambda path: (hashed.append(path.name), real(path))[1])
    execute(plan([Number(1)]), store, NullObserver())
    assert hashed == ["table.parquet"]
    store.verified(Number(1))
    execute(plan([Number(1)]), store, NullObserver())
    assert hashed == ["table.parquet"], "who reuses it sees that size and time are those of the publication"
    table = store.path(Number(1)) / "table.parquet"
    table.write_bytes(b"x" * table.stat().st_size)
    with pytest.raises(StoreError, match="damaged"):
        store.verified(Number(1))


@pytest.mark.parametrize("content", GARBAGE)
def test_fingerprints_are_computed_again(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "data").write_text("prompts")
    before = file_fingerprint(tmp_path / "data", tmp_path)
    name = str(tmp_path / "data").encode()
    state = (tmp_path / "data").stat()
    lies = [b'{"%s": %s}' % (name, value) for value in (b"5", b"[]", b'[1, 2, "x"]', b"null")]
    lies.append(b'{"%s": [%d, %d, "not a hash"]}' % (name, state.st_size, state.st_mtime_ns))
    for lie in [content, *lies]:
        shutil.rmtree(tmp_path / MEMORY, ignore_errors=True)
        damage(tmp_path / MEMORY, lie)
        assert file_fingerprint(tmp_path / "data", tmp_path) == before


@pytest.mark.parametrize("content", GARBAGE)
def test_a_lock_file_that_is_none_holds_nobody_up(tmp_path: Path, content: bytes | None) -> None:
    for number in (1, 7):
        damage(tmp_path / f"lock.{number}", content)
    with Lock(tmp_path / "lock").hold(wait=False) as mine:
        assert mine
    assert Lock(tmp_path / "lock").owner() is None


@pytest.mark.parametrize("content", [one for one in GARBAGE if one is not FOLDER])
def test_a_damaged_journal_or_curve_costs_what_it_held(store: Store, content: bytes) -> None:
    stage = Resumable(5, patience=3)
    with pytest.raises(KeyboardInterrupt):
        execute(plan([stage]), store, NullObserver())
    for name in ("items.jsonl", "curves.jsonl"):
        damage(store.scratch(stage.key) / name, content)
    execute(plan([Resumable(5, patience=9)]), store, NullObserver())
    assert store.artifact(stage).facts["counts"] == {"resumed_at": 0}


def test_an_item_that_was_changed_in_a_journal_is_computed_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "items.jsonl") as journal:
        for text in ("right", "as well"):
            journal.append({"text": text, "value": 0.1})
    content = (tmp_path / "items.jsonl").read_bytes()
    (tmp_path / "items.jsonl").write_bytes(content.replace(b"right", b"wrong"))
    assert Journal(tmp_path / "items.jsonl").items == [{"text": "as well", "value": 0.1}]


@pytest.mark.parametrize("content", GARBAGE)
def test_a_damaged_artifact_is_said_and_the_advice_works_as_it_stands(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "a store's folder")
    execute(plan([Number(1)]), store, NullObserver())
    damage(store.path(Number(1)) / ARTIFACT, content)
    if content is not FOLDER:
        with pytest.raises(StoreError, match="damaged") as told:
            execute(plan([Number(1)]), store, NullObserver())
        command = shlex.split(str(told.value).split("python -m mt.store ")[1].split(", then")[0])
        monkeypatch.chdir("/")
        assert mt.store.main(command) == 0
    execute(plan([Number(1)]), store, NullObserver())
    store.verified(Number(1))


@pytest.mark.parametrize("content", GARBAGE)
def test_a_damaged_record_is_said_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    damage(tmp_path / "record.json", content)
    with pytest.raises(StoreError) as told:
        read_record(tmp_path)
    assert "\n" not in str(told.value)
    for wrong in (b'"stages": 5', b'"stages": [5]', b'"metrics": [{"value": "x"}]', b'"config": []'):
        shutil.rmtree(tmp_path / "record.json", ignore_errors=True)
        damage(tmp_path / "record.json", b'{"schema": 1, %s}' % wrong)
        with pytest.raises(StoreError, match="damaged record"):
            read_record(tmp_path)


def test_a_read_only_store_is_verified_all_the_same(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    execute(plan([Number(1)]), store, NullObserver())
    shutil.rmtree(store.root / ".verified")
    (store.root / ".verified").write_text("a file where nothing can be remembered")
    assert mt.store.main(["--store", str(store.root), "verify"]) == 0
    assert "1 artifact checked, 0 damaged" in capsys.readouterr().out


@pytest.mark.parametrize("content", GARBAGE)
def test_damaged_metrics_are_said_as_damage(tmp_path: Path, content: bytes | None) -> None:
    damage(tmp_path / "metrics.json", content)
    if content == b"[]":
        assert read_metrics(tmp_path) == []
        return
    with pytest.raises(StoreError, match=r"metrics\.json: damaged \(.*\)$"):
        read_metrics(tmp_path)
