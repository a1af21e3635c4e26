"""How a model's chat template is rendered: its file, its arguments and its date, and the settings that say so."""

from __future__ import annotations

from datetime import date as Date
from typing import Any, ClassVar

from pydantic import ValidationError, field_validator, model_validator

from mt.choice import Config, Unkeyed
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
            fix = "Remove it: the conversation, the generation prompt and the date are set by the project"
            raise ConfigError(describe(f"template_kwargs.{name}", value[name], "cannot be set", fix=fix))
        return value

    @field_validator("date")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        try:
            return Date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise ConfigError(describe("template_date", value, "is not a date", allowed="YYYY-MM-DD")) from error


class RenderedConfig(Config):
    """A model whose chat template takes arguments."""

    GROUP: ClassVar[str]
    """The group's name, by which errors name its settings."""
    template_kwargs: dict[str, Any]
    """Arguments of the chat template beside the conversation, such as enable_thinking: false."""

    @property
    def _date(self) -> str:
        return DEFAULT_DATE

    def template(self, file: str | None = None, fingerprint: str | None = None) -> TemplateConfig:
        """Return how the template is rendered, with the Jinja `file` of that fingerprint in place of the folder's."""
        return TemplateConfig(file=file, fingerprint=fingerprint, kwargs=self.template_kwargs, date=self._date)

    @model_validator(mode="after")
    def _can_be_rendered(self) -> RenderedConfig:
        for name, value in self.template_kwargs.items():
            if _holds_null(value):  # keys leave null out: two ways to render would share one key
                field = f"{self.GROUP}.template_kwargs.{name}"
                raise ConfigError(describe(field, value, "null is no value of an argument", fix="Leave it out"))
        try:
            self.template()
        except ValidationError as error:
            raise ConfigError(f"{self.GROUP}.{error.errors()[0]['ctx']['error']}") from error
        return self


def _holds_null(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(_holds_null, inner))


class RenderedModelConfig(RenderedConfig):
    """A model whose chat template and its day are settings, too."""

    chat_template: str | None
    """A Jinja file in the place of the folder's chat template, or for a folder without one; null keeps the folder's.
    Its content is keyed."""
    template_date: str
    """The day that the chat template shows as today (YYYY-MM-DD): prompts rendered on two days are the same."""

    @property
    def _date(self) -> str:
        return self.template_date
