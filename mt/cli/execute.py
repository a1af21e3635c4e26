"""The runs of a command, composed and checked: executed here, or handed to a launcher."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mt.cli.display import Display
from mt.cli.summary import print_summary
from mt.config.compose import Composed
from mt.config.run import RunConfig
from mt.errors import MutualTaughtError
from mt.methods.compile import CompiledRun, compile_run
from mt.running.alone import alone
from mt.running.checks import check, check_folders
from mt.running.comparison_table import print_findings
from mt.running.estimates import Estimates
from mt.running.execution import logged, quiet_libraries, run
from mt.running.exit_codes import exit_code
from mt.running.naming import run_folder, sweep_name
from mt.running.variants import duplicate_runs
from mt.runtime.terminal import print_line
from mt.workflow.leftovers import remove_drafts


def launch(runs: list[Composed], multirun: bool, console: Console, *, details: bool) -> int:
    """Run or submit what a command line spans; returns the exit status."""
    sweep = sweep_name(runs) if multirun else None
    if runs[0].config.launch.detached:
        from launch.submit import submit  # late: a run in this process needs nothing of it

        code = submit(runs, sweep, console)
        if not runs[0].config.launch.queued:
            _report_local(runs, sweep, console)
        return code
    compiled_runs = [compile_run(one.config) for one in runs]
    for one in compiled_runs:
        check(one, say=lambda line: dim(console, line))
    folders = [run_folder(one.config, sweep) for one in compiled_runs]
    if sweep is None:
        console.print(f"[bold]{folders[0].name}[/bold]")
        execute_run(compiled_runs[0], folders[0], console, details=details)
        return 0
    with alone(folders[0].parent, "sweep", lambda line: dim(console, line)):
        check_folders([(one.config, folder) for one, folder in zip(compiled_runs, folders, strict=True)])
        for line in duplicate_runs((one.config, one.plan) for one in compiled_runs):
            print_line(console, line, "yellow")
        return _execute_sweep(list(zip(compiled_runs, folders, strict=True)), sweep, console)


def _execute_sweep(runs: Sequence[tuple[CompiledRun, Path]], sweep: str, console: Console) -> int:
    """Execute the runs one after the other; what stops one of them stops no other."""
    finished, failed = list[Path](), list[MutualTaughtError]()
    for number, (one, folder) in enumerate(runs, start=1):
        console.print(f"[bold]{folder.name}[/bold]  run {number}/{len(runs)}")
        try:
            execute_run(one, folder, console, sweep)
            finished.append(folder)
        except MutualTaughtError as error:
            failed.append(error)
            print_line(console, f"{folder.name} failed: {error}", "red")
    if finished:
        print_findings(console, finished)
    _end(runs[0][0].config, runs[0][1].parent, "sweep ", console, f": {len(finished)} finished, {len(failed)} failed")
    return exit_code(failed[0]) if failed else 0


def _report_local(runs: Sequence[Composed], sweep: str | None, console: Console) -> None:
    """Write the reports of runs that ended in local jobs, and print where they lie."""
    folders = [run_folder(one.config, sweep) for one in runs]
    if sweep is None:
        return _end(runs[0].config, folders[0], "folder", console)
    for folder in folders:
        write_report([folder], folder / "report.html", console, say=False)
    return _end(runs[0].config, folders[0].parent, "sweep ", console)


def _end(config: RunConfig, folder: Path, kind: str, console: Console, how: str = "") -> None:
    """Print what the tracker has of a run or a sweep, its report, its folder, and how it ended."""
    print_tracking(console, config, folder)
    write_report([folder], folder / "report.html", console)
    print_line(console, f"{kind}   {folder}{how}")


def execute_run(
    one: CompiledRun, folder: Path, console: Console, sweep: str | None = None, *, details: bool = False
) -> None:
    """Execute one run with its display and tracker; its report is written however the run ends."""
    quiet_libraries()
    with alone(folder, "name", lambda line: dim(console, line)):
        check_folders([(one.config, folder)])
        remove_drafts(folder)
        try:
            with Display(console, Estimates.of_store(one.store)) as display:
                record = run(one, folder, [display], sweep)
        except MutualTaughtError:
            write_report([folder], folder / "report.html", console)
            raise
        if sweep is None:
            print_summary(console, record.facts, folder, record.facts["answers"].values(), details=details)
            print_tracking(console, one.config, folder)
        write_report([folder], folder / "report.html", console, say=sweep is None)


def print_tracking(console: Console, config: RunConfig, folder: Path) -> None:
    """Print where the tracker's files lie, and what to do with them."""
    if said := config.tracking.files(folder):
        print_line(console, f"tracking {said}")


def dim(console: Console, line: str) -> None:
    """Print a line that is not the answer."""
    print_line(console, line, "dim")


def write_report(folders: Sequence[Path], page: Path, console: Console, *, say: bool = True) -> None:
    """Write the report and print its path; a failure is printed and does not fail the run."""
    from analysis import report  # late: pandas and plotly take a second, when the run is over

    try:
        report.write(folders, page)
    except Exception as error:  # the run is finished: its record is worth more than its report
        with logged(page.parent):
            logging.getLogger("mt").warning("the report failed", exc_info=error)
        text = f"report   failed ({type(error).__name__}: {error})"
        print_line(console, text, "yellow")
        return
    if say:
        print_line(console, f"report   {page}")
