"""Hub names: where they lie, which files belong to a split, what is loaded, and every way in which that fails."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mt.data.hub import MODEL_FILES, check_name, data_files, data_patterns, fetch, fetch_file, snapshot_folder
from mt.errors import ConfigError, DataError, ModelError
from tests.data.hub_cache import COMMIT, add_snapshot

NAME = "owner/prompts"


def test_a_pinned_revision_names_its_folder_before_it_is_there(cache: Path) -> None:
    assert snapshot_folder("dataset", NAME, COMMIT) == cache / "datasets--owner--prompts" / "snapshots" / COMMIT
    assert snapshot_folder("model", NAME, COMMIT) == cache / "models--owner--prompts" / "snapshots" / COMMIT


def test_the_cache_is_used_offline(cache: Path) -> None:
    folder = add_snapshot(cache, "dataset", NAME, {"data/train-00000-of-00001.parquet": b"x"})
    assert fetch("dataset", NAME, COMMIT, data_patterns("train", None, None), "data") == folder
    assert snapshot_folder("dataset", NAME, COMMIT) == folder


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("no-owner", COMMIT, r"policy\.path=no-owner: no such file or folder\. Allowed: .*OWNER/NAME"),
        ("/missing/folder", COMMIT, r"policy\.path=/missing/folder: no such file or folder"),
        ("owner/name", None, r"policy\.revision=null: .*'owner/name' is no local path.*40 hex digits"),
        ("owner/name", "main", r"policy\.revision=main: no commit.*Add policy\.revision=COMMIT"),
    ],
)
def test_a_hub_name_needs_its_revision(name: str, revision: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_name("policy.path", name, revision)
    assert check_name("policy.path", "owner/name.v1", COMMIT) == COMMIT


FILES = [
    "README.md",
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "data/train_prefs-00000-of-00001.parquet",
    "data/test.jsonl.gz",
    "german/train.jsonl",
    "german/test.csv",
    "validation/part.json",
    "train.py",
    "train.pkl",
]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (("train", "data", None), FILES[1:3]),
        (("train_prefs", None, None), FILES[3:4]),
        (("test", "data", None), FILES[4:5]),
        (("train", "german", None), FILES[5:6]),
        (("validation", None, None), FILES[7:8]),
        ((None, None, "german/*"), ["german/test.csv", "german/train.jsonl"]),
    ],
)
def test_a_split_is_found_by_how_its_files_are_named(
    tmp_path: Path, choice: tuple[str | None, str | None, str | None], expected: list[str]
) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert data_files(tmp_path, data_patterns(*choice)) == [tmp_path / name for name in expected]


def test_a_split_that_is_not_there_or_not_whole_is_named(tmp_path: Path) -> None:
    (tmp_path / "train-00000-of-00002.parquet").touch()
    with pytest.raises(DataError, match=r"no file of this split \(found: train-00000.*Set data\.split"):
        data_files(tmp_path, data_patterns("test", None, None))
    with pytest.raises(DataError, match=r"train-00001-of-00002\.parquet: a part of the split is missing"):
        data_files(tmp_path, data_patterns("train", None, None))


def test_a_folder_of_save_to_disk_is_told_apart_from_files_with_rows(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({"train": Dataset.from_list([{"prompt": "a"}])}).save_to_disk(tmp_path)
    with pytest.raises(DataError, match=r"save_to_disk writes them \(train/data-00000-of-00001\.arrow\)\. Write it by"):
        data_files(tmp_path, data_patterns("train", None, None))
    (tmp_path / "train" / "real_estate.json").touch()
    assert data_files(tmp_path, data_patterns("train", None, None)) == [tmp_path / "train" / "real_estate.json"]


def test_what_is_not_cached_needs_the_network(cache: Path) -> None:
    said = r"policy\.path=owner/m@0123456789ab: not wholly in the local cache, and the hub .*policy\.path=DIR"
    with pytest.raises(ModelError, match=said):
        fetch("model", "owner/m", COMMIT, MODEL_FILES, "policy")


class Hub(BaseHTTPRequestHandler):
    """A hub of a few files, which can refuse, and break off in the middle of the second."""

    status: ClassVar[int] = 200
    code: ClassVar[str] = ""
    broken: ClassVar[bool] = False
    asked: ClassVar[list[str]] = []
    files: ClassVar[dict[str, bytes]] = {
        "data/train-00000-of-00002.jsonl": b'{"prompt": "first"}\n',
        "data/train-00001-of-00002.jsonl": b'{"prompt": "' + b"x" * 4000 + b'"}\n',
        "train.pkl": b"\x80pickle",
        "loader.py": b"raise SystemExit",
    }

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.asked.append(path)
        if self.status != 200:
            self._answer(b"{}", self.status, {"X-Error-Code": self.code} if self.code else {})
        elif "/resolve/" in path:
            name = path.split(f"/resolve/{COMMIT}/")[1]
            self._answer(self.files[name], 200, {"ETag": f'"{name.replace("/", "")}"', "X-Repo-Commit": COMMIT})
        elif "/tree/" not in path:
            self._answer(b"{}", 404, {})
        else:
            tree = [{"type": "file", "path": n, "size": len(c), "oid": n} for n, c in self.files.items()]
            self._answer(json.dumps(tree).encode(), 200, {"Content-Type": "application/json"})

    def _answer(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            cut = self.broken and "00001-of" in self.path
            self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


TRAIN = [name for name in Hub.files if name.endswith(".jsonl")]


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)  # the client waits between its attempts
    handler = type("Asked", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield handler
    server.shutdown()
    server.server_close()


def get(field: str = "data") -> Path:
    return fetch("dataset", NAME, COMMIT, data_patterns("train", None, None), field)


def test_only_the_splits_data_files_are_loaded_and_only_once(hub: type[Hub]) -> None:
    folder = get()
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == TRAIN
    assert not any(name in path for path in hub.asked for name in (".pkl", ".py"))
    hub.asked.clear()
    assert get() == folder
    assert not any("/resolve/" in path for path in hub.asked)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", r"data\.path=owner/prompts@0123456789ab: its owner has to grant you access.*HF_TOKEN"),
        (401, "GatedRepo", r"its owner has to grant you access, and a token.*data\.path=DIR"),
        (401, "RepoNotFound", r"no such dataset on the hub, or a private one.*Check the name.*data\.path=DIR"),
        (404, "RepoNotFound", r"no such dataset on the hub, or a private one"),
        (404, "RevisionNotFound", r"has no revision 0123456789abcdef.*Set data\.revision"),
    ],
)
def test_a_refusal_is_reported_in_one_line(hub: type[Hub], status: int, code: str, said: str) -> None:
    hub.status, hub.code = status, code
    with pytest.raises(DataError) as error:
        get()
    assert re.search(said, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_an_interrupted_download_is_reported_and_continued(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    hub.broken = True
    with pytest.raises(DataError, match=r"data\.path=owner/prompts@.*the download was interrupted.*same command"):
        get()
    with monkeypatch.context() as offline:
        offline.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(DataError, match=r"not wholly in the local cache, and the hub cannot be reached"):
            get()
    hub.broken = False
    folder = get()
    assert {name: (folder / name).read_bytes() for name in TRAIN} == {name: Hub.files[name] for name in TRAIN}


def test_one_file_is_loaded_and_only_once(hub: type[Hub]) -> None:
    path = fetch_file(NAME, COMMIT, TRAIN[0], "eval.outputs")
    assert path == snapshot_folder("dataset", NAME, COMMIT) / TRAIN[0]
    assert path.read_bytes() == Hub.files[TRAIN[0]]
    hub.asked.clear()
    assert fetch_file(NAME, COMMIT, TRAIN[0], "eval.outputs") == path
    assert hub.asked == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("EntryNotFound", r"eval\.outputs=owner/prompts@0123456789ab:x\.json: this revision has no such file.*=FILE"),
        ("RevisionNotFound", r"has no revision 0123456789abcdef.*Give eval\.outputs a commit"),
        ("GatedRepo", r"its owner has to grant you access.*eval\.outputs=FILE"),
    ],
)
def test_a_file_that_is_refused_is_reported_with_its_setting(hub: type[Hub], code: str, said: str) -> None:
    hub.status, hub.code = 403 if code == "GatedRepo" else 404, code
    with pytest.raises(DataError, match=said) as error:
        fetch_file(NAME, COMMIT, "x.json", "eval.outputs")
    assert "\n" not in str(error.value)


def test_an_unreachable_hub_is_reported(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"not wholly in the local cache, and the hub cannot be reached.*network"):
        get()
