"""What is read of data files: formats, fields, and what evaluation keeps to itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Doc

from mt.choice import Config, Unkeyed
from mt.errors import ConfigError, describe

Format = Literal["auto", "jsonl", "csv", "parquet"]


Files = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Doc("of files, or one file"),
]
"""One file name, or a list of them."""


class FieldsConfig(Config):
    """Names of the fields (columns) of a data file; null leaves a field unread."""

    prompt: str | None
    """A prompt as plain text, or as a list of messages."""
    messages: str | None
    """A conversation that ends with the user's turn; where a row has one, its plain prompt is not read."""
    id: str | None
    """A unique name of the prompt; rows without one are named after a hash of their content."""
    section: str | None
    """A label such as the prompt's source or category."""

    @model_validator(mode="after")
    def _something_is_read(self) -> FieldsConfig:
        if self.prompt is None and self.messages is None:
            raise ConfigError(
                describe("data.fields.prompt", None, "nothing to read", fix="Set data.fields.prompt=NAME")
            )
        return self


class DecontaminationConfig(Config):
    """Prompts that evaluation uses are taken out of training (and out of held-out prompts)."""

    files: Unkeyed[Files]
    """Files of evaluation prompts; their content is keyed, their place is not. Empty removes nothing."""
    fields: FieldsConfig
    """Names of the fields of those files."""
    ngram: Annotated[int, Field(ge=3)] | None
    """Words in a row that a prompt may not share with an evaluation prompt; null removes equal prompts only."""
