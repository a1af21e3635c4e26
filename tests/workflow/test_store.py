from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mt.errors import StoreError
from mt.types import Prompt
from mt.workflow import tables
from mt.workflow.execute import execute
from mt.workflow.plan import merge, plan
from mt.workflow.stage import External
from mt.workflow.store import Store
from mt.workflow.work import CURVES, NullObserver
from tests.workflow.fakes import Fail, Number, Resumable, Sum


class Heard(NullObserver):
    """Remembers what was computed and what was reused."""

    def __init__(self) -> None:
        self.computed: list[str] = []
        self.reused: list[str] = []
        self.notes: list[str] = []

    def finished(self, stage, facts) -> None:
        (self.reused if facts is None else self.computed).append(stage.key)

    def note(self, stage, text) -> None:
        self.notes.append(text)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def run(store: Store, *targets) -> Heard:
    heard = Heard()
    execute(plan(targets), store, heard)
    return heard


def test_everything_is_computed_once_and_then_reused(store: Store) -> None:
    total = Sum((Number(1), Number(2)))
    assert len(run(store, total).computed) == 3
    again = run(store, total)
    assert again.computed == []
    assert len(again.reused) == 3
    assert store.artifact(total).facts["counts"] == {"value": 3}


def test_only_what_is_missing_and_needed_runs(store: Store) -> None:
    total = Sum((Number(1), Number(2)))
    run(store, total)
    store.remove(store.path(Number(1)))
    assert run(store, total).computed == []  # the sum is there: nobody needs its term
    other = Sum((Number(1), total))
    assert run(store, other).computed == [Number(1).key, other.key]


def test_a_merged_plan_has_every_key_once(store: Store) -> None:
    first, second = plan([Sum((Number(1), Number(2)))]), plan([Sum((Number(1), Number(3)))])
    merged = merge([first, second])
    assert len(merged.order) == 5
    assert [len(one.order) for one in (first, second)] == [3, 3]
    execute(merged, store, Heard())
    assert second.missing(store) == []


def test_a_damaged_file_is_named_and_never_used(store: Store) -> None:
    term = Number(1)
    run(store, term)
    table = store.path(term) / "table.parquet"
    content = table.read_bytes()
    table.write_bytes(content[:-1] + b"x")
    with pytest.raises(StoreError, match=r"table\.parquet: damaged.*mt\.store --store .* rm"):
        run(store, Sum((term, Number(2))))
    table.unlink()
    with pytest.raises(StoreError, match="missing"):
        store.verified(term)


def test_damage_that_keeps_size_and_time_is_found_by_a_full_check(store: Store) -> None:
    term = Number(1)
    run(store, term)
    store.verified(term)
    table = store.path(term) / "table.parquet"
    stat = table.stat()
    table.write_bytes(b"y" * stat.st_size)
    os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    store.verified(term)
    with pytest.raises(StoreError, match="damaged"):
        store.verify(store.artifact(term), full=True)


def test_a_checksum_that_changes_after_it_was_compared_is_found(store: Store) -> None:
    term = Number(1)
    run(store, term)
    store.verified(term)
    facts = store.path(term) / "artifact.json"
    checksum = json.loads(facts.read_text())["files"]["table.parquet"]["sha256"]
    facts.write_text(facts.read_text().replace(checksum, checksum[::-1]))
    with pytest.raises(StoreError, match="damaged"):
        store.verified(term)


def test_a_stage_that_waits_takes_wall_time_and_hardly_any_cpu_time(store: Store) -> None:
    waiting = Sum((Number(1),), seconds=0.5)
    run(store, waiting)
    facts = store.artifact(waiting).facts
    assert facts["seconds"] >= 0.5
    assert 0 <= facts["cpu_seconds"] < 0.4


def test_a_failure_keeps_what_was_published(store: Store) -> None:
    with pytest.raises(ValueError, match="as it should"):
        run(store, Fail(Number(7)))
    assert store.has(Number(7))
    assert not store.has(Fail(Number(7)))


def test_a_killed_stage_continues_and_keeps_its_curve(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(store, Resumable(5, patience=3))
    with next((store.root / ".work").glob("*/scratch/" + CURVES)).open("a") as curves:
        curves.write('{"step": 3, "va')  # what a full disk leaves of a line
    assert run(store, Resumable(5, patience=9)).computed
    artifact = store.artifact(Resumable(5, patience=1))
    assert artifact.facts["counts"] == {"resumed_at": 3}
    assert len((artifact.path / CURVES).read_text().splitlines()) == 5
    assert not (store.root / ".work" / artifact.key[:20]).exists()


def test_what_was_made_with_other_versions_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, Number(1))
    monkeypatch.setattr("mt.workflow.provenance.packages", lambda: {"python": "0.0"})
    assert "python" in run(store, Sum((Number(1),))).notes[0]


def test_remove_stays_inside_the_store(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(StoreError, match="not inside"):
        store.remove(tmp_path / "other")


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [Prompt("a", [{"role": "user", "content": "é\n\u2028"}], None), Prompt("b", [], "Chat")]
    tables.write(tmp_path / "t.parquet", rows, Prompt)
    assert tables.read(tmp_path / "t.parquet", Prompt) == rows


def test_what_missing_stages_read_outside_the_store_is_looked_for(store: Store, tmp_path: Path) -> None:
    file = External("digest", tmp_path / "prompts.jsonl")
    whole = plan([Sum((Number(1), file))])
    assert whole.reaching_out(store) == [file]
    assert file.outside() == str(tmp_path / "prompts.jsonl")
    with pytest.raises(StoreError, match=r"prompts\.jsonl: .* does not see it.*all nodes share"):
        file.reach()
    file.location.write_text("here")
    file.reach()
    assert plan([Number(1)]).reaching_out(store) == []
