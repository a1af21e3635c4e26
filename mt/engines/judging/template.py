"""The judge's prompt: our own words, the original's as it is installed, or the user's file."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mt.errors import ConfigError, describe
from mt.types import Messages

Style = Literal["preference", "verdict", "score", "text"]
"""What is asked for: one token, m (the first answer) or M (the second), a text with a verdict label on two answers, one
with a score of one answer, or whatever the prompt itself asks for."""

OWN, ALPACA_EVAL, ARENA_HARD = "own", "alpaca_eval", "arena_hard"
"""Prompts of a judge by name: this project's, and those of the two benchmarks."""

_ORIGINAL_FILE = Path("evaluators_configs/alpaca_eval_clf_gpt4_turbo/alpaca_eval_clf.txt")
_MESSAGE = re.compile(r"<\|im_start\|>(\w+)\n(.*?)\n?<\|im_end\|>", re.S)
_PLACES = {
    "instruction": ("instruction", "question", "QUESTION", "question_1"),
    "output_1": ("output_1", "answer_a", "ANSWER_A", "answer_1"),
    "output_2": ("output_2", "answer_b", "ANSWER_B", "answer_2"),
}
_READ = {"score": ("instruction", "output_1"), "text": ("instruction",)}
"""Places that a prompt of a style needs; of two answers all."""
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}
_PLACE = re.compile("{(" + "|".join(_PLACE_OF) + ")}")


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt with places for the request and the two answers.

    `digest` names its exact wording, `origin` who wrote it: own (this project), official (the benchmark's authors) or
    file (the user).
    """

    messages: Messages
    digest: str
    origin: Literal["own", "official", "file"] = "own"

    @property
    def version(self) -> str:
        """What a judge's version says of its prompt."""
        return f"{self.origin}-{self.digest[:8]}"

    def fill(self, messages: Messages, first: str, second: str) -> Messages:
        """Return the judge's conversation about two answers; places inside the answers are left as they are."""
        values = {"instruction": request_text(messages), "output_1": first, "output_2": second}

        def put(text: str) -> str:
            return _PLACE.sub(lambda found: values[_PLACE_OF[found[1]]], text)

        return [{"role": message["role"], "content": put(message["content"])} for message in self.messages]


def load_template(choice: str, style: Style, *, official: bool = False) -> PromptTemplate:
    """Return the template that a setting names: own, alpaca_eval, or a file.

    A file is one user message, or several in `<|im_start|>role … <|im_end|>`, or arena-hard-auto's YAML; it has the
    places {instruction}, {output_1} and, but for scores, {output_2} (Arena-Hard's names work too). `official` says that
    a file is the benchmark's authors'.

    Raises:
        ConfigError: there is no such template, or it lacks a place.
    """
    field = f"judge.{style}_template"
    if choice == ARENA_HARD:
        fix = f"Add {field}=FILE, arena-hard-auto's YAML with system_prompt and prompt_template"
        raise ConfigError(describe("judge.official", True, "Arena-Hard's prompt is in no package", fix=fix))
    if choice == OWN:
        path = Path(__file__).parent / "templates" / f"{style}.txt"
    else:
        path = _original(style, field) if choice == ALPACA_EVAL else Path(choice)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        allowed = f"{OWN}, {ALPACA_EVAL}, or a file" if style == "preference" else f"{OWN}, or a file"
        raise ConfigError(describe(field, choice, f"cannot be read ({error})", allowed=allowed)) from None
    if path.suffix in (".yaml", ".yml"):
        messages = _yaml_messages(text, field, choice)
    else:
        found = [{"role": role, "content": content} for role, content in _MESSAGE.findall(text)]
        messages = found or [{"role": "user", "content": text.strip()}]
    held = {_PLACE_OF[name] for message in messages for name in _PLACE.findall(message["content"])}
    lacking = [place for place in _READ.get(style, tuple(_PLACES)) if place not in held]
    if lacking:
        raise ConfigError(describe(field, choice, f"has no place {{{lacking[0]}}}", fix="Add it to the file"))
    origin: Literal["own", "official", "file"] = "official" if official or choice == ALPACA_EVAL else "file"
    return PromptTemplate(messages, hashlib.sha256(text.encode()).hexdigest(), "own" if choice == OWN else origin)


def _yaml_messages(text: str, field: str, choice: str) -> Messages:
    """Return the two messages of arena-hard-auto's settings file."""
    import yaml

    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(describe(field, choice, f"not YAML ({' '.join(str(error).split())})")) from None
    texts = []
    for name in ("system_prompt", "prompt_template"):
        value = settings.get(name) if isinstance(settings, dict) else None
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(value, str):
            fix = "Add it to the file; version 2 of arena-hard-auto keeps system_prompt in its code"
            raise ConfigError(describe(field, choice, f"has no text {name}", fix=fix))
        texts.append(value)
    return [{"role": role, "content": text} for role, text in zip(("system", "user"), texts, strict=True)]


def request_text(messages: Messages) -> str:
    """Return what was asked: the prompt itself, or the turns with their roles where there are several."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _original(style: Style, field: str) -> Path:
    """Find the original's prompt without importing the package, which reads and writes files when imported."""
    if style != "preference":
        raise ConfigError(describe(field, ALPACA_EVAL, f"holds no {style} prompt", allowed=f"{OWN}, or a file"))
    found = importlib.util.find_spec("alpaca_eval")
    if found is None or found.origin is None:
        fix = "Install it (pip install alpaca_eval==0.6.6), or name a file"
        raise ConfigError(describe(field, ALPACA_EVAL, "the package is not installed", fix=fix))
    return Path(found.origin).parent / _ORIGINAL_FILE
