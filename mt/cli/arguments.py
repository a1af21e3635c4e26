"""The command line: Hydra's own flags and override grammar, shared by every command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mt.config.compose import CONF, register_resolvers


@dataclass(frozen=True)
class Arguments:
    """Overrides, and whether they span several runs."""

    overrides: list[str]
    multirun: bool


def parse(arguments: Sequence[str], program: str) -> Arguments | None:
    """Return the overrides, or None where --help or completion was answered, or --cfg and --info by Hydra itself."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.prog = program
    given = parser.parse_intermixed_args(list(arguments))
    if given.help:
        from rich.console import Console

        from mt.cli.help import print_help

        print_help(program, list(given.overrides), Console())
        return None
    if given.shell_completion:
        from mt.cli.completion import answer

        print(answer("".join(given.overrides), os.environ.get("COMP_LINE", "")))
        return None
    if given.hydra_help or given.cfg or given.info:
        flags = [word for word in arguments if word not in given.overrides]
        _answer_by_hydra([program, *given.overrides, *flags])
        return None
    return Arguments(list(given.overrides), bool(given.multirun))


def _answer_by_hydra(command: list[str]) -> None:
    from hydra import main
    from omegaconf import DictConfig

    def never(config: DictConfig) -> None:
        raise AssertionError("Hydra was asked to describe a configuration, not to run it")

    register_resolvers()
    sys.argv = command
    main(version_base="1.3", config_path=str(CONF), config_name="config")(never)()
