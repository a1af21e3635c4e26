"""The lock of a run or a sweep: a second process on the same name is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from mt.errors import ConfigError, MutualTaughtError, describe, describe_os_error
from mt.runtime.lock import Held, Lock, Owner


def lock_of_folder(folder: Path) -> Lock:
    """Return the lock of the command that works on a run's or a sweep's folder."""
    return Lock(folder / ".driver")


@contextlib.contextmanager
def alone(
    folder: Path,
    field: str,
    say: Callable[[str], None] = lambda line: None,
    error: type[MutualTaughtError] = ConfigError,
) -> Iterator[None]:
    """Hold the lock of the folder that the setting `field` names; raises `error` while another process holds it.

    `say` is called where it takes a while to find out whether the owner on another machine is still alive.
    """

    def looking(owner: Owner) -> None:
        if not owner.is_here:
            say(f"{folder}: looking whether {owner} still works on it")

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock_of_folder(folder).hold(wait=False, waiting=looking))
        except Held as held:
            problem = f"another command is at work on it ({held.owner})"
            fix = f"Wait until it ends, or give another name ({field}=NAME)"
            raise error(describe(field, folder.name, problem, fix=fix)) from None
        except OSError as failure:
            if line := describe_os_error(failure, folder):
                raise error(line) from None
            problem = f"its file system takes no locks ({failure.strerror})"
            raise error(describe("runs", folder.parent, problem, fix="Set runs=DIR on one that does")) from None
        yield
