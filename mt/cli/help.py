"""What --help prints: the groups of choices and the settings that people change; with a name, all that is below it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mt.config.choices import SearchPath
from mt.config.explain import Explained, choices, chosen_options, groups, settings
from mt.config.overrides import override_key
from mt.runtime.terminal import print_line

_USAGE = """\
{program} [CHOICE=NAME | SETTING=VALUE]…
{program} -m CHOICE=NAME,NAME SETTING=VALUE,VALUE…      several runs; what they share is computed once

--help NAME…         explains a choice with its options, or all settings below a name: --help objective sampling
--help CHOICE=NAME   explains the settings of one option: --help objective=ipo
--cfg job            prints all settings of the run (--resolve: their final values; -p GROUP: of one group)
--config-dir DIR     adds your own choices: files DIR/GROUP/NAME.yaml
-sc install=bash     prints tab completion: eval "$({program} -sc install=bash)"{flags}
"""
COMMON = (
    "iterations",
    "rounds",
    "seed",
    "world_seed",
    "name",
    "sampling.samples",
    "sampling.temperature",
    "sampling.max_new_tokens",
    "objective.beta",
    "policy.path",
    "policy.reference",
    "policy.training.learning_rate",
    "policy.training.batch_size",
    "policy.training.epochs",
    "policy.training.lora",
    "reward.path",
    "reward.initial",
    "reward.labeler",
    "reward.training.learning_rate",
    "reward.training.epochs",
)
"""The settings that people change."""


def print_help(program: str, asked: list[str], console: Console, path: SearchPath, flags: Mapping[str, str]) -> None:
    """Print the overview, or what the settings and choices in `asked` mean; raises ConfigError for an unknown one.

    `flags` are the command's own, with what each does.
    """
    if not asked:
        own = "".join(f"\n{flag:20} {meaning}" for flag, meaning in flags.items())
        print_line(console, _USAGE.format(program=program, flags=own))
        _print_groups(console, path)
        console.print()
        known = {one.path: one for one in settings([], [], path)}
        _print_settings([replace(known[name], allowed="") for name in COMMON], console)
        console.print("\nMore: --help policy, --help data, …; all of them: --cfg job", highlight=False)
        return
    overrides = [word for word in asked if "=" in word]
    known_groups = choices(path)
    wanted = {key: _options(word, known_groups[key]) for word in asked if (key := override_key(word)) in known_groups}
    found = settings([word for word in asked if "=" not in word], overrides, path)  # before anything is printed
    if wanted:
        _print_choices(wanted, console)
        console.print()
    if found:
        _print_settings(found, console)


def _options(asked: str, known: dict[str, str]) -> dict[str, str]:
    """Return the options that "objective=ipo" names, or all of a group that is asked for by its name alone."""
    names = re.findall(r"\w+", asked.partition("=")[2])
    return {name: meaning for name, meaning in known.items() if name in names} if names else known


def _print_groups(console: Console, path: SearchPath) -> None:
    """Print one row for each group: its options, the default first, and what it decides."""
    table = _table("choice", "options, the default first", "")
    made = chosen_options(path)
    for group, meaning in groups(path).items():
        options = sorted(path.options(group), key=lambda name: (name not in made.get(group, []), name))
        table.add_row(Text(group), Text(" | ".join(options)), Text(meaning))
    console.print(table)


def _print_choices(wanted: dict[str, dict[str, str]], console: Console) -> None:
    table = _table("choice", "")
    for group, found in wanted.items():
        for name, headline in found.items():
            table.add_row(Text(f"{group}={name}"), Text(headline if len(wanted) == 1 else _sentence(headline)))
    console.print(table)


def _print_settings(found: list[Explained], console: Console) -> None:
    table = _table("setting", "value", "meaning")
    for one in found:
        allowed = " | ".join(one.listed) or one.allowed
        meaning = f"{one.meaning} [{allowed}]" if allowed else one.meaning
        table.add_row(Text(one.path), Text(one.value), Text(meaning))
    console.print(table)
    if any(one.value.startswith("(") for one in found):
        console.print("(VALUE): what it starts from where another setting of its group is set", style="dim")


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in ("choice", "setting"))
    return table


def _sentence(text: str) -> str:
    return re.split(r"(?<!al)(?<!Eq)\. ", text)[0].rstrip(".")
