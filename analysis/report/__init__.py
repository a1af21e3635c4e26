"""The report: a run, or several compared, as one self-contained page (`python -m analysis.report RUN… -o FILE`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mt.workflow.store import write_text


def write(run_folders: Sequence[Path], output: Path) -> Path:
    """Write the page of one run, or of several compared, to `output`; returns it.

    Raises DataError when a folder holds no record, or one of another version.
    """
    from analysis.report.page import render
    from analysis.report.record import load_runs

    page = render(load_runs(run_folders))
    write_text(output, page.encode("utf-8", "replace").decode("utf-8"))
    return output
