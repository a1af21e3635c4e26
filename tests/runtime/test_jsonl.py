"""JSON lines: rows survive kills and full disks, and a damaged line harms no other."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from mt.errors import DataError
from mt.runtime.jsonl import Journal, JsonLines


@dataclass(frozen=True)
class Row:
    name: str
    mark: tuple[int, float]


ROWS = [Row("a", (0, 0.5)), Row("ä\n\ud800", (1, 0.0))]  # half a character, as models do write


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "rows.jsonl"
    assert list(JsonLines(file, Row).read()) == []
    for row in ROWS:
        with JsonLines(file, Row, sync=True) as lines:
            lines.append(asdict(row))
    assert list(JsonLines(file, Row).read()) == ROWS
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"name": "a", "mark": [0, 0.5]},
        {"name": "ä\n\ud800", "mark": [1, 0.0]},
    ]


def test_rows_are_there_however_their_process_ends(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from mt.runtime.jsonl import JsonLines\n"
        "lines = JsonLines(Path(sys.argv[1]))\n"
        "lines.append([1], [2]); lines.append([3]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "rows")], check=False)
    assert list(JsonLines(tmp_path / "rows").read()) == [[1], [2], [3]]


CUT = [b'{"name": "b", "ma', b'{"name": "\xc3', b"\0\0\0\0", b"[" * 100_000]


@pytest.mark.parametrize("cut", CUT)
def test_what_was_cut_short_harms_nothing_that_follows(tmp_path: Path, cut: bytes) -> None:
    file = tmp_path / "rows.jsonl"
    JsonLines(file).append(asdict(ROWS[0]))
    with file.open("ab") as broken:
        broken.write(cut)
    assert list(JsonLines(file, Row, refuse="damaged").read()) == ROWS[:1]
    JsonLines(file).append(asdict(ROWS[1]))
    assert list(JsonLines(file, Row, refuse="foreign").read()) == ROWS
    with pytest.raises(DataError, match=r"rows\.jsonl line 2: cannot be read \(not JSON: .*Delete the line"):
        list(JsonLines(file, Row, refuse="damaged").read())


def test_a_full_disk_names_the_file_and_costs_the_cut_row_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [25]

    class Disk(io.FileIO):
        def write(self, data: Any) -> int:
            if not room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = super().write(data[: room[0]]) or 0
            room[0] -= written
            return written

    monkeypatch.setattr("mt.runtime.jsonl.io.FileIO", Disk)
    lines = JsonLines(tmp_path / "rows")
    lines.append({"row": "0123456"})  # 19 bytes with the end of the line
    with pytest.raises(OSError, match="No space left") as caught:
        lines.append({"row": "lost"})
    assert caught.value.filename == str(tmp_path / "rows")
    room[0] = 1000
    lines.append({"row": "next"})
    assert list(JsonLines(tmp_path / "rows").read()) == [{"row": "0123456"}, {"row": "next"}]


def test_rows_of_another_kind_are_refused_or_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    JsonLines(file).append({"name": 3, "mark": [0, 1]}, 7, asdict(ROWS[0]))
    assert list(JsonLines(file, Row).read()) == ROWS[:1]
    for refuse in ("foreign", "damaged"):
        problem = r"rows\.jsonl line 1: cannot be read \(name: Input should be a valid string"
        with pytest.raises(DataError, match=problem):
            list(JsonLines(file, Row, refuse=refuse).read())  # type: ignore[arg-type]


def test_a_growing_file_is_followed_by_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    following = JsonLines(file)
    assert list(following.follow()) == []
    with file.open("w") as writer:
        for text, expected in (('[1]\n[2]\n["ä', [[1], [2]]), ('b"]', []), ("\n", [["äb"]]), ("", [])):
            writer.write(text)
            writer.flush()
            assert list(following.follow()) == expected
    assert list(following.read()) == [[1], [2], ["äb"]]


def test_processes_and_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    code = (
        "import sys; from pathlib import Path; from mt.runtime.jsonl import JsonLines\n"
        "lines = JsonLines(Path(sys.argv[1]))\n"
        "for number in range(300): lines.append([sys.argv[2], number, 'x' * 3000])"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, str(file), name]) for name in "ab"]
    shared = JsonLines(file)
    threads = [
        threading.Thread(target=lambda at=at: [shared.append([at, number, "x" * 3000]) for number in range(100)])
        for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait() for other in others] == [0, 0]
    rows = [row[:2] for row in JsonLines(file, refuse="damaged").read()]
    for name, count in [("a", 300), ("b", 300), *((at, 100) for at in range(4))]:
        assert [number for one, number in rows if one == name] == list(range(count))


def test_a_journal_knows_what_is_done(tmp_path: Path) -> None:
    with Journal(tmp_path / "items.jsonl") as journal:
        journal.append({"item": 1})
        assert journal.items == [{"item": 1}]
    with (tmp_path / "items.jsonl").open("a") as file:
        file.write('{"item": 2')
    with Journal(tmp_path / "items.jsonl") as journal:
        assert journal.items == [{"item": 1}]
        journal.append({"item": 3})
    assert Journal(tmp_path / "items.jsonl").items == [{"item": 1}, {"item": 3}]
