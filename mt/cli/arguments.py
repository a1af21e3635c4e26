"""The command line: Hydra's flags and override grammar, shared by every command that composes runs.

Each of Hydra's flags does here what Hydra documents, or is refused with what to use instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mt.config.choices import CONF, SearchPath, search_path
from mt.config.compose import PACKAGE, compose_unchecked, register_resolvers
from mt.config.refusals import refused_by_hydra
from mt.errors import SHORT_NAMES, ConfigError, describe, nearest
from mt.running.exit_codes import Parser

_CFG = ("job", "hydra", "all")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_ADD_CHOICES = "Add choices of your own with --config-dir DIR"
_REFUSED = {
    "--config-name": ("there is one configuration, conf/config.yaml", _ADD_CHOICES),
    "--config-path": ("the configuration lies in conf/, and nowhere else", _ADD_CHOICES),
    "--experimental-rerun": (
        "a run is not pickled",
        "Run the command in the run's record.json again: what is finished is reused",
    ),
}


@dataclass(frozen=True)
class Arguments:
    """Overrides, where their choices lie, whether they span several runs, and the command's own flags."""

    overrides: list[str]
    multirun: bool
    path: SearchPath = PACKAGE
    flags: frozenset[str] = field(default_factory=frozenset)


def parse(arguments: Sequence[str], program: str, flags: Mapping[str, str] | None = None) -> Arguments | None:
    """Return the overrides of a command line, or None where one of Hydra's flags asked for an answer, now printed.

    Args:
        arguments: The words of the command line.
        program: The command, as the user types it.
        flags: Further flags of this command, such as "--json", each with what it does.

    Raises ConfigError for a flag that does not exist or has no effect here.
    """
    flags = flags or {}
    given = _parsed(arguments, program, list(flags))
    path = search_path(given["config_dir"])
    overrides: list[str] = given["overrides"]
    if given["help"]:
        from mt.cli.help import print_help
        from mt.runtime.terminal import terminal

        print_help(program, overrides, terminal(None), path, flags)
    elif given["version"]:
        from importlib import metadata

        print(f"mutual-taught {metadata.version('mutual-taught')} (Hydra {metadata.version('hydra-core')})")
    elif given["shell_completion"]:
        from mt.cli.completion import answer

        print(answer("".join(overrides), os.environ.get("COMP_LINE", "")))
    elif given["cfg"]:
        _print_configuration(given["cfg"], given["package"], given["resolve"], overrides, path)
    elif given["hydra_help"] or given["info"]:
        compose_unchecked(overrides, path)  # a mistake in them is one line
        flag = ["--info", given["info"]] if given["info"] else ["--hydra-help"]
        _answer_by_hydra(program, flag, overrides, path)
    else:
        return Arguments(overrides, given["multirun"], path, frozenset(flag for flag in flags if given[flag[2:]]))
    return None


def hydra_parser(program: str) -> argparse.ArgumentParser:
    """Return a parser of Hydra's flags, by their names in Hydra's documentation; a test compares them."""
    parser = Parser(program, add_help=False)
    parser.add_argument("overrides", nargs="*")
    for long, short in (("help", "h"), ("resolve", ""), ("run", "r"), ("multirun", "m"), ("shell-completion", "sc")):
        parser.add_argument(f"--{long}", *([f"-{short}"] if short else []), action="store_true")
    for long in ("hydra-help", "version"):
        parser.add_argument(f"--{long}", action="store_true")
    for long, short in (("cfg", "c"), ("package", "p"), ("config-path", "cp"), ("config-name", "cn")):
        parser.add_argument(f"--{long}", f"-{short}")
    parser.add_argument("--config-dir", "-cd", action="append", default=[])
    parser.add_argument("--experimental-rerun")
    parser.add_argument("--info", "-i", nargs="?", const="all")
    return parser


def _parsed(arguments: Sequence[str], program: str, flags: Sequence[str]) -> dict[str, Any]:
    parser = hydra_parser(program)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    namespace, unknown = parser.parse_known_intermixed_args(list(arguments))
    given = vars(namespace)
    if unknown:
        known = [name for name in parser._option_string_actions if name.startswith("--")]
        problem = f"{unknown[0]}: no such flag. {program} --help shows what can be given."
        raise ConfigError(problem + (_as_setting(unknown[0], arguments) or nearest(unknown[0], known)))
    for flag, (problem, fix) in _REFUSED.items():
        value = given[flag[2:].replace("-", "_")]
        if value is not None and (flag, value) != ("--config-name", "config"):
            raise ConfigError(describe(flag, value, problem, fix=fix))
    for flag, allowed in (("cfg", _CFG), ("info", _INFO)):
        if given[flag] is not None and given[flag] not in allowed:
            raise ConfigError(describe(f"--{flag}", given[flag], "unknown", allowed=", ".join(allowed)))
    if given["help"]:
        return given  # beside any other flag, as everywhere
    commands = ("run", "multirun", "cfg", "info", "shell_completion", "hydra_help", "version")
    asked = [f"--{name.replace('_', '-')}" for name in commands if given[name]]
    if len(asked) > 1:
        raise ConfigError(f"{' '.join(asked)}: only one of these can be given")
    if (given["resolve"] or given["package"]) and not given["cfg"]:
        raise ConfigError("--resolve and --package say how --cfg prints. Add --cfg job, or leave them out")
    idle = [flag for flag in flags if given[flag[2:]] and asked not in ([], ["--run"], ["--multirun"])]
    if idle:
        raise ConfigError(f"{idle[0]} {asked[0]}: only one of these can be given")
    return given


def _as_setting(flag: str, arguments: Sequence[str]) -> str:
    """Return " Did you mean …?" for a setting that was typed as a flag, as in --iterations 3."""
    from mt.config.explain import all_settings  # late: it composes

    name, equals, value = flag.lstrip("-").partition("=")
    name = SHORT_NAMES.get(name, name.replace("-", "_"))
    after = list(arguments)[arguments.index(flag) + 1 :][:1]
    if not equals and after and "=" not in after[0]:
        value = after[0]
    known = [*PACKAGE.groups(), *(one.path for one in all_settings([]))]
    return f" Did you mean '{name}={value or 'VALUE'}'?" if name in known else ""


def _print_configuration(kind: str, package: str | None, resolve: bool, overrides: list[str], path: SearchPath) -> None:
    """Print a configuration as Hydra does (--cfg), from the same composition as a run's."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import Container, OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    config = compose_unchecked(overrides, path, hydra=kind != "job")
    if kind != "job":
        HydraConfig.instance().set_config(config)  # what ${hydra:…} refers to
        OmegaConf.set_readonly(config.hydra, False)
    shown: Any = config
    if kind == "hydra":
        with open_dict(config):
            for name in [name for name in config if name != "hydra"]:
                del config[name]
    try:
        if package not in (None, "_global_"):
            shown = OmegaConf.select(config, str(package))
            if shown is None:
                raise ConfigError(describe("--package", package, "no such part", allowed=", ".join(map(str, config))))
        if not isinstance(shown, Container):
            print(shown)
            return
        if resolve:
            OmegaConf.resolve(shown)
    except (OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(refused_by_hydra(error, overrides, path)) from error
    header = f"# @package {package}\n" if package not in (None, "_global_") else ""
    print(header + OmegaConf.to_yaml(shown), end="")


def _answer_by_hydra(program: str, flags: list[str], overrides: list[str], path: SearchPath) -> None:
    from hydra import main
    from omegaconf import DictConfig

    def never(config: DictConfig) -> None:
        raise AssertionError("Hydra was asked to describe a configuration, not to run it")

    register_resolvers()
    own = ",".join(f"'file://{folder}'" for folder in path.folders[1:])
    before, sys.argv = sys.argv, [program, *overrides, *([f"hydra.searchpath=[{own}]"] if own else []), *flags]
    try:
        main(version_base="1.3", config_path=str(CONF), config_name="config")(never)()
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.argv = before
