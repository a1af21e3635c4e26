"""Lines that survive what cuts them short."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from launch import lines
from mt.errors import LaunchError


@dataclass(frozen=True)
class Row:
    name: str
    mark: tuple[int, float]


ROWS = [Row("a", (0, 0.5)), Row("ä\n", (1, 0.0))]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "rows.jsonl"
    assert lines.read(file, Row) == []
    for row in ROWS:
        lines.append(file, [asdict(row)])
    assert lines.read(file, Row) == ROWS


@pytest.mark.parametrize("cut", [b'{"name": "b", "ma', b'{"name": "\xc3', b"\0\0\0\0"])
def test_what_was_cut_short_harms_nothing_that_follows(tmp_path: Path, cut: bytes) -> None:
    file = tmp_path / "rows.jsonl"
    lines.append(file, [asdict(ROWS[0])])
    with file.open("ab") as broken:
        broken.write(cut)
    assert lines.read(file, Row) == ROWS[:1]
    lines.append(file, [asdict(ROWS[1])])
    assert lines.read(file, Row) == ROWS


def test_lines_of_something_else_are_told_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines.append(file, [{"name": 3}])
    with pytest.raises(LaunchError, match=r"rows\.jsonl: cannot be read \(name: Input should be a valid string"):
        lines.read(file, Row)
