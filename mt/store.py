"""The artifact store, shown, checked and cleaned.

python -m mt.store ls                 what lies in the store
python -m mt.store verify             compare every file with its checksum
python -m mt.store gc                 show what no recorded run needs; --delete removes it
python -m mt.store rm KEY …           remove artifacts, so that the next run computes them anew
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mt.door.execution import exit_code
from mt.door.record import RECORD
from mt.errors import MutualTaughtError, StoreError
from mt.workflow import locks
from mt.workflow.stage import SHORT
from mt.workflow.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    given = _parser().parse_args(arguments)
    console = Console(soft_wrap=True)
    try:
        return int(given.command(Store(given.store), given, console))
    except MutualTaughtError as error:
        Console(stderr=True).print(f"{error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return exit_code(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m mt.store", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--store", type=Path, default=Path("store"), help="the store's folder (default: store)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "ls", _ls, "list the artifacts").add_argument("--json", action="store_true")
    _command(commands, "verify", _verify, "compare every file with its recorded checksum")
    collect = _command(commands, "gc", _gc, "find what no recorded run needs")
    collect.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of records (default: runs)")
    collect.add_argument("--delete", action="store_true", help="remove it; without this it is only shown")
    remove = _command(commands, "rm", _rm, "remove artifacts by key")
    remove.add_argument("keys", nargs="+", metavar="KEY", help="a key, the beginning of one (8 characters), or a path")
    return parser


def _command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=run)
    return parser


def _ls(store: Store, given: argparse.Namespace, console: Console) -> int:
    found = list(store.artifacts())
    if given.json:
        print(json.dumps([{**one.facts, "path": str(one.path), "size": one.size} for one in found], indent=1))
        return 0
    table = Table(header_style="bold")
    for title in ("stage", "key", "size", "seconds", "computed", "counts"):
        table.add_column(title, justify="right" if title in ("size", "seconds") else "left")
    for one in found:
        facts = one.facts
        counts = ", ".join(f"{name} {value:,.0f}" for name, value in list(facts["counts"].items())[:3])
        table.add_row(
            facts["stage"], one.key[:12], _size(one.size), f"{facts['seconds']:.1f}", facts["started"], counts
        )
    console.print(table)
    console.print(f"{len(found)} artifacts, {_size(sum(one.size for one in found))} in {store.root}")
    return 0


def _verify(store: Store, given: argparse.Namespace, console: Console) -> int:
    damaged = 0
    found = list(store.artifacts())
    for one in found:
        try:
            store.verify(one, full=True)
        except StoreError as error:
            damaged += 1
            console.print(f"{error}", style="red", markup=False)
    console.print(f"{len(found)} artifacts checked, {damaged} damaged")
    return 2 if damaged else 0


def _gc(store: Store, given: argparse.Namespace, console: Console) -> int:
    needed = _needed_keys(given.runs)
    if not needed:
        raise StoreError(f"{given.runs}: no run records here, so that everything would go. Give --runs DIR")
    unused = [one for one in store.artifacts() if one.key not in needed]
    idle = [folder for folder in (store.root / ".work").glob("*") if not _in_the_making(store, folder.name, needed)]
    for one in unused:
        console.print(f"{one.facts['stage']}/{one.key[:12]}  {_size(one.size)}")
    total = sum(one.size for one in unused) + sum(_folder_size(folder) for folder in idle)
    what = f"{len(unused)} artifacts and {len(idle)} abandoned workspaces, {_size(total)}"
    if not given.delete:
        console.print(f"{what}, are needed by no run in {given.runs}. To remove them: add --delete")
        return 0
    for one in unused:
        store.remove(one.path)
    for folder in idle:
        shutil.rmtree(folder)
    console.print(f"removed {what}")
    return 0


def _rm(store: Store, given: argparse.Namespace, console: Console) -> int:
    chosen = [_find(store, key) for key in given.keys]
    for one in chosen:
        store.remove(one)
        console.print(f"removed {one}")
    return 0


def _find(store: Store, key: str) -> Path:
    """Return the folder of the one artifact whose key begins so; also a damaged one, whose facts cannot be read."""
    name = key.rstrip("/").split("/")[-1][:SHORT]
    found = [path for path in store.root.glob("[!.]*/*") if path.name.startswith(name)]
    if len(name) < 8 or len(found) != 1:
        problem = "is too short to name one" if len(name) < 8 else f"names {len(found)} artifacts"
        raise StoreError(f"{key}: {problem} in {store.root}. python -m mt.store ls lists them")
    return found[0]


def _needed_keys(runs: Path) -> set[str]:
    """Return the keys that any recorded run needs, finished or not."""
    return {stage["key"] for record in _records(runs) for stage in record["stages"]}


def _records(runs: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(runs.rglob(RECORD)):
        try:
            yield json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise StoreError(f"{path}: damaged ({error}); nothing was removed") from None


def _in_the_making(store: Store, name: str, needed: set[str]) -> bool:
    """Say whether a workspace is being worked in, or holds the checkpoints of a run that may go on."""
    return locks.holder(store.root / ".locks", name) is not None or any(key.startswith(name) for key in needed)


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


if __name__ == "__main__":
    sys.exit(main())
