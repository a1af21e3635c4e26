"""Tab completion in bash for commands of the form `python -m MODULE`, which Hydra's own completion does not know."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from mt.config.choices import SearchPath, search_path
from mt.config.explain import Explained, all_settings
from mt.config.overrides import parse_override, swept
from mt.errors import ConfigError, describe
from mt.workflow.run_record import find_records

_ROOT = Path(__file__).parents[2]

_SCRIPT = r"""_mutual_taught() {
    local typed=${COMP_LINE:0:COMP_POINT} before=
    [[ $typed =~ \ -m\ +(mt|launch|analysis)\.[a-z._]+\  ]] || return 0
    local word=${typed##* }
    COMPREPLY=($(COMP_LINE=$typed "$1" -m mt.run -sc query=bash 2>/dev/null))
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && before=${word%=*}=
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o default -F _mutual_taught python python3"""


def answer(asked: str, line: str) -> str:
    """Return the script for `install=bash`, the candidates for a `line` as far as it is typed for `query=bash`."""
    if asked == "install=bash":
        return _SCRIPT
    if asked == "query=bash":
        return "\n".join(candidates(line))
    raise ConfigError(describe("--shell-completion", asked, "unknown", allowed="install=bash"))


def candidates(line: str) -> list[str]:
    """Return what the last word of a command line may become."""
    module, words = re.fullmatch(r"(?:.*? -m +([\w.]+) )?(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
    *given, last = words.split(" ")
    if module not in ("mt.run", "mt.plan", None):
        return [word for word in _of_command(module, given) if word.startswith(last)]
    folders = [folder for flag, folder in pairwise(given) if flag in ("--config-dir", "-cd")]
    folders += [word.partition("=")[2] for word in given if word.startswith("--config-dir=")]
    path = search_path(folders)
    key, equals, value = last.partition("=")
    if not equals:
        return _names(last, path, [one.path for one in _settings(given, path)])
    head, separator, tail = re.fullmatch(r"(?:(.*)([,\[(]))?([^,\[(]*)", value).groups()  # type: ignore[union-attr]
    before = f"{key}={head or ''}{separator or ''}"
    if key.lstrip("+") in path.groups():
        found = path.options(key.lstrip("+"))
    else:
        found = [value for one in _settings(given, path) if one.path == key.lstrip("+") for value in one.listed]
    return [f"{before}{name}" for name in found if name.startswith(tail)]


def _of_command(module: str, given: list[str]) -> list[str]:
    """Return the flags of another command, as its source names them, and what it takes: tables, or runs and sweeps."""
    package, _, name = module.partition(".")
    folder = _ROOT / package
    sources = [
        folder / f"{name}.py",
        folder / name / "__main__.py",
        *([folder / "cli.py"] if package == "launch" else []),
    ]
    text = "".join(file.read_text(encoding="utf-8") for file in sources if file.is_file())
    flags = sorted(set(re.findall(r'add_argument\([^)]*?"(--[\w-]+)"', text)))
    if module == "analysis.tables":
        return [*sorted(notebook.stem for notebook in folder.glob("*.ipynb")), "all", *flags]  # one notebook a table
    runs = next((Path(one) for flag, one in pairwise(given) if flag == "--runs"), Path("runs"))
    found = {str(one) for path in find_records(runs) for one in (path.relative_to(runs), path.relative_to(runs).parent)}
    return [*sorted(found - {"."}), *flags]


def _names(last: str, path: SearchPath, known: list[str]) -> list[str]:
    """Return the choices and settings that begin so, each up to its next dot."""
    found = {f"{group}=" for group in path.groups() if group.startswith(last)}
    for name in known:
        if name.startswith(last):
            rest, dot, _ = name[len(last) :].partition(".")
            found.add(f"{last}{rest}{dot or '='}")
    return sorted(found)


def _settings(given: list[str], path: SearchPath) -> list[Explained]:
    """Return the settings under the choices made so far, of a sweep under the first of each."""
    try:
        made = []
        for word in given:
            if "=" in word and not word.startswith("-"):
                swept_over = parse_override(word).is_sweep_override()
                made.append(f"{word.partition('=')[0]}={swept(word, path)[0]}" if swept_over else word)
        return all_settings(made, path)
    except ConfigError:  # mistyped: nothing to complete under it
        return all_settings([], path)
