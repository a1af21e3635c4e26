"""The one command at a time that submits, resumes or cancels a sweep, and who it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mt.errors import LaunchError, describe
from mt.runtime.lock import Held, Lock, Owner


@contextlib.contextmanager
def driving(folder: Path) -> Iterator[None]:
    """Be the one command that submits, resumes or cancels a sweep; raises LaunchError while another one does."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_lock(folder).hold(wait=False))
        except Held as held:
            problem = f"another command is at work on it ({held.owner})"
            raise LaunchError(describe("sweep", folder.name, problem, mend="Wait until it ends")) from None
        except OSError as error:
            problem = f"its file system takes no locks ({error.strerror})"
            raise LaunchError(describe("runs", folder.parent, problem, mend="Set runs=DIR on one that does")) from None
        yield


def driver(folder: Path) -> Owner | None:
    """Return the other process that submits, resumes or cancels the sweep just now, or None."""
    owner = _lock(folder).owner()
    return None if owner is None or (owner.is_here and owner.pid == os.getpid()) else owner


def _lock(folder: Path) -> Lock:
    return Lock(folder / ".driver")
