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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mt.errors import StoreError, describe, no_folder
from mt.running.exit_codes import Parser, exit_status_of
from mt.runtime.terminal import local_time, print_line, terminal
from mt.runtime.text import counted, scaled
from mt.workflow.execute import lock_of
from mt.workflow.leftovers import changing, clean_store, needed_keys
from mt.workflow.run_record import RECORD, read_record
from mt.workflow.stage import SHORT
from mt.workflow.store import Store

_FILE_WIDTH = 160


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    console = terminal(_FILE_WIDTH, soft_wrap=True)

    def command() -> int:
        args = _parser().parse_args(arguments)
        if not args.store.is_dir():
            raise StoreError(describe("--store", args.store, no_folder(args.store), fix="Give --store DIR"))
        return int(args.command(Store(args.store), args, console))

    return exit_status_of(command)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("python -m mt.store", description=(__doc__ or "").split("\n\n")[0])
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
    # Before the command or after it: without a default of its own this leaves what was given before.
    parser.add_argument("--store", type=Path, default=argparse.SUPPRESS, help="the store's folder (default: store)")
    return parser


def _ls(store: Store, args: argparse.Namespace, console: Console) -> int:
    found = list(store.artifacts())
    if args.json:
        print(json.dumps([{**one.facts, "path": str(one.path), "size": one.size} for one in found], indent=1))
        return 0
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for title in ("stage", "key", "size", "seconds", "computed"):
        table.add_column(title, justify="right" if title in ("size", "seconds") else "left", no_wrap=True)
    table.add_column("counts")
    for one in found:
        facts = one.facts
        counts = ", ".join(f"{name} {value:,.0f}" for name, value in list(facts["counts"].items())[:3])
        shown = Text(counts, no_wrap=True, overflow="ellipsis")  # the one column that a narrow terminal cuts
        day, seconds = local_time(facts["started"]), f"{facts['seconds']:.1f}"
        table.add_row(facts["stage"], one.key[:12], scaled(one.size, "B"), seconds, day, shown)
    console.print(table)
    console.print(f"{counted(len(found), 'artifact')}, {scaled(sum(one.size for one in found), 'B')} in {store.root}")
    return 0


def _verify(store: Store, args: argparse.Namespace, console: Console) -> int:
    damaged = 0
    found = store.folders()
    for path in found:
        try:
            store.verify(store.open(path), full=True)
        except StoreError as error:
            damaged += 1
            print_line(console, str(error), "red")
    console.print(f"{counted(len(found), 'artifact')} checked, {damaged} damaged")
    return 2 if damaged else 0


def _gc(store: Store, args: argparse.Namespace, console: Console) -> int:
    clean_store(store)
    needed = _needed_keys(store, args.runs)
    if not needed:
        raise StoreError(f"{args.runs}: no run records here, so that everything would go. Give --runs DIR")
    unused = [path for path in store.folders() if path.name not in needed]
    idle = [path for path in (store.root / ".work").glob("*") if not _in_the_making(store, path.name, needed)]
    sizes = {path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in [*unused, *idle]}
    for path in unused:
        print_line(console, f"{path.parent.name}/{path.name[:12]}  {scaled(sizes[path], 'B')}")
    if not sizes:
        print_line(console, f"nothing to remove: all in {store.root} is needed by a run")
        return 0
    parts = counted(len(unused), "artifact"), counted(len(idle), "abandoned workspace")
    what = f"{' and '.join(parts)}, {scaled(sum(sizes.values()), 'B')}"
    if not args.delete:
        print_line(console, f"needed by no run in {args.runs} nor elsewhere: {what}. To remove: add --delete")
        return 0
    with changing(store).hold():
        needed = _needed_keys(store, args.runs)  # again: a run may have begun meanwhile
        for path in unused:
            if path.name not in needed:
                store.remove(path)
        for path in idle:
            if not _in_the_making(store, path.name, needed):
                shutil.rmtree(path)
    console.print(f"removed {what}")
    return 0


def _rm(store: Store, args: argparse.Namespace, console: Console) -> int:
    chosen = [_find(store, key) for key in args.keys]
    for one in chosen:
        store.remove(one)
        console.print(f"removed {one}")
    return 0


def _find(store: Store, key: str) -> Path:
    """Return the folder of the one artifact whose key begins so; also a damaged one, whose facts cannot be read."""
    name = key.rstrip("/").split("/")[-1][:SHORT]
    found = [path for path in store.folders() if path.name.startswith(name)]
    if len(name) < 8 or len(found) != 1:
        problem = "is too short to name one" if len(name) < 8 else f"names {len(found)} artifacts"
        raise StoreError(f"{key}: {problem} in {store.root}. python -m mt.store ls lists them")
    return found[0]


def _needed_keys(store: Store, runs: Path) -> set[str]:
    """Return the keys, short as folders bear them, that any recorded run needs, finished or not, wherever it lies."""
    records = (read_record(path.parent) for path in sorted(runs.rglob(RECORD)))
    return needed_keys(store) | {stage["key"][:SHORT] for record in records for stage in record["stages"]}


def _in_the_making(store: Store, name: str, needed: set[str]) -> bool:
    """Say whether a workspace is being worked in, or holds the checkpoints of a run that may go on."""
    return name in needed or lock_of(store, name).owner() is not None


if __name__ == "__main__":
    sys.exit(main())
