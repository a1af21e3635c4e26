"""What a user sees while a run goes on: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from mt.evaluation.formats import COUNT, ONE_DIGIT, SHARE, Format
from mt.running.estimates import Estimates
from mt.runtime.terminal import duration
from mt.runtime.text import counted
from mt.workflow.position import Position
from mt.workflow.stage import External, Stage
from mt.workflow.work import NullObserver

_PLAIN_SECONDS = 15.0  # between two lines of the same stage, where there is no terminal
_QUICK_SECONDS = 2.0  # a stage that takes less is shown when it is done, and not before
_SHOWN = {"loss": Format(4), "accuracy": SHARE, "margin": ONE_DIGIT, "tokens_per_second": COUNT}
"""The numbers of a training and how they are written; where there is no room for all, the last ones are dropped."""
_BAR = 24  # columns


class Display(NullObserver):
    """Progress of one run after another; `estimates` learn the stages' durations as they finish."""

    def __init__(self, console: Console, estimates: Estimates) -> None:
        self.console, self.estimates = console, estimates
        self.live: Live | None = None
        self._bars = Progress(
            TextColumn("  {task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=_BAR),
            TextColumn("{task.fields[amount]}  {task.fields[numbers]}"),
        )
        self._bar: Any = None
        self._missing: list[Stage] = []
        self._positions: Mapping[str, Position] = {}
        self._total = self._reused = self._computed = 0
        self._began = self._said = 0.0
        self._fraction = 0.0
        self._stage_began = 0.0
        self._inspecting = False

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4, transient=True)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()
        if self._computed and error is None:
            spent = duration(time.monotonic() - self._began)
            reused = self._total - self._computed
            self.say(f"{counted(self._computed, 'stage')} computed in {spent}, {reused:,} reused\n")

    def say(self, text: str) -> None:
        """Print a line above the live display."""
        self.console.print(text, highlight=False)

    def planned(self, order: list[Stage], missing: list[Stage], positions: Mapping[str, Position]) -> None:
        """Show how much there is to do."""
        self._missing, self._positions = list(missing), positions
        self._total, self._reused = len(order), len(order) - len(missing)
        self._began = time.monotonic()
        if missing:
            self.say(f"{len(missing):,} of {counted(self._total, 'stage')} to compute{self._remaining_text()}")
        else:
            self.say(f"everything is there already: {counted(self._reused, 'stage')} reused\n")

    def unneeded(self, stages: list[Stage]) -> None:
        """Count what is not computed any more neither as to do nor as reused."""
        keys = {stage.key for stage in stages}
        self._missing = [one for one in self._missing if one.key not in keys]
        self._total -= len(keys)
        self.say(f"not needed any more: {counted(len(keys), 'stage')}")

    def inspecting(self, stage: Stage) -> None:
        """Say once that models are being checked."""
        if not self._inspecting and isinstance(stage, External):
            self._inspecting = True
            self.say("checking models …")

    def started(self, stage: Stage) -> None:
        """Show the stage that runs now."""
        self._stage_began = self._said = time.monotonic()
        self._fraction = 0.0
        if self._bar is not None:
            self._bars.remove_task(self._bar)
        self._bar = self._bars.add_task(self._title(stage), total=None, amount="", numbers="")
        if not self.live and not 0 < self.estimates.of(stage.name) < _QUICK_SECONDS:  # 0: nobody knows
            self.say(f"· {self._title(stage)} …{self._remaining_text()}")

    def waiting(self, stage: Stage, owner: str) -> None:
        """Show the owner of a stage that we wait for."""
        self.say(f"  {self._title(stage)}: waiting for {owner}, which is computing it")

    def progress(self, stage: Stage, done: float, total: float, unit: str, numbers: dict[str, float]) -> None:
        """Move the bar."""
        self._fraction = done / total if total else 0.0
        amount = f"{done:,.0f}/{total:,.0f} {unit}"
        known = [
            f"{name.replace('_', ' ')} {form.text(numbers[name])}" for name, form in _SHOWN.items() if name in numbers
        ]
        beside = len(f"  {self._title(stage)} {amount}   ") + _BAR
        while self.live and known and beside + len(" ".join(known)) > self.console.width:
            known.pop()
        shown = " ".join(known)
        if self._bar is not None:
            self._bars.update(self._bar, completed=done, total=total, amount=amount, numbers=shown)
        now = time.monotonic()
        if not self.live and now - self._said > _PLAIN_SECONDS:
            self._said = now
            self.say(f"  {amount} {shown}{self._remaining_text()}")

    def note(self, stage: Stage | None, text: str) -> None:
        """Print a note."""
        self.console.print(Text(f"note: {text}", style="yellow"))

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """Print one line for what was computed; what was reused is only counted."""
        self._missing = [one for one in self._missing if one.key != stage.key]
        if facts is not None:
            self._computed += 1
            self.estimates.learn(stage.name, float(facts["seconds"]))
            place = "" if self.live else f"{self._total - len(self._missing)}/{self._total} "
            shown = f"{facts['seconds']:.1f} s{_shown(facts['counts'])}"
            self.say(f"✓ {place}{self._title(stage)}  [dim]{shown}[/dim]")
        if self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bar = None

    def failed(self, stage: Stage, error: BaseException) -> None:
        """Say which stage failed; an interruption is none's failure."""
        if not isinstance(error, KeyboardInterrupt):
            self.say(f"[red]✗ {self._title(stage)}[/red]")

    def _title(self, stage: Stage) -> str:
        place = str(self._positions.get(stage.key, ""))
        return " · ".join(filter(None, (place, stage.name.replace("_", " "))))

    def _render(self) -> Group:
        if not self._total:  # nothing is planned yet
            return Group(self._bars)
        done = self._total - len(self._missing)
        spent = duration(time.monotonic() - self._began)
        line = f"  stage {min(done + 1, self._total)}/{self._total}, {self._reused} reused, {spent} so far"
        line += self._remaining_text()
        return Group(self._bars, Text(line, style="dim"))

    def _remaining_text(self) -> str:
        seconds = self.estimates.remaining([stage.name for stage in self._missing])
        if seconds is None:
            return ""
        if self._fraction > 0.02:
            spent = time.monotonic() - self._stage_began
            seconds += spent * (1 - self._fraction) / self._fraction - self.estimates.of(self._missing[0].name)
        return f", about {duration(max(seconds, 1))} left"


def _shown(counts: Mapping[str, float]) -> str:
    """Return the counts that a user wants to see: what was lost, and how much there is."""
    lost = [name for name in counts if "dropped" in name or "truncated" in name]
    names = ("pairs", "prompts", *lost, "unfinished")
    return "".join(f", {counts[name]:,.0f} {name.replace('_', ' ')}" for name in names if counts.get(name))
