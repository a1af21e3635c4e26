"""Tokenising that the processes of a training share: each fits its part of the rows, and all read what all have fitted.

The token ids go through files of the scratch folder, which are mapped into memory: the processes of a node hold them
once, in four bytes each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from mt.engines.training.data import Fitted

Row = TypeVar("Row")


def fit_shared(
    rows: Sequence[Row], fit: Callable[[Row], Fitted | None], folder: Path, rank: int, world_size: int
) -> list[Fitted | None]:
    """Return what `fit` makes of every row; each of `world_size` processes calls it for its own rows."""
    write_share(folder, rank, [fit(row) for row in rows[rank::world_size]])
    torch.distributed.barrier()
    return read_shares(folder, world_size, len(rows))


def write_share(folder: Path, rank: int, fitted: Sequence[Fitted | None]) -> None:
    """Write what one process has fitted."""
    sequences = [sequence for row in fitted if row is not None for sequence in row[0]]
    ids = [np.asarray(ids, dtype=np.int32) for ids, _ in sequences]
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "sequences": np.array([0 if row is None else len(row[0]) for row in fitted], dtype=np.int32),
        "truncated": np.array([row is not None and row[1] for row in fitted], dtype=np.bool_),
        "lengths": np.array([len(one) for one in ids], dtype=np.int64),
        "counted": np.array([counted for _, counted in sequences], dtype=np.int64),
        "ids": np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32),
    }
    save_file(arrays, _file(folder, rank))


def read_shares(folder: Path, world_size: int, rows: int) -> list[Fitted | None]:
    """Return what all processes have fitted, in the order of the rows."""
    shares = [_read(_file(folder, rank)) for rank in range(world_size)]
    return [shares[row % world_size][row // world_size] for row in range(rows)]


def _read(file: Path) -> list[Fitted | None]:
    with safe_open(file, "pt") as opened:  # torch maps the file, numpy would copy it
        arrays = {name: opened.get_tensor(name).numpy() for name in opened.keys()}  # noqa: SIM118
    ends = arrays["lengths"].cumsum()
    spans = zip((ends - arrays["lengths"]).tolist(), ends.tolist(), arrays["counted"].tolist(), strict=True)
    sequences = ((arrays["ids"][start:end], counted) for start, end, counted in spans)
    rows = zip(arrays["sequences"].tolist(), arrays["truncated"].tolist(), strict=True)
    return [([next(sequences) for _ in range(count)], cut) if count else None for count, cut in rows]


def _file(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.safetensors"
