"""What can go wrong and how it is said: one line for the user, the traceback for the log."""

from __future__ import annotations

import difflib
import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path

_LONGEST_VALUE = 300
_CLOSE = 0.77
"""Least similarity of a name that is suggested in another's place: an edited letter of four, and not of three."""
SHORT_NAMES = {
    "lr": "policy.training.learning_rate",
    "bs": "policy.training.batch_size",
    "T": "iterations",
    "K": "sampling.samples",
    "temp": "sampling.temperature",
    "temperature": "sampling.temperature",
    "beta": "objective.beta",
    "model": "policy.path",
}
"""What papers and other libraries call a setting."""


class MutualTaughtError(Exception):
    """Root of every error that this project raises on purpose; its text is one line for the user."""


class ConfigError(MutualTaughtError, ValueError):
    """A configuration value cannot be used."""


class DataError(MutualTaughtError, ValueError):
    """A data file or a table cannot be used."""


class ModelError(MutualTaughtError, ValueError):
    """A model folder or its tokenizer cannot be used."""


class StoreError(MutualTaughtError, RuntimeError):
    """An artifact is missing, damaged or locked."""


class EngineError(MutualTaughtError, RuntimeError):
    """Generation, scoring or training failed."""


class JudgeError(MutualTaughtError, RuntimeError):
    """A judge cannot be reached, or answers nothing that can be used."""


class NotHereError(MutualTaughtError):
    """Something is missing on this machine that another may have: a package, a variable of the environment."""


class MissingPackageError(ConfigError, NotHereError):
    """A setting needs a package that is not installed here."""


class MissingDeviceError(ConfigError, NotHereError):
    """A setting names a device that this machine does not have."""


class MissingKeyError(JudgeError, NotHereError):
    """A judge needs a key that this machine's environment does not have."""


class UnexpectedError(MutualTaughtError):
    """What nobody foresaw stopped a run; the run's log has the traceback."""


class LaunchError(MutualTaughtError, RuntimeError):
    """A sweep cannot be submitted, watched or resumed."""


def describe(field: str, value: object, problem: str, *, allowed: str = "", fix: str = "") -> str:
    """Return one line that names the field, its value, what is wrong, what is allowed and how to fix it."""
    line = f"{field}={_shown(value)}: {problem}."
    if allowed:
        line += f" Allowed: {allowed}."
    if fix:
        line += f" {fix}."
    return line


def _shown(value: object) -> str:
    """Return a value as YAML and JSON write it, on one line, cut where a whole table stands in place of a cell."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    line = " ".join(text.splitlines())
    if not line.isprintable():  # control characters would write elsewhere on the terminal
        line = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line[: _LONGEST_VALUE + 1])
    return line if len(line) <= _LONGEST_VALUE else f"{line[:_LONGEST_VALUE]}…"


def no_file(path: Path) -> str:
    """Return why a path cannot be read as a file."""
    if path.is_dir():
        return "a folder, and a file is needed"
    return "not a regular file" if path.exists() else "no such file"


def no_folder(path: Path) -> str:
    """Return why a path cannot be used as a folder."""
    return "a file, and a folder is needed" if path.exists() else "no such folder"


def describe_os_error(error: BaseException, place: object) -> str | None:
    """Return one line for what a disk refuses (full, read-only, something else in a file's place), or None.

    Libraries that write by themselves say so by their message alone.
    """
    code = error.errno if isinstance(error, OSError) else None
    where = getattr(error, "filename", None) or place
    if code in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
        return f"{where}: the disk is full. Free some space and run the same command to continue"
    if code == errno.ENAMETOOLONG:
        return f"{_shown(where)}: the name is too long. Give a shorter one"
    if code in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{where}: {os.strerror(code)}. Allow it, or choose other folders by store=DIR and runs=DIR"
    if code in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.EIO, errno.ESTALE):
        return f"{where}: {os.strerror(code)}. Look at what lies there, move it away, and run the same command again"
    return None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that is not blank, or the name of its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return " Did you mean …?" for a close valid name, or an empty string: no guess is better than a far one."""
    lower = {one.lower(): one for one in valid}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=_CLOSE)
    return f" Did you mean '{lower[close[0]]}'?" if close else ""


def nearest_setting(key: str, valid: Iterable[str]) -> str:
    """Return " Did you mean …?" for a dotted setting: where its last name exists, in any case, else the closest one.

    Of several settings with that last name the three closest are named. A name without dots may be mistyped, too, or
    be the short name that papers have for a setting.
    """
    known = [one for one in dict.fromkeys(valid) if one != key]
    if (short := SHORT_NAMES.get(key)) in known:
        return f" Did you mean '{short}'?"
    parent, _, leaf = key.lower().rpartition(".")
    leaves = {one: one.rpartition(".")[2].lower() for one in known}
    if not parent and leaf not in leaves.values():
        leaf = next(iter(difflib.get_close_matches(leaf, leaves.values(), n=1, cutoff=_CLOSE)), leaf)
    if same := [one for one in known if leaves[one] == leaf]:
        here = [one for one in same if one.lower() == key.lower()]
        *others, last = here or difflib.get_close_matches(key.lower(), same, n=3, cutoff=0.0)
        return f" Did you mean {' or '.join(filter(None, (', '.join(map(repr, others)), repr(last))))}?"
    siblings = {leaves[one]: one for one in known if one.lower().rpartition(".")[0] == parent}
    close = difflib.get_close_matches(leaf, list(siblings), n=1, cutoff=_CLOSE)
    return f" Did you mean '{siblings[close[0]]}'?" if close else "" if siblings else nearest(key, known)
