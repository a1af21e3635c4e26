"""Checkpoints in the scratch folder: when they are taken, which one is whole, and whether it may be continued."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import transformers

from mt.errors import EngineError, describe
from mt.workflow.store import recall, sha256, write_json

CHECKPOINTS, LAYOUT, WHOLE = "checkpoints", "layout.json", "whole"
MODELS = "models"
"""Where a training that publishes several models keeps those it has: beside its checkpoints, from which it goes on."""
KEPT = 2
"""The newest checkpoint, and the one before it in case the newest was cut short."""


def checkpoint_folder(scratch: Path, layout: dict[str, Any]) -> Path:
    """Return the folder of checkpoints; `layout` says how they were written (devices, sharding, versions).

    Raises `EngineError` where checkpoints of another layout lie there: they cannot be continued.
    """
    folder = scratch / CHECKPOINTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LAYOUT
    layout = {**layout, "torch": torch.__version__, "transformers": transformers.__version__}
    found = recall(path) or layout
    different = sorted(name for name in layout if found.get(name) != layout[name])
    if different and newest(folder):
        name = different[0]
        problem = f"was {found.get(name)} when the training in {folder} was interrupted"
        fix = "Set it back, or remove that folder to start anew"
        raise EngineError(describe(name, layout[name], problem, fix=fix))
    write_json(path, layout)  # in one step: every process writes it, and reads what another one wrote
    return folder


def newest(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{WHOLE}")]
    return max(whole, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def seal(checkpoint: Path) -> None:
    """Mark a checkpoint that is written to its end, by the checksums of its files."""
    write_json(checkpoint / WHOLE, _checksums(checkpoint))


def drop_damaged(scratch: Path) -> list[str]:
    """Remove the newest checkpoints until one is as it was sealed, and return the names of those removed.

    All go where it cannot be read any more how they were written.
    """
    folder, dropped = scratch / CHECKPOINTS, list[str]()
    known = recall(folder / LAYOUT)
    while (checkpoint := newest(folder)) and not (known and recall(checkpoint / WHOLE) == _checksums(checkpoint)):
        shutil.rmtree(checkpoint)
        dropped.append(checkpoint.name)
    return dropped


def _checksums(checkpoint: Path) -> dict[str, str]:
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != WHOLE)
    with ThreadPoolExecutor() as pool:  # hashing holds no other thread up, and checkpoints are large
        found = list(pool.map(sha256, files))
    return dict(zip((str(path.relative_to(checkpoint)) for path in files), found, strict=True))


class Clock:
    """Decides when the next checkpoint is due; the first device decides for all."""

    def __init__(self, minutes: float, devices: int, device: torch.device) -> None:
        self.seconds, self.devices, self.device = minutes * 60, devices, device
        self.last = time.monotonic()

    def due(self) -> bool:
        """Return whether a checkpoint is due now."""
        answer = time.monotonic() - self.last >= self.seconds
        if self.devices > 1:
            flag = torch.tensor(int(answer), device=self.device)
            torch.distributed.broadcast(flag, src=0)
            answer = bool(flag.item())
        return answer

    def taken(self) -> None:
        """Note that one was taken."""
        self.last = time.monotonic()
