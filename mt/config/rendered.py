"""Settings that say how a model's chat template is rendered, in the groups of the models that have one."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ValidationError, model_validator

from mt.config.base import Config
from mt.config.template import DEFAULT_DATE, TemplateConfig
from mt.errors import ConfigError, describe


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
                raise ConfigError(describe(field, value, "null is no value of an argument", mend="Leave it out"))
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
