"""Judgments that were paid for, kept by content: one append-only file per process, written as answers arrive."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from mt.errors import JudgeError
from mt.types import Messages


@dataclass(frozen=True, slots=True)
class Answer:
    """What a judge answered about two texts, in the order in which it saw them.

    `preference` in [1, 2] is 2 where the second text is better; `label` is the verdict; both are None where no
    usable answer came, and `problem` says why. Tokens and money are the sum over all calls; `served_by` is the
    model's name as the endpoint gave it.
    """

    preference: float | None
    label: str | None
    raw: str = ""
    problem: str | None = None
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    served_by: str | None = None


def content_key(identity: Mapping[str, Any], messages: Messages, first: str, second: str) -> str:
    """Return the hash of a question to a judge: who is asked and how, the prompt, and both texts in their order."""
    content = [dict(sorted(identity.items())), messages, first, second]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # Model outputs may hold lone surrogates, which have no UTF-8 form of their own.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class JudgmentCache:
    """All answers in a folder, shared by processes: each appends to a file of its own and reads everybody's.

    A line cut by a kill is dropped when the folder is opened again. Thread-safe.
    """

    def __init__(self, folder: Path):
        """Read every answer in `folder`, which is made where it is missing."""
        self.folder = folder
        self.answers: dict[str, Answer] = {}
        self._file: IO[str] | None = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.jsonl")):
            self._read(path)

    def get(self, key: str) -> Answer | None:
        """Return the answer to a question, or None."""
        return self.answers.get(key)

    def keep(self, key: str, answer: Answer) -> None:
        """Write an answer; it survives the end of this process, however it ends."""
        line = json.dumps({"key": key, **asdict(answer)}) + "\n"
        with self._lock:
            if self._file is None:
                name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
                self._file = (self.folder / name).open("a", encoding="utf-8")
            self._file.write(line)
            self._file.flush()
            self.answers.setdefault(key, answer)

    def close(self) -> None:
        """Close this process's file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _read(self, path: Path) -> None:
        names = {field.name for field in fields(Answer)}
        *lines, cut = path.read_bytes().split(b"\n")
        del cut  # empty behind a whole last line, else what a kill left of it
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                answer = Answer(**{name: value for name, value in row.items() if name in names})
                self.answers.setdefault(row["key"], answer)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise JudgeError(
                    f"{path} line {number}: not a judgment ({type(error).__name__}). Delete the line to go on."
                ) from None
