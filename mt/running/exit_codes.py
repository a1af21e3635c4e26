"""How a command ends: its exit status, and one line for whatever stopped it."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import sys
from collections.abc import Callable
from typing import NoReturn

from mt.errors import ConfigError, MutualTaughtError, UnexpectedError, describe_os_error
from mt.runtime.interruption import SAID, STATUS, Interrupted, StopRequest, heed_no_more, interruptible
from mt.runtime.terminal import print_line, terminal


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors of this project, in one line; it parses inside `exit_status_of`."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError."""
        raise ConfigError(f"{message}. {self.prog} --help shows what can be given")


def say(text: str) -> None:
    """Print a line on the standard error stream."""
    print_line(terminal(stderr=True), text, "red")


def exit_status_of(command: Callable[[], int], report: Callable[[str], None] = say) -> int:
    """Run a command and return its exit status; what the user can fix, or stopped, is reported in one line.

    It ends quietly where the reader of its standard output has closed it, as `head` does.
    """
    request = StopRequest()
    try:
        with interruptible() as request:
            status = command()
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
    except BaseException as error:
        if request.made or isinstance(error, Interrupted):
            heed_no_more()
        asked = request.made and not isinstance(error, Interrupted)
        return _reported(Interrupted(SAID) if asked else error, report)


def _reported(error: BaseException, report: Callable[[str], None]) -> int:
    """Report an error and return the exit status; a defect is raised again."""
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return 1
    known = isinstance(error, MutualTaughtError | KeyboardInterrupt)
    line = (str(error) or SAID) if known else describe_os_error(error, "a file")
    if line is None or not (known or isinstance(error, OSError)):
        raise error
    with contextlib.suppress(OSError):  # after SIGHUP there may be no terminal to say it on
        report(" ".join(line.splitlines()))
    return exit_code(error) if known else 2


def _reader_is_gone() -> bool:
    """Return whether the reader of the standard output is gone; the rest of the buffer is then discarded."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # errors are reported whatever is asked for
    gone = bool(output.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def exit_code(error: BaseException) -> int:
    """Return the process's exit status for an error: 130 after an interruption, 2 for the user, 1 for a defect."""
    if isinstance(error, KeyboardInterrupt):
        return STATUS
    return 1 if isinstance(error, UnexpectedError) else 2
