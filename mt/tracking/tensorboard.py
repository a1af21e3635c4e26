"""TensorBoard as a tracker: event files in the run's folder; look at them by `tensorboard --logdir runs`."""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mt.errors import MissingPackageError, describe
from mt.tracking.base import Reporting, RunInfo, TableValue
from mt.tracking.guard import Guarded


class TensorBoardTracking(Reporting):
    """TensorBoard's event files in the run's folder: `tensorboard --logdir runs` shows them."""

    def open(self, run: RunInfo, say: Callable[[str], None]) -> Guarded:
        """Return the tracker, the run introduced to it."""
        guarded = Guarded(self, say)
        guarded.start(TensorBoardTracker(), run)
        return guarded

    def files(self, folder: Path) -> str:
        """Return the command that shows them."""
        return f"tensorboard/ of the run's folder; tensorboard --logdir {shlex.quote(str(folder))} shows it"

    def check(self) -> None:
        """Raise MissingPackageError where TensorBoard is not installed."""
        if importlib.util.find_spec("tensorboard") is None:
            fix = "Install the extra: pip install 'mutual-taught[tensorboard]', or use tracking=wandb"
            raise MissingPackageError(describe("tracking", "tensorboard", "TensorBoard is not installed", fix=fix))


class TensorBoardTracker:
    """Writes scalars over their own steps, and tables as text; a resumed run adds a file to the same folder."""

    _writer: Any

    def start(self, run: RunInfo) -> None:
        """Open an event file in `<run>/tensorboard`, and show the run's settings."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / "tensorboard"), flush_secs=10)
        settings = json.dumps(run.config, indent=1, default=str)
        self._writer.add_text("run/settings", "\n".join(f"    {line}" for line in settings.splitlines()))

    def log(self, values: Mapping[str, float], axis: str, step: int) -> None:
        """Write values at a step; TensorBoard keeps no other axis."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[TableValue]], iteration: int | None
    ) -> None:
        """Write a table in Markdown."""
        lines = [columns, ["---"] * len(columns), *rows]
        self._writer.add_text(name, "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines), iteration)

    def finish(self, state: str, record: Path) -> None:
        """Write the run's state and close the file; the record lies beside it."""
        self._writer.add_text("run/state", state)
        self._writer.close()

    def give_up(self) -> None:
        """Do nothing: what is written stays, and no process is left."""


def _cell(value: TableValue) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", "<br>")
