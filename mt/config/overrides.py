"""Hydra's grammar of overrides: what a command line sets, and the runs that it spans."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice, product
from math import prod

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, RangeSweep, Transformer
from hydra.errors import HydraException

from mt.config.choices import SearchPath
from mt.errors import ConfigError, describe, first_line, nearest

RUNS = 1000
"""Most runs of a sweep: a plan of so many takes a minute, and a typing error such as range(0,100000) hours."""

_FUNCTIONS = (
    "choice(a,b), range(start,stop,step), glob(pattern), sort(a,b), shuffle(a,b), tag(name,a), int(a), float(a), "
    "str(a), bool(a)"
)
_HYDRA_OWN = {
    "hydra.searchpath": "Use --config-dir DIR",
    "hydra/launcher": "Use launch=NAME",
    "hydra/sweeper": "Use -m and values with commas",
    "hydra.run.dir": "Use runs=DIR and name=NAME",
    "hydra.sweep.dir": "Use runs=DIR and sweep=NAME",
}


def override_key(override: str) -> str:
    """Return what an override sets: a group or a setting."""
    return override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]


@lru_cache(maxsize=65536)
def parse_override(line: str) -> Override:
    """Return an override as Hydra reads it; raises ConfigError with what is wrong with it."""
    key, _, value = line.partition("=")
    try:
        return _parser().parse_override(line)
    except RecursionError:
        raise ConfigError(describe(key, value, "nested too deeply", allowed="a few levels of brackets")) from None
    except (HydraException, ValueError, TypeError, ArithmeticError, AssertionError, IndexError) as error:
        raise ConfigError(_unreadable(key, value, error)) from error


def check_overrides(overrides: Sequence[str], path: SearchPath, *, several: str = "") -> None:
    """Refuse what does not follow the grammar.

    Args:
        overrides: The words of a command line.
        path: Where its choices lie.
        several: How to fix several values of one setting; empty where they are allowed.
    """
    groups = path.groups()
    for line in overrides:
        key, equals, value = line.partition("=")
        if not override_key(line) or not (equals or line.startswith("~")):
            raise ConfigError(describe("override", line, "not a setting", allowed="NAME=VALUE, no spaces around ="))
        if key != key.strip():
            fix = f"Write {key.strip()}={value.strip()}"
            raise ConfigError(describe("override", line, "a space before =", allowed="no spaces around =", fix=fix))
        _refuse_what_has_no_effect(line, key.lstrip("+~"), value, groups)
        parsed = parse_override(line)
        if parsed.is_interval_sweep():
            problem = "interval() is for optimizers that propose values, and a sweep lists its values"
            raise ConfigError(describe(key, value, problem, allowed="a,b or range(start,stop,step)"))
        if parsed.is_sweep_override():
            if several:
                raise ConfigError(describe(key, value, "several values make a sweep", fix=several))
        elif isinstance(parsed.value(), list | dict) and re.search(r"\bshuffle\(", value):
            problem = "shuffle() orders the runs of a sweep, and this is one value"
            raise ConfigError(describe(key, value, problem, fix="Write the list in its order"))
        if override_key(line) in groups and not line.startswith("~") and not isinstance(parsed.value(), Glob):
            _check_choice(override_key(line), parsed, value, path)


def expand(overrides: Sequence[str], path: SearchPath) -> list[list[str]]:
    """Return the overrides of each run of a sweep: the product of the values of its settings.

    Raises ConfigError where a setting has no values, or the sweep more than RUNS runs.
    """
    values: dict[str, list[str]] = {}
    for line in overrides:
        parsed = parse_override(line)
        key = parsed.get_key_element()
        values[key] = [f"{key}={one}" for one in swept(line, path)] if parsed.is_sweep_override() else [line]
    counts = [len(lines) for lines in values.values() if len(lines) > 1]
    check_count(prod(counts), " × ".join(map(str, counts)))
    return [list(one) for one in product(*values.values())]


def check_count(runs: int, shown: str) -> None:
    """Refuse a sweep of more than RUNS runs."""
    if runs > RUNS:
        fix = "Split it into several commands: what they share is computed once"
        raise ConfigError(describe("sweep", shown, f"{runs:,} runs", allowed=f"at most {RUNS:,} runs", fix=fix))


def swept(line: str, path: SearchPath) -> list[str]:
    """Return the values that a sweep gives to its setting, as text in Hydra's grammar and in the sweep's order.

    A shuffled order is the same each time, so that the same command names the same sweep.
    """
    parsed = parse_override(line)
    key, value = parsed.key_or_group, line.partition("=")[2]
    sweep = parsed.value()
    if isinstance(sweep, Glob) and key not in path.groups():
        raise ConfigError(describe(key, value, "glob() is for choices", allowed=", ".join(path.groups())))
    try:
        if isinstance(sweep, Glob):
            found = sweep.filter(path.options(key))
        elif isinstance(sweep, RangeSweep):
            found = [str(one) for one in islice(iter(sweep.range()), RUNS + 1)]  # it may have billions
        elif isinstance(sweep, ChoiceSweep):
            found = [Transformer.str(one) for one in sweep.list]
        else:
            return [value]
    except (HydraException, ValueError, ArithmeticError) as error:
        allowed = "range(start,stop,step) of finite numbers, with a step other than 0"
        raise ConfigError(describe(key, value, "not a range", allowed=allowed)) from error
    if not found:
        allowed = ", ".join(path.options(key)) if isinstance(sweep, Glob) else "at least one value"
        raise ConfigError(describe(key, value, "it gives no value", allowed=allowed))
    if len(found) > RUNS:
        raise ConfigError(describe(key, value, f"more than {RUNS:,} values", allowed=f"at most {RUNS:,} runs"))
    if getattr(sweep, "shuffle", False):
        random.Random(0).shuffle(found)
    return found


def unknown_choice(group: str, value: str, path: SearchPath) -> str:
    """Return the line that refuses a choice that does not exist."""
    valid = path.options(group)
    elsewhere = [f"{other}={value}" for other in path.groups() if value in path.options(other)]
    hint = f" It is a choice elsewhere: {', '.join(elsewhere)}." if elsewhere else nearest(value, valid)
    return describe(group, value, "no such choice", allowed=", ".join(valid)) + hint


def _refuse_what_has_no_effect(line: str, key: str, value: str, groups: list[str]) -> None:
    if key.split(".")[0].split("/")[0] == "hydra":
        fix = _HYDRA_OWN.get(key, "Leave it out")
        raise ConfigError(describe(key, value, "settings of Hydra itself have no effect here", fix=fix))
    if "@" in key:
        group = key.partition("@")[0]
        fix = f"Write {group}={value or 'NAME'}"
        raise ConfigError(describe(key, value, "a choice has one place, and no package", fix=fix))
    group, _, rest = key.partition(".")
    if rest == "name" and group in groups:
        raise ConfigError(
            describe(key, value, "the name of a choice is not a setting", fix=f"Choose it: {group}={value}")
        )


def _check_choice(group: str, parsed: Override, shown: str, path: SearchPath) -> None:
    value = parsed.value()
    if isinstance(value, ChoiceSweep):
        found = [one.text if isinstance(one, QuotedString) else one for one in value.list]
        names = [name for one in found for name in (one if isinstance(one, list) else [one])]
    else:
        names = value if isinstance(value, list) else [value]
    if isinstance(value, list) and group != "eval":
        raise ConfigError(describe(group, shown, "one choice, not a list", allowed=", ".join(path.options(group))))
    for name in names:
        if name not in path.options(group) and not (name is None and group == "experiment"):
            raise ConfigError(unknown_choice(group, name if isinstance(name, str) else shown, path))


def _unreadable(key: str, value: str, error: Exception) -> str:
    key = " ".join(key.split())
    short = value if len(value) <= 100 and value.isprintable() else "…"
    quoted = f"""'{key}="{short}"'"""
    if opened := _unclosed(value):
        name = {"(": "parenthesis", "[": "bracket", "{": "brace"}.get(opened, "quotation mark")
        fix = f"Close it; where it belongs to a text, put that in quotes: {quoted}"
        return describe(key, value, f"cannot be read (the {name} {opened} is not closed)", fix=fix)
    text = str(error)
    if "Unknown function" in text:
        return describe(key, value, "no such function", allowed=_FUNCTIONS, fix=f"A text goes in quotes: {quoted}")
    if "while evaluating" in text:
        problem = f"cannot be read ({first_line(error).rpartition(': ')[2]})"
        return describe(key, value, problem, allowed=_FUNCTIONS)
    if "integer string conversion" in text:
        return describe(key, value, "a number of too many digits", allowed="at most 4300 digits")
    problem = first_line(error)
    if unread := re.search(
        r"(?:recognition error at:|extraneous input|mismatched input) ('.*?')( expecting|$)", problem
    ):
        problem = "it ends too early" if "EOF" in unread[1] else f"{unread[1]} is not expected there"
    problem = f"cannot be read ({problem})"
    return describe("override", f"{key}={value}", problem, fix=f"Put the value in quotes, and all in others: {quoted}")


def _unclosed(value: str) -> str:
    """Return the first bracket or quotation mark that is opened and not closed, or an empty string."""
    opened: list[str] = []
    quote = ""
    for before, character in zip(f" {value}", value, strict=False):
        if quote:
            quote = "" if character == quote and before != "\\" else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            opened.append(character)
        elif character in ")]}" and opened and opened[-1] == {")": "(", "]": "[", "}": "{"}[character]:
            opened.pop()
    return opened[0] if opened else quote


@lru_cache(maxsize=1)
def _parser() -> OverridesParser:
    return OverridesParser.create()
