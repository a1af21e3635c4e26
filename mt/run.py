"""The main command: compose the runs of a command line, check them, execute them, report.

python -m mt.run                                  Mutual-Taught in the synthetic world
python -m mt.run -m objective=dpo,ipo seed=0,1    a sweep; shared stages are computed once
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console

from mt.cli.arguments import parse
from mt.config.compose import compose_runs, partial_settings
from mt.running.exit_codes import exit_status_of
from mt.running.naming import DETAILS
from mt.runtime.terminal import terminal

_FLAGS = {DETAILS: "shows more metrics when the run has ended; the report has all"}


class _Console(Console):
    """A console whose reader may have read enough, as `head` does."""

    def on_broken_pipe(self) -> None:
        """Interrupt the run, as Ctrl-C does: its record says so, and the same command continues it."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise KeyboardInterrupt from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    console = terminal(kind=_Console)

    def command() -> int:
        parsed = parse(sys.argv[1:] if arguments is None else arguments, "python -m mt.run", _FLAGS)
        if parsed is None:
            return 0
        from mt.cli.execute import dim, launch  # late: help and --cfg need nothing of a run

        runs = compose_runs(parsed.overrides, multirun=parsed.multirun, path=parsed.path)
        for line in partial_settings(runs):
            dim(console, line)
        return launch(runs, parsed.multirun, console, details=DETAILS in parsed.flags)

    return exit_status_of(command)


if __name__ == "__main__":
    sys.exit(main())
