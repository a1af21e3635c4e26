"""What a command spends on judgments: one ledger for all its stages, processes and reruns, and the limit it keeps."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from mt.errors import JudgeError, describe
from mt.runtime.jsonl import JsonLines
from mt.runtime.lock import Lock, Owner

LEDGER = "ledger"
"""Folder beside the judgments."""
_PROVEN = 10
"""Questions paid after which their dearest one, and not the most that one can cost, tells what to set aside."""
_SILENT_S = 3600.0
"""Silence after which the questions of a process on another machine count as abandoned."""
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of a process: who it is, the most that a question it begins to ask can cost, or what one did cost."""

    question: int = 0
    most: float | None = None
    usd: float | None = None
    calls: int = 0
    lost: int = 0
    """Calls that were made and whose replies never arrived: they may have been paid."""
    owner: Owner | None = None
    command: str = ""


class _Account:
    """What one process wrote so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.owner: Owner | None = None
        self.open: dict[int, float] = {}
        self.usd, self.calls, self.lost, self.paid, self.dearest = 0.0, 0, 0, 0, 0.0
        self.most_lost = 0.0
        """The most that the lost calls can have cost: a question is asked twice at most."""
        self._lines = JsonLines[_Entry](path, _Entry, refuse="damaged", error=JudgeError)

    def update(self) -> None:
        """Read what was added since the last time."""
        for entry in self._lines.follow():
            self.owner = entry.owner or self.owner
            if entry.most is not None:
                self.open[entry.question] = entry.most
            elif entry.usd is not None:
                most = self.open.pop(entry.question, 0.0)
                self.usd, self.calls, self.lost = self.usd + entry.usd, self.calls + entry.calls, self.lost + entry.lost
                self.most_lost += entry.lost * most / 2
                if most and entry.calls:
                    self.paid, self.dearest = self.paid + 1, max(self.dearest, entry.usd / most)

    @property
    def is_abandoned(self) -> bool:
        """Whether the process has ended; one on another machine is only known to be silent."""
        if self.owner is None or self.owner.is_dead:
            return True
        return not self.owner.is_here and time.time() - self.path.stat().st_mtime > _SILENT_S


class Ledger:
    """Money that a command (a run, or a sweep with all its jobs) spends on judgments.

    Each process appends to a file of its own and reads everybody's. Under a limit a question is asked only once what
    it can cost is set aside, under a lock that all processes share: only questions under way that cost more than any
    before can pass the limit. What questions cost in relation to their estimates scales what is set aside: up at
    once, down after ten. Calls whose replies were lost, and questions whose process ended, count as average ones, or
    as the most that they can cost where no reply ever arrived.
    Threads may settle.
    """

    def __init__(self, folder: Path, command: str, limit_usd: float | None) -> None:
        """Read what the command has spent so far; raises JudgeError where a line is damaged."""
        self.folder = folder / hashlib.sha256(command.encode("utf-8", "surrogateescape")).hexdigest()[:20]
        self.command, self.limit_usd = command, limit_usd
        self._lock = Lock(self.folder / "lock")
        self._numbers = count(1)
        self._accounts: dict[Path, _Account] = {}
        self._owner = Owner.me()
        self._own, self._begun = self._new_file(), False
        self._update()

    @property
    def spent(self) -> float:
        """Dollars spent, with those for lost replies and abandoned questions: the most, until a call was answered."""
        accounts = self._accounts.values()
        abandoned = [most for one in accounts if one.open and one.is_abandoned for most in one.open.values()]
        paid, calls = sum(one.usd for one in accounts), sum(one.calls for one in accounts)
        if not calls:
            return paid + sum(one.most_lost for one in accounts) + sum(abandoned)
        return paid + (sum(one.lost for one in accounts) + len(abandoned)) * paid / calls

    def reserve(self, most: Sequence[float], *, wait: bool) -> list[int]:
        """Set aside what questions can cost (dollars), and return the numbers of the first ones that may be asked.

        With `wait` none may be only where the money is spent: what other processes have set aside is waited for.
        """
        while True:
            with self._lock.hold() if self.limit_usd is not None else nullcontext():
                self._update()
                granted, in_use = self._granted(most)
                numbers = [next(self._numbers) for _ in granted]
                if numbers:
                    self._append(*(_Entry(number, usd) for number, usd in zip(numbers, granted, strict=True)))
            if numbers or not (wait and in_use):
                return numbers
            time.sleep(_POLL_S)

    def settle(self, question: int, usd: float, calls: int, lost: int) -> None:
        """Replace what was set aside by what was spent in so many calls, of which others were lost."""
        self._append(_Entry(question, usd=usd, calls=calls, lost=lost))

    def refuse_hopeless(self, least_usd: float) -> None:
        """Raise `JudgeError` before the first call where the prompts alone cost more than is left."""
        if self.limit_usd is not None and self.spent + least_usd > self.limit_usd:
            problem = f"${self.spent:.2f} are spent, and the prompts alone cost about ${least_usd:.2f}"
            fix = "Raise it, or judge fewer prompts"
            raise JudgeError(describe("judge.limit_usd", self.limit_usd, problem, fix=fix))

    def exhausted(self) -> JudgeError:
        """Return the error that says where it stopped."""
        problem = f"${self.spent:.2f} are spent and the next call could pass the limit; what was answered is kept"
        return JudgeError(describe("judge.limit_usd", self.limit_usd, problem, fix="Raise it and run again to go on"))

    def close(self) -> None:
        """Give back what was set aside and never asked for; called once no question is under way any more."""
        self._update()
        for one in self._accounts.values():
            if one.owner is not None and one.owner.token == self._owner.token:
                for question in one.open:
                    self.settle(question, 0.0, 0, 0)
        self._own.close()

    def _granted(self, most: Sequence[float]) -> tuple[list[float], bool]:
        """Return the estimates of the questions that the limit allows, and whether others set money aside."""
        accounts = self._accounts.values()
        living = [one for one in accounts if one.open and not one.is_abandoned]
        dearest = max((one.dearest for one in accounts), default=0.0)
        scale = dearest if sum(one.paid for one in accounts) >= _PROVEN else max(1.0, dearest)
        free = float("inf") if self.limit_usd is None else self.limit_usd - self.spent
        free -= scale * sum(sum(one.open.values()) for one in living)
        granted = []
        for usd in most:
            free -= scale * usd
            if free < 0:
                break
            granted.append(usd)
        return granted, any(one.owner is not None and one.owner.token != self._owner.token for one in living)

    def _update(self) -> None:
        for path in self.folder.glob("*.jsonl"):
            self._accounts.setdefault(path, _Account(path)).update()

    def _append(self, *entries: _Entry) -> None:
        first = [] if self._begun else [_Entry(owner=self._owner, command=self.command)]
        try:
            self._own.append(*map(asdict, [*first, *entries]))
            self._begun = True
        except OSError:  # a full disk: what it cut off has to stay at a file's end
            self._own.close()
            self._own, self._begun = self._new_file(), False
            raise

    def _new_file(self) -> JsonLines[Any]:
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        return JsonLines(self.folder / name, sync=True)
