"""What the paper costs by the estimate: runs the commands in benchmarks/costs.md and writes their output below each.

python -m benchmarks.costs
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

DOCUMENT = Path(__file__).with_name("costs.md")
_BLOCK = re.compile(r"```console\npython -m (?P<command>mt\.plan .*?)\n```\n\n```\n(?P<output>.*?)```", re.DOTALL)


def blocks(text: str) -> dict[str, str]:
    """Return the commands of a document and what is shown below each."""
    return {found["command"]: found["output"] for found in _BLOCK.finditer(text)}


def output(command: str) -> str:
    """Return what a command prints in an empty folder, where no finished stage replaces the estimate."""
    words = shlex.split(command.replace("\\\n", ""))
    environment = {**os.environ, "PYTHONPATH": str(DOCUMENT.parents[1]), "OPENAI_API_KEY": "none"}
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    lines = (line.rstrip() for line in done.stdout.splitlines())
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Write the document anew."""
    text = DOCUMENT.read_text()
    for command, shown in blocks(text).items():
        text = text.replace(f"{command}\n```\n\n```\n{shown}", f"{command}\n```\n\n```\n{output(command)}")
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
