"""The lock of a sweep: one command at a time submits, resumes or cancels it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from mt.errors import LaunchError
from mt.running.alone import alone, lock_of_folder
from mt.runtime.lock import Owner


def driving(folder: Path) -> AbstractContextManager[None]:
    """Be the one command that submits, resumes or cancels a sweep; raises LaunchError while another one does."""
    return alone(folder, "sweep", error=LaunchError)


def driver(folder: Path) -> Owner | None:
    """Return the other process that submits, resumes or cancels the sweep just now, or None."""
    owner = lock_of_folder(folder).owner()
    return None if owner is None or (owner.is_here and owner.pid == os.getpid()) else owner
