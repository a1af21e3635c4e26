"""`python -m launch.resume SWEEP`: submit what is neither published nor under way, and nothing else."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from omegaconf import OmegaConf
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from launch import cli, slurm
from launch.states import survey
from launch.submit import dispatch
from launch.sweep import driving, load, save
from launch.view import as_data
from mt.config.launch import LaunchConfig
from mt.errors import LaunchError, describe


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser(
        "resume",
        "Submit the jobs of a sweep that are neither done nor under way: after a failure was mended, a cancel, "
        "or an interrupted submission. Published stages are never computed again.",
    )
    parser.add_argument("sweep", help="the sweep")
    parser.add_argument("changes", nargs="*", metavar="launch.KEY=VALUE", help="other settings from now on")
    return cli.main(_resume, parser.parse_args(arguments))


def _resume(arguments: argparse.Namespace, console: Console) -> int:
    folder = cli.sweep_folder(arguments.runs, arguments.sweep).absolute()
    said = Console(stderr=True) if arguments.json else console
    with driving(folder):
        _change(folder, arguments.changes)
        if load(folder).launch.name == "slurm":
            slurm.check_commands()
        code = 0
        if survey(folder, load(folder)).finished:
            said.print(f"{folder.name}: everything is done already")
        else:
            code = dispatch(folder, said)
    if arguments.json:
        cli.print_json(as_data(survey(folder, load(folder))))
    return code


def _change(folder: Path, changes: list[str]) -> None:
    if not changes:
        return
    foreign = [change for change in changes if not change.startswith("launch.") or "=" not in change]
    if foreign:
        mend = "What is computed stays as submitted; submit another sweep for other results"
        raise LaunchError(describe("changes", foreign[0], "only launch.KEY=VALUE can change", mend=mend))
    sweep = load(folder)
    given = {"launch": sweep.launch.model_dump()}
    merged = OmegaConf.merge(given, OmegaConf.from_dotlist(changes))
    try:
        values = OmegaConf.to_container(merged)
        assert isinstance(values, dict)
        launch = TypeAdapter(LaunchConfig).validate_python(values["launch"])
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(["launch", *map(str, first["loc"][1:])])
        raise LaunchError(describe(path, first["input"], first["msg"])) from None
    save(folder, sweep.model_copy(update={"launch": launch}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
