"""A reader of W&B's offline files, to see what they really contain.

A file is a sequence of 32 KiB blocks in LevelDB's log format (a 7-byte header of its own in front): records are cut
into chunks of (crc32, length, kind), and each whole record is a protocol buffer of wandb.proto.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

_BLOCK, _HEADER = 32768, struct.Struct("<IHB")
_FULL, _FIRST, _LAST = 1, 2, 4


@dataclass
class OfflineRun:
    """What one offline file says."""

    run_id: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    resumed: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    axes: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None

    def column(self, name: str) -> list[Any]:
        """Return the logged values of a metric in order."""
        return [row[name] for row in self.history if name in row]


def read_offline(folder: Path) -> list[OfflineRun]:
    """Return the attempts that a run's folder holds, in order of their start."""
    return [_run(path) for path in sorted(folder.glob("wandb/*run-*/*.wandb"))]


def raw_bytes(folder: Path) -> bytes:
    """Return everything below a run's `wandb` folder in one string of bytes."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("wandb/**/*")) if path.is_file())


def _run(path: Path) -> OfflineRun:
    found = OfflineRun()
    for record in _records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            _introduce(found, record.run)
        elif kind == "config":
            _update(found.config, record.config.update)
        elif kind == "summary":
            _update(found.summary, record.summary.update)
        elif kind == "history":
            found.history.append({_name(item): json.loads(item.value_json) for item in record.history.item})
        elif kind == "files":
            found.files += [item.path for item in record.files.files]
        elif kind == "metric":
            found.axes[record.metric.glob_name or record.metric.name] = record.metric.step_metric
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def _introduce(found: OfflineRun, run: Any) -> None:
    found.run_id, found.project, found.name = run.run_id, run.project, run.display_name
    found.group, found.job_type, found.tags = run.run_group, run.job_type, list(run.tags)
    found.resumed = run.resume
    _update(found.config, run.config.update)


def _update(target: dict[str, Any], items: Any) -> None:
    for item in items:
        target[_name(item)] = json.loads(item.value_json)


def _name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _records(path: Path) -> Iterator[Any]:
    data, position, parts = path.read_bytes(), 7, []
    assert data[:4] == b":W&B", f"{path} is no W&B file"
    while position + _HEADER.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        crc, size, kind = _HEADER.unpack_from(data, position)
        chunk = data[position + _HEADER.size : position + _HEADER.size + size]
        position += _HEADER.size + size
        assert zlib.crc32(bytes([kind]) + chunk) == crc, f"{path}: damaged at {position}"
        parts = [chunk] if kind in (_FULL, _FIRST) else [*parts, chunk]
        if kind in (_FULL, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            yield record
