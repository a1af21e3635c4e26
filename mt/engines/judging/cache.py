"""Judgments that were paid for, kept by content: one append-only file per process, written as answers arrive."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mt.errors import JudgeError
from mt.runtime.jsonl import JsonLines
from mt.types import Messages


@dataclass(frozen=True, slots=True)
class Answer:
    """What a judge answered about two texts, in the order in which it saw them.

    `preference` in [1, 2] is 2 where the second text is better; `label` is the verdict, or the score of one text as a
    number; both are None where no usable answer came, and `problem` says why. Tokens and money are the sum over all
    calls; `served_by` is the model's name as the endpoint gave it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedAnswer(Answer):
    key: str


class JudgmentCache:
    """All answers in a folder, shared by processes: each appends to a file of its own and reads everybody's.

    They were paid for: a line that a kill cut off at a file's end is dropped, any other damage raises JudgeError.
    Thread-safe.
    """

    def __init__(self, folder: Path):
        """Read every answer in `folder`, which is made where it is missing."""
        self.folder = folder
        self.answers: dict[str, Answer] = {}
        self._own = self._new_file()
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.jsonl")):
            for row in JsonLines[_CachedAnswer](path, _CachedAnswer, refuse="damaged", error=JudgeError).read():
                answer = Answer(**{field.name: getattr(row, field.name) for field in fields(Answer)})
                self.answers.setdefault(row.key, answer)

    def get(self, key: str) -> Answer | None:
        """Return the answer to a question, or None."""
        return self.answers.get(key)

    def keep(self, key: str, answer: Answer) -> None:
        """Write an answer; it survives the end of this process, however it ends."""
        own = self._own
        try:
            own.append({"key": key, **asdict(answer)})
        except OSError:  # a full disk: what it cut off has to stay at a file's end
            own.close()
            self._own = self._new_file()
            raise
        self.answers.setdefault(key, answer)

    def close(self) -> None:
        """Close this process's file."""
        self._own.close()

    def _new_file(self) -> JsonLines[Any]:
        return JsonLines(self.folder / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl")
