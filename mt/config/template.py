"""Settings of a model's chat template: the file it comes from, the arguments it gets and the date it shows."""

from __future__ import annotations

from datetime import date as Date
from typing import Any

from pydantic import field_validator

from mt.config.base import Config, Unkeyed
from mt.errors import ConfigError, describe

DEFAULT_DATE = "2024-07-26"
"""The day that Llama 3.1's template shows where nobody gives one; conf/config.yaml repeats it."""

_TAKEN = frozenset(
    [
        "conversation",
        "conversations",
        "messages",
        "tools",
        "documents",
        "chat_template",
        "add_generation_prompt",
        "continue_final_message",
        "tokenize",
        "padding",
        "truncation",
        "max_length",
        "return_tensors",
        "return_dict",
        "return_assistant_tokens_mask",
        "tokenizer_kwargs",
        "strftime_now",
        "raise_exception",
    ]
)


class TemplateConfig(Config):
    """How a model's chat template is rendered."""

    file: Unkeyed[str | None]
    """Absolute path of a Jinja file that replaces or provides the folder's own template; None keeps the folder's."""
    fingerprint: str | None
    """SHA-256 of that file's content, which enters keys in the place of its path; None without a file."""
    kwargs: dict[str, Any]
    """Arguments of the template beside the conversation, such as enable_thinking."""
    date: str
    """The ISO date that a template shows as today (strftime_now, date_string)."""

    @field_validator("kwargs")
    @classmethod
    def _leaves_our_arguments(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(_TAKEN.intersection(value)):
            mend = "Remove it: the conversation, the generation prompt and the date are set by the project"
            raise ConfigError(describe(f"template_kwargs.{name}", value[name], "cannot be set", mend=mend))
        return value

    @field_validator("date")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        try:
            return Date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise ConfigError(describe("template_date", value, "is not a date", allowed="YYYY-MM-DD")) from error
