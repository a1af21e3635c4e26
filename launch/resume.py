"""`python -m launch.resume SWEEP`: submit what is neither published nor under way, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, chdir
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console
from yaml import YAMLError

from launch import cli, slurm
from launch.submit import dispatch, due
from launch.survey import SweepStatus, survey
from launch.sweep import Sweep, driving, load, read_configs, save, write_configs
from launch.view import as_data
from launch.work import Planned, plan_run, planner, select
from mt.config.launch import DetachedLaunch
from mt.errors import LaunchError, describe, nearest
from mt.runtime.terminal import terminal


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser(
        "resume",
        "Submit the jobs of a sweep that are neither done nor under way: after a failure was fixed, a cancel, "
        "or an interrupted submission. Published stages are never computed again.",
    )
    parser.add_argument("sweep", help="the sweep")
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings of launch, and such that change no result, from now on",
    )
    return cli.main(_resume, parser, arguments)


def _resume(arguments: argparse.Namespace, console: Console) -> int:
    folder = cli.sweep_folder(arguments.runs, arguments.sweep).absolute()
    said = terminal(stderr=True) if arguments.json else console
    with driving(folder), _where_submitted(before := load(folder)):
        if before.launch.queued:
            slurm.check_commands()
        code, status = 0, survey(folder, before, strict=True)
        if status.finished:
            said.print(f"{folder.name}: everything is done already")
        else:
            own = [change for change in arguments.changes if change.startswith("launch.")]
            others = [change for change in arguments.changes if change not in own]
            sweep = before.model_copy(update={"launch": changed(before.launch, own)})
            _check_plans(folder, sweep, status)
            if others:
                write_configs(folder, _changed_runs(folder, sweep, others))
            code = _dispatch(folder, before, sweep, said)
    if arguments.json:
        cli.print_json(as_data(survey(folder, load(folder))))
    return code


def _where_submitted(sweep: Sweep) -> AbstractContextManager[None]:
    """Work in the folder that the sweep was submitted from, where its relative paths and own classes start."""
    if not Path(sweep.cwd).is_dir():
        problem = f"the folder that it was submitted from is gone ({sweep.cwd})"
        raise LaunchError(describe("sweep", sweep.name, problem, fix="Bring it back"))
    return chdir(sweep.cwd)


def _dispatch(folder: Path, before: Sweep, sweep: Sweep, console: Console) -> int:
    """Submit under the new settings, which stay only if the scheduler takes them."""
    save(folder, sweep)
    try:
        return dispatch(folder, console)
    except slurm.SubmissionRefused:
        save(folder, before)
        raise


def _check_plans(folder: Path, sweep: Sweep, status: SweepStatus) -> None:
    """Refuse here what the jobs would refuse on their nodes: stages that the code does not plan any more."""
    plans: dict[str, Planned] = {}
    for job in due(sweep, status)[0]:
        run = job.runs[0]
        plans[run] = plans.get(run) or plan_run(sweep, folder, run)
        select(sweep, job, plans[run].plan)


def changed(launch: DetachedLaunch, changes: Sequence[str]) -> DetachedLaunch:
    """Return launch settings with changes ("launch.KEY=VALUE"); raises LaunchError for what cannot be one."""
    try:
        return type(launch).model_validate(_merged({"launch": launch.model_dump()}, changes)["launch"])
    except ValidationError as error:
        raise LaunchError(_invalid(error.errors()[0], ["launch"], [f"launch.{key}" for key, _ in launch])) from None


def _changed_runs(folder: Path, sweep: Sweep, changes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the runs' configurations with changes that leave their stages as they are, such as a judge's limit."""
    found = {}
    for run, values in read_configs(folder).items():
        found[run] = _merged(values, changes)
        try:
            new = planner(sweep.planner)(found[run]).plan
        except ValidationError as error:
            raise LaunchError(_invalid(error.errors()[0], [], [])) from None
        if [stage.key for stage in new.order] != [stage.key for stage in plan_run(sweep, folder, run).plan.order]:
            fix = "What is computed stays as submitted; submit another sweep for other results"
            raise LaunchError(describe("changes", " ".join(changes), f"the results of {run} would change", fix=fix))
    return found


def _merged(values: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    for change in changes:
        if "=" not in change:
            raise LaunchError(describe("changes", change, "not a change", allowed="KEY=VALUE"))
    try:
        merged: Any = OmegaConf.to_container(OmegaConf.merge(dict(values), OmegaConf.from_dotlist(list(changes))))
    except (YAMLError, OmegaConfBaseException) as error:
        words = " ".join(str(error).split())
        raise LaunchError(describe("changes", " ".join(changes), f"not a value ({words})")) from None
    return dict(merged)


def _invalid(first: ErrorDetails, above: Sequence[str], known: Sequence[str]) -> str:
    if first["type"] == "value_error":  # one of ours, which says everything
        return str(first["ctx"]["error"])
    path = ".".join([*above, *map(str, first["loc"])])
    if first["type"] == "extra_forbidden":
        return describe(path, first["input"], "no such setting") + nearest(path, known)
    return describe(path, first["input"], first["msg"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
