"""The stage that loads prompts: counts, parts, keys by content, and what is refused before a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt.data.hub import snapshot_folder
from mt.data.settings import DecontaminationConfig, FieldsConfig
from mt.errors import ConfigError, DataError
from mt.stages.load import HubPrompts, LoadPrompts, PromptFile
from mt.stages.prompts import PartitionPrompts
from mt.types import Prompt
from mt.workflow import tables
from mt.workflow.engine import OpenEngine
from mt.workflow.execute import compute
from mt.workflow.fingerprint import file_fingerprint
from mt.workflow.plan import plan
from mt.workflow.store import Store
from mt.workflow.work import TABLE, NullObserver
from tests.data.hub_cache import COMMIT, add_snapshot

FIELDS = FieldsConfig(prompt="prompt", messages="messages", id="prompt_id", section="section")


def write(path: Path, texts: list[str], **extra: Any) -> Path:
    path.write_text("".join(json.dumps({"prompt": text, **extra}) + "\n" for text in texts))
    return path


def source(path: Path, store: Path) -> PromptFile:
    return PromptFile(file_fingerprint(path, store), path, "jsonl")


def load(sources: Any, part: Any = "train", evaluation: Any = (), **changes: Any) -> LoadPrompts:
    values: dict[str, Any] = {
        "fields": FIELDS,
        "limit": None,
        "held_out": 0.2,
        "decontamination": DecontaminationConfig(files=[], fields=FIELDS, ngram=13),
        "size": None,
        **changes,
    }
    return LoadPrompts(sources=tuple(sources), evaluation=tuple(evaluation), part=part, **values)


def run(stage: LoadPrompts, store: Store) -> tuple[list[Prompt], dict[str, float]]:
    for one in plan([stage]).missing(store):
        compute(one, store, NullObserver(), OpenEngine())
    artifact = store.artifact(stage)
    return tables.read(artifact.path / TABLE, Prompt), artifact.facts["counts"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_parts_are_disjoint_and_counts_say_what_was_dropped(tmp_path: Path, store: Store) -> None:
    texts = [f"question {i}" for i in range(20)]
    first = write(tmp_path / "a.jsonl", [*texts[:10], "  ", texts[0]])
    second = write(tmp_path / "b.jsonl", [*texts[5:], "evaluate me!"])
    evaluation = write(tmp_path / "e.jsonl", ["Evaluate  ME", "something else"])
    files = [source(first, store.root), source(second, store.root)]
    stages = [load(files, part, [source(evaluation, store.root)]) for part in ("train", "held_out")]
    (train, counts), (held_out, _) = (run(stage, store) for stage in stages)
    assert len(train) == 16
    assert len(held_out) == 4
    assert sorted(p.messages[0]["content"] for p in train + held_out) == sorted(texts)
    assert counts == {
        "rows": 28,
        "empty": 1,
        "duplicates": 6,
        "contaminated_equal": 1,
        "contaminated_overlapping": 0,
        "prompts": 16,
    }


def test_limit_and_size(tmp_path: Path, store: Store) -> None:
    files = [source(write(tmp_path / "a.jsonl", [f"q{i}" for i in range(50)]), store.root)]
    train, _ = run(load(files, limit=10), store)
    assert {p.messages[0]["content"] for p in train} < {f"q{i}" for i in range(10)}
    assert len(train) == 8
    assert len(run(load(files, "held_out", held_out=30.0, size=7), store)[0]) == 7


def test_keys_follow_content_and_settings_never_places(tmp_path: Path, store: Store) -> None:
    texts = [f"q{i}" for i in range(10)]
    here, there = write(tmp_path / "a.jsonl", texts), write(tmp_path / "b.jsonl", texts)
    other = write(tmp_path / "c.jsonl", [*texts, "one more"])
    key = load([source(here, store.root)]).key
    assert load([source(there, store.root)]).key == key
    assert load([source(other, store.root)]).key != key
    assert load([source(here, store.root)], "held_out").key != key
    assert load([source(here, store.root)], limit=5).key != key
    assert load([source(here, store.root)], "train", [source(other, store.root)]).key != key


def test_a_malformed_line_is_refused_before_the_run(tmp_path: Path, store: Store) -> None:
    path = write(tmp_path / "a.jsonl", ["q1", "q2"])
    path.write_text(path.read_text() + '{"prompt": \n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 3: not valid JSON"):
        load([source(path, store.root)]).check()


def test_too_few_prompts_are_refused_before_the_run(tmp_path: Path, store: Store) -> None:
    files = [source(write(tmp_path / "a.jsonl", ["q1", "q2", "q3"]), store.root)]
    stage = load(files, held_out=1.0)
    stage.check()
    PartitionPrompts(stage, 2, 0, 0).check()
    with pytest.raises(
        DataError, match=r"prompts=2: .*3 parts .*a\.jsonl, where 1 more is held out by data\.held_out=1\)"
    ):
        PartitionPrompts(stage, 3, 0, 0).check()
    with pytest.raises(ConfigError, match=r"data\.held_out=3: leaves none of the 3 prompts.*below 3"):
        load(files, held_out=3.0).check()
    empty = [source(write(tmp_path / "b.jsonl", [" "]), store.root)]
    with pytest.raises(DataError, match=r"data\.path=.*b\.jsonl: no prompt is left"):
        load(empty).check()


def test_a_hub_data_set_is_read_from_the_cache(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    name, location = f"owner/prompts@{COMMIT}", snapshot_folder("dataset", "owner/prompts", COMMIT)
    hub = HubPrompts(name, location, "train", None, None, "auto")
    stage = load([hub], held_out=1.0)
    key = stage.key  # known before anything is there
    with pytest.raises(DataError, match=r"data\.path=owner/prompts@.*not wholly in the local cache"):
        hub.check()
    rows = [f'{{"prompt": "q{i}"}}\n'.encode() for i in range(4)]
    parts = {f"data/train-{i:05d}-of-00002.jsonl": b"".join(rows[2 * i : 2 * i + 2]) for i in range(2)}
    add_snapshot(tmp_path / "hub", "dataset", "owner/prompts", {**parts, "data/test.jsonl": b'{"prompt": "t"}'})
    hub.check()
    train, counts = run(stage, store)
    assert counts["rows"] == 4
    assert len(train) == 3
    assert load([HubPrompts(name, location, "train", None, None, "auto")], held_out=1.0).key == key
    assert load([HubPrompts(name, location, "test", None, None, "auto")], held_out=1.0).key != key
