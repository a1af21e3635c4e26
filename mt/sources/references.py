"""The models that a user names: a local folder by its content, a hub name by its pinned revision."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mt.config.run import RunConfig
from mt.data.hub import check_name, file_name, snapshot_folder
from mt.engines.models import check_model
from mt.engines.template import TemplateConfig
from mt.errors import ConfigError, DataError, describe, no_file
from mt.stages.files import HubFile
from mt.stages.models import CombineHead, HubModel, ModelFolder
from mt.workflow.fingerprint import file_fingerprint, folder_fingerprint
from mt.workflow.stage import External, Stage


def template_of(config: RunConfig, kind: Literal["policy", "reward"]) -> TemplateConfig:
    """Return how the chat template of the policy or of the reward model is rendered, its file known by content.

    Raises ConfigError naming `policy.chat_template` or `reward.chat_template` where there is no such file.
    """
    settings = config.policy if kind == "policy" else config.reward
    if settings.chat_template is None:
        return settings.template()
    path, field = Path(settings.chat_template).expanduser(), f"{kind}.chat_template"
    if not path.is_file():
        raise ConfigError(describe(field, path, no_file(path), allowed="a Jinja file, or null", fix="Check the path"))
    return settings.template(str(path.resolve()), file_fingerprint(path, Path(config.store)))


def without_file(template: TemplateConfig) -> TemplateConfig:
    """Return the settings for another policy: the same arguments and day, but its own folder's chat template."""
    return template.model_copy(update={"file": None, "fingerprint": None})


def configured_model(config: RunConfig, kind: Literal["policy", "reward"]) -> Stage:
    """Return the model that the user names by `policy.path` or `reward.path`; needs no network.

    Raises ConfigError where the path is neither a local folder nor a hub name with a pinned revision.
    """
    settings = config.policy if kind == "policy" else config.reward
    has_template = settings.chat_template is None
    weights = config.reward.head_weights if kind == "reward" else None
    outputs = len(weights) if weights else 1
    found = named_model(config, kind, str(settings.path), settings.revision, has_template=has_template, outputs=outputs)
    return CombineHead(found, tuple(weights)) if weights else found


def named_model(
    config: RunConfig,
    kind: Literal["policy", "reward"],
    name: str,
    revision: str | None,
    *,
    has_template: bool = True,
    outputs: int = 1,
    setting: str = "",
) -> Stage:
    """Return the model of a local folder, or of a hub name with a pinned revision.

    `has_template` says that the folder has to bring its chat template: no setting names a file in its place; `outputs`
    are those of a reward model's head. Errors name the `setting`, which is `<kind>.path` unless another is given.
    """
    folder = Path(name).expanduser()
    allow_extra = (config.policy if kind == "policy" else config.reward).allow_extra_weights
    if folder.exists():
        # First: hashing what is no model may take very long.
        check_model(folder, kind, has_template=has_template, outputs=outputs, setting=setting)
        fingerprint = folder_fingerprint(folder, Path(config.store))
        return ModelFolder(fingerprint, folder.resolve(), kind, has_template, allow_extra, outputs, setting)
    revision = check_name(setting or f"{kind}.path", name, revision)
    snapshot = snapshot_folder("model", name, revision)
    return HubModel(f"{name}@{revision}", snapshot, kind, has_template, allow_extra, outputs, setting)


def named_file(config: RunConfig, name: str, field: str) -> External:
    """Return a local file by its content, or a hub data set's by its pinned revision (OWNER/NAME@COMMIT:FILE).

    Raises DataError naming the setting `field` where there is no such file, ConfigError where the revision is missing.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return External(file_fingerprint(path, Path(config.store)), path.resolve())
    on_hub = file_name(field, name)
    if on_hub is None:
        allowed = "a local file, or OWNER/NAME@COMMIT:FILE of a hub data set"
        raise DataError(describe(field, name, no_file(path), allowed=allowed, fix="Check the path"))
    repository, revision, file = on_hub
    return HubFile(name, snapshot_folder("dataset", repository, revision) / file, field)
