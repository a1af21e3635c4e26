"""What --help prints: the choices and settings of a run, each with its meaning."""

from __future__ import annotations

import re

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mt.config.choices import SearchPath
from mt.config.compose import PACKAGE
from mt.config.explain import Explained, choices, settings
from mt.config.overrides import override_key

_USAGE = """\
{program} [CHOICE=NAME | SETTING=VALUE]…
{program} -m CHOICE=NAME,NAME SETTING=VALUE,VALUE…      several runs; what they share is computed once

--help [SETTING | CHOICE=NAME]…   explains settings, as in: --help sampling objective=ipo
--cfg job                         prints all settings of the run (--resolve: their final values; -p GROUP: of one group)
--config-dir DIR                  adds your own choices: files DIR/GROUP/NAME.yaml
-sc install=bash                  prints tab completion: eval "$({program} -sc install=bash)"
"""


def print_help(program: str, asked: list[str], console: Console, path: SearchPath = PACKAGE) -> None:
    """Print the overview, or what the settings and choices in `asked` mean; raises ConfigError for an unknown one."""
    if not asked:
        console.print(_USAGE.format(program=program), markup=False, highlight=False, soft_wrap=True)
        _print_choices(choices(path), console)
        console.print("\nSettings; --help SETTING says more\n", style="bold")
        _print_settings([one for one in settings([], [], path) if one.path.count(".") == 0 and one.meaning], console)
        return
    overrides = [word for word in asked if "=" in word]
    groups = choices(path)
    wanted = {group: groups[group] for group in (override_key(word) for word in asked) if group in groups}
    found = settings([word for word in asked if "=" not in word], overrides, path)  # before anything is printed
    if wanted:
        _print_choices(wanted, console)
        console.print()
    _print_settings(found, console)


def _print_choices(groups: dict[str, dict[str, str]], console: Console) -> None:
    table = Table("choice", "", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for group, found in groups.items():
        for name, headline in found.items():
            table.add_row(Text(f"{group}={name}"), Text(headline if len(groups) == 1 else _sentence(headline)))
    console.print(table)


def _print_settings(found: list[Explained], console: Console) -> None:
    table = Table("setting", "value", "meaning", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for one in found:
        allowed = " | ".join(one.listed) or one.allowed
        meaning = f"{one.meaning} [{allowed}]" if allowed else one.meaning
        table.add_row(Text(one.path), Text(one.value), Text(meaning))
    console.print(table)


def _sentence(text: str) -> str:
    return re.split(r"(?<!al)(?<!Eq)\. ", text)[0].rstrip(".")
