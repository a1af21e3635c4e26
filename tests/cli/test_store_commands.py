"""`python -m mt.store`: what it shows, what it finds damaged, and what it never removes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt.runtime.lock import Lock
from mt.store import main
from mt.workflow.execute import execute, lock_of
from mt.workflow.leftovers import changing
from mt.workflow.plan import plan
from mt.workflow.stage import SHORT
from mt.workflow.store import Store
from mt.workflow.work import NullObserver
from tests.workflow.fakes import Number, Sum

NEEDED, UNUSED = Sum((Number(1), Number(2))), Number(3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    execute(plan([NEEDED, UNUSED]), store, NullObserver())
    write_record(tmp_path, "run", NEEDED, Number(1), Number(2))
    return store


def write_record(tmp_path: Path, name: str, *stages: Number | Sum) -> Path:
    path = tmp_path / "runs" / "sweep" / name / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schema": 1, "stages": [{"key": stage.key} for stage in stages]}))
    return path


def command(tmp_path: Path, *words: str) -> int:
    runs = ["--runs", str(tmp_path / "runs")] if words[0] == "gc" else []
    return main(["--store", str(tmp_path / "store"), *words, *runs])


def test_gc_shows_before_it_deletes_and_keeps_what_a_run_needs(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, "gc") == 0
    shown = capsys.readouterr().out
    assert (
        UNUSED.key[:12] in shown and NEEDED.key[:12] not in shown and "1 artifact and 0 abandoned workspaces, " in shown
    )
    assert store.has(UNUSED)
    assert command(tmp_path, "gc", "--delete") == 0
    assert not store.has(UNUSED)
    assert [store.has(stage) for stage in (NEEDED, Number(1), Number(2))] == [True, True, True]
    capsys.readouterr()
    for more in ([], ["--delete"]):
        assert command(tmp_path, "gc", *more) == 0
        assert capsys.readouterr().out.startswith("nothing to remove: all in ")


def test_the_store_is_named_before_or_after_the_command(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in (["--store", str(store.root), "ls"], ["ls", "--store", str(store.root)]):
        assert main(line) == 0
        assert "artifacts, " in capsys.readouterr().out
    assert main(["ls", "--store", str(tmp_path / "none")]) == 2
    assert "none: no such folder. Give --store DIR." in capsys.readouterr().err


def test_gc_keeps_what_a_run_needs_that_begins_meanwhile(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(one: Store) -> Lock:
        write_record(tmp_path, "late", UNUSED)
        return changing(one)

    monkeypatch.setattr("mt.store.changing", begin)
    assert command(tmp_path, "gc", "--delete") == 0
    assert store.has(UNUSED)


def test_gc_keeps_workspaces_that_are_used_or_will_be(tmp_path: Path, store: Store) -> None:
    names = {what: Number(number).key[:SHORT] for number, what in enumerate(("planned", "held", "left"), start=7)}
    write_record(tmp_path, "unfinished", Number(7))
    for name in names.values():
        (store.root / ".work" / name).mkdir(parents=True)
    with lock_of(store, names["held"]).hold():
        assert command(tmp_path, "gc", "--delete") == 0
    assert {path.name for path in (store.root / ".work").iterdir()} == {names["planned"], names["held"]}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"schema": 9}'])
def test_gc_removes_nothing_while_a_record_cannot_be_read(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = write_record(tmp_path, "broken")
    path.write_bytes(content)
    assert command(tmp_path, "gc", "--delete") == 2
    assert str(path) in capsys.readouterr().err
    assert store.has(UNUSED)


def test_gc_without_any_record_removes_nothing(tmp_path: Path, store: Store) -> None:
    assert main(["--store", str(store.root), "gc", "--delete", "--runs", str(tmp_path / "elsewhere")]) == 2
    assert store.has(UNUSED)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"key": "another"}'])
def test_facts_that_cannot_be_read_are_damage_like_any_other(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (store.path(UNUSED) / "artifact.json").write_bytes(content)
    assert command(tmp_path, "ls") == 0
    assert "3 artifacts" in capsys.readouterr().out
    assert command(tmp_path, "verify") == 2
    said = capsys.readouterr().out
    assert f"{store.path(UNUSED)}/artifact.json: damaged" in said and "4 artifacts checked, 1 damaged" in said
    assert command(tmp_path, "rm", UNUSED.key[:SHORT]) == 0
    assert command(tmp_path, "verify") == 0


def test_a_flipped_byte_is_found_and_named(tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    table = store.path(NEEDED) / "table.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    assert command(tmp_path, "verify") == 2
    assert f"{table}: damaged" in capsys.readouterr().out


@pytest.mark.parametrize(("key", "said"), [("abc", "too short"), ("0" * 20, "names 0 artifacts")])
def test_rm_wants_one_artifact(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str], key: str, said: str
) -> None:
    assert command(tmp_path, "rm", key) == 2
    assert said in capsys.readouterr().err


def test_a_store_that_is_not_there_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, "ls") == 2
    assert "no such folder" in capsys.readouterr().err
