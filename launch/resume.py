"""`python -m launch.resume SWEEP`: submit what is neither published nor under way, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console
from yaml import YAMLError

from launch import cli, slurm
from launch.driver import driving
from launch.submit import dispatch, due
from launch.survey import SweepStatus, survey
from launch.sweep import Sweep, load, save
from launch.view import as_data
from launch.work import Planned, plan_run, select
from mt.config.launch import LaunchConfig
from mt.errors import LaunchError, describe, nearest


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser(
        "resume",
        "Submit the jobs of a sweep that are neither done nor under way: after a failure was fixed, a cancel, "
        "or an interrupted submission. Published stages are never computed again.",
    )
    parser.add_argument("sweep", help="the sweep")
    parser.add_argument("changes", nargs="*", metavar="launch.KEY=VALUE", help="other settings from now on")
    return cli.main(_resume, parser, arguments)


def _resume(arguments: argparse.Namespace, console: Console) -> int:
    folder = cli.sweep_folder(arguments.runs, arguments.sweep).absolute()
    said = Console(stderr=True) if arguments.json else console
    with driving(folder):
        before = load(folder)
        if before.launch.name == "slurm":
            slurm.check_commands()
        code, status = 0, survey(folder, before, strict=True)
        if status.finished:
            said.print(f"{folder.name}: everything is done already")
        else:
            sweep = before.model_copy(update={"launch": changed(before.launch, arguments.changes)})
            _check_plans(folder, sweep, status)
            code = _dispatch(folder, before, sweep, said)
    if arguments.json:
        cli.print_json(as_data(survey(folder, load(folder))))
    return code


def _dispatch(folder: Path, before: Sweep, sweep: Sweep, console: Console) -> int:
    """Submit under the new settings, which stay only if the scheduler takes them."""
    save(folder, sweep)
    try:
        return dispatch(folder, console)
    except slurm.Refused:
        save(folder, before)
        raise


def _check_plans(folder: Path, sweep: Sweep, status: SweepStatus) -> None:
    """Refuse here what the jobs would refuse on their nodes: stages that the code does not plan any more."""
    plans: dict[str, Planned] = {}
    for job in due(sweep, status)[0]:
        run = job.runs[0]
        plans[run] = plans.get(run) or plan_run(sweep, folder, run)
        select(sweep, sweep.job[job.name], plans[run].plan)


def changed(launch: LaunchConfig, changes: Sequence[str]) -> LaunchConfig:
    """Return launch settings with changes ("launch.KEY=VALUE"); raises LaunchError for what cannot be one."""
    for change in changes:
        if not change.startswith("launch.") or "=" not in change:
            mend = "What is computed stays as submitted; submit another sweep for other results"
            raise LaunchError(describe("changes", change, "only launch.KEY=VALUE can change", mend=mend))
    try:
        merged = OmegaConf.merge({"launch": launch.model_dump()}, OmegaConf.from_dotlist(list(changes)))
        return type(launch).model_validate(OmegaConf.to_container(merged.launch))
    except (YAMLError, OmegaConfBaseException) as error:
        words = " ".join(str(error).split())
        raise LaunchError(describe("changes", " ".join(changes), f"not a value ({words})")) from None
    except ValidationError as error:
        raise LaunchError(_invalid(error.errors()[0], launch)) from None


def _invalid(first: ErrorDetails, launch: LaunchConfig) -> str:
    if first["type"] == "value_error":  # one of ours, which says everything
        return str(first["ctx"]["error"])
    path = ".".join(["launch", *map(str, first["loc"])])
    if first["type"] == "extra_forbidden":
        return describe(path, first["input"], "no such setting") + nearest(path, [f"launch.{key}" for key, _ in launch])
    return describe(path, first["input"], first["msg"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
