"""`python -m analysis.sync [RUN…]`: upload runs to W&B that were tracked offline, or whose upload was cut short."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from mt.errors import DataError, describe
from mt.running.exit_codes import Parser, exit_status_of
from mt.tracking.upload import attempts, environment, is_open, marker, waiting
from mt.workflow.run_record import RECORD, read_record

UPLOADED, PRESENT, WAITING, FAILED = "uploaded", "already uploaded", "to be uploaded", "failed"
LIMIT_S = 1800.0
"""Seconds after which the upload of one run is given up."""
_RETRIES = {f"WANDB__{part}_RETRY_MAX": "3" for part in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")}
"""W&B itself tries for hours, which suits a running run but not a waiting user."""
RUNNING = "still running; upload it when it has ended, or what is there with --force"


@dataclass(frozen=True)
class Upload:
    """What became of a run's attempts."""

    run: str
    state: str
    attempts: int
    url: str = ""
    reason: str = ""


def sync(
    runs: Path,
    names: Sequence[str] = (),
    *,
    project: str = "",
    entity: str = "",
    dry_run: bool = False,
    force: bool = False,
) -> Iterator[Upload]:
    """Upload the named runs below `runs` (all of them without names), each with its attempts in order.

    Yields the result of each as soon as it is known; raises DataError where a run does not exist or was not tracked.
    """
    options = [*(["--project", project] if project else []), *(["--entity", entity] if entity else [])]
    for folder in _folders(runs, names):
        yield _sync(_title(folder, runs), folder, options, dry_run, force)


def _sync(name: str, folder: Path, options: list[str], dry_run: bool, force: bool) -> Upload:
    files = waiting(folder)
    if not files:
        return Upload(name, PRESENT, 0)
    if is_open(folder) and not force:
        return Upload(name, RUNNING, len(files))
    if dry_run:
        return Upload(name, WAITING, len(files))
    _refuse_without_login(folder)
    paths = [str(file.resolve()) for file in files]
    command = [sys.executable, "-m", "wandb", "sync", *options, *paths]
    words = _listen(command, folder)
    if all(marker(file).exists() for file in files):
        links = [word for line in words for word in line.split() if word.startswith(("http://", "https://"))]
        pages = [link for link in links if "/runs/" in link]
        return Upload(name, UPLOADED, len(files), next(reversed(pages), ""))
    return Upload(name, FAILED, len(files), reason=_reason(words))


def _refuse_without_login(folder: Path) -> None:
    """Raise DataError where nobody is logged in."""
    host = _server(folder) or os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    if not _is_logged_in(host, os.environ.get("WANDB_API_KEY")):
        fix = "Log in once with wandb login, or set WANDB_API_KEY"
        raise DataError(describe("W&B", host, "nobody is logged in there", fix=fix))


@cache
def _is_logged_in(host: str, key: str | None) -> bool:
    """Ask in another process: W&B keeps what it has read, for the rest of this one."""
    code = f"import sys, wandb; sys.exit(not wandb.login(prompt=False, verify=False, host={host!r}))"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment(), capture_output=True, check=False).returncode == 0


def _listen(command: list[str], folder: Path) -> list[str]:
    """Run W&B's command and return what it says; one that hangs is ended."""
    try:
        done = subprocess.run(
            command, cwd=folder, env=_environment(folder), timeout=LIMIT_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"ERROR W&B did not end within {LIMIT_S:.0f} s"]
    return done.stdout.splitlines()


def _folders(runs: Path, names: Sequence[str]) -> list[Path]:
    """Return the tracked run folders: those named, or all."""
    tracked = sorted(path.parent for path in runs.rglob("wandb") if attempts(path.parent))
    if not names and not tracked:
        fix = "Track runs with tracking=wandb, or name the folder of the runs with --runs DIR"
        raise DataError(describe("--runs", runs, "no run here was tracked by W&B", fix=fix))
    wanted = []
    for name in names:
        named = [Path(name)] if attempts(Path(name)) else []
        found = named or [folder for folder in tracked if folder == runs / name or folder.name == name]
        if not found:
            listed = ", ".join(_title(folder, runs) for folder in tracked) or "none"
            raise DataError(describe("RUN", name, "no run of this name was tracked by W&B", allowed=listed))
        wanted += found
    return wanted if names else tracked


def _title(folder: Path, runs: Path) -> str:
    return str(folder.relative_to(runs)) if folder.is_relative_to(runs) else str(folder)


def _environment(folder: Path) -> dict[str, str]:
    """Return W&B's environment: its own files inside the run's folder, and the server that the run names."""
    ours = {"WANDB_DIR": str(folder.resolve()), "WANDB_ERROR_REPORTING": "false", **_RETRIES}
    server = _server(folder)
    kept = {name: value for name, value in environment().items() if name != "WANDB_MODE"}  # it would be offline again
    return {**kept, **ours, **({"WANDB_BASE_URL": server} if server else {})}


def _server(folder: Path) -> str | None:
    """Return the server that a run's settings name; raises StoreError where its record cannot be read."""
    config = read_record(folder)["config"] if (folder / RECORD).is_file() else {}
    return (config.get("tracking") or {}).get("base_url")


def _reason(words: list[str]) -> str:
    """Return W&B's own words for a failure."""
    lines = [line.removeprefix("wandb: ").strip() for line in words if line.strip()]
    errors = [line.removeprefix("ERROR ") for line in lines if line.startswith("ERROR ")]
    return "; ".join(errors) or next(reversed(lines), "W&B said nothing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the command line; the exit status is 1 when something could not be uploaded."""
    parser = Parser(prog="python -m analysis.sync", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="RUN", help="runs by name or folder (all runs without one)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs lie (default: runs)")
    parser.add_argument("--project", default="", help="another W&B project than the one they were tracked for")
    parser.add_argument("--entity", default="", help="another W&B user or team")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be uploaded")
    parser.add_argument("--force", action="store_true", help="upload what a running run has written so far")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")
    return exit_status_of(lambda: _serve(parser.parse_args(arguments)))


def _serve(args: argparse.Namespace) -> int:
    uploads: list[Upload] = []
    for upload in sync(
        args.runs, args.names, project=args.project, entity=args.entity, dry_run=args.dry_run, force=args.force
    ):
        uploads.append(upload)
        if not args.json:
            tries = f" ({upload.attempts} attempts)" if upload.attempts > 1 else ""
            line = f"{upload.run}  {upload.state}{tries}  {upload.url or upload.reason}"
            print(line.rstrip(), flush=True)
    if args.json:
        print(json.dumps([asdict(upload) for upload in uploads], indent=1))
    return int(any(upload.state == FAILED for upload in uploads))


if __name__ == "__main__":
    sys.exit(main())
