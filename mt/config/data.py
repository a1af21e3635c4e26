"""Where prompts come from: the synthetic world, the user's files, or a data set by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mt.config.base import Config, Unkeyed
from mt.config.world import WorldData
from mt.errors import ConfigError, describe

Format = Literal["auto", "jsonl", "csv", "parquet"]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Files = Annotated[list[str], BeforeValidator(_listed)]
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
                describe("data.fields.prompt", None, "nothing to read", mend="Set data.fields.prompt=NAME")
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


class PromptData(Config):
    """What all sources of prompts have in common."""

    family: Literal["paper"]
    """Which hyper-parameters apply: the paper's."""
    format: Unkeyed[Format]
    """Format of the data files; auto goes by the ending (.jsonl, .json, .csv, each also .gz; .parquet)."""
    fields: FieldsConfig
    limit: Annotated[int, Field(ge=1)] | None
    """Prompts to use at most, in the order of the files; null uses all."""
    held_out: Annotated[float, Field(gt=0)]
    """Prompts that only evaluation uses: a whole number, or a share below 1. Chosen by a hash of their content."""
    decontamination: DecontaminationConfig
    """Which prompts evaluation keeps to itself."""
    refused_prompts: Literal["error", "drop"]
    """What happens to prompts that the chat template of the policy or of the reward model refuses, such as a system
    turn under Gemma's: the run stops at its start and names them, or they are dropped and counted."""
    demonstrations: str | None
    """Answers to imitate (method=spin): a file of prompt and response, or of messages with the answer last; on the hub
    by OWNER/NAME@COMMIT:FILE."""
    preferences: str | None
    """Offline preference pairs (method=sail, rm_data=replay): a file of chosen and rejected, texts beside a prompt or
    chats with the answer last; named likewise."""

    @field_validator("held_out")
    @classmethod
    def _is_share_or_count(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ConfigError(
                describe("data.held_out", value, "no share and no count", allowed="a share below 1, or a whole number")
            )
        return value


class FileData(PromptData):
    """The user's own files (data=jsonl)."""

    name: Literal["jsonl"]
    path: Annotated[Files, Field(min_length=1)]
    """A file, or a list of files."""


class HubData(PromptData):
    """A data set by its hub name, or a local copy of it (data=hub, data=ultrafeedback)."""

    name: Literal["hub", "ultrafeedback"]
    path: str
    """A hub name (owner/name), or a local folder or file."""
    revision: str | None
    """The pinned commit of a hub name (40 hex digits); unused for a local folder."""
    split: str | None
    """The split, as its files are named: data/<split>-00000-of-00001.parquet, <split>.jsonl, <split>/…"""
    subset: str | None
    """The folder that holds the split's files; null where the data set has no subsets."""
    files: str | None
    """A pattern of file names instead of split and subset: "data/train-*.parquet"."""

    @model_validator(mode="after")
    def _files_are_named(self) -> HubData:
        if self.split is None and self.files is None:
            raise ConfigError(
                describe("data.split", None, "which files to read is not said", mend="Set data.split=NAME")
            )
        return self


DataConfig = Annotated[WorldData | FileData | HubData, Field(discriminator="name")]
