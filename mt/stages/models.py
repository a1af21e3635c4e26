"""Models that exist already: a local folder by its content, a hub model by its pinned revision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from mt.errors import ConfigError, ModelError, describe
from mt.workflow.stage import External, Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class ModelFolder(External):
    """A model folder of the user's; its fingerprint is a hash of its files."""

    kind: Literal["policy", "reward"]
    """What it is to serve as; keyed, so that a folder that is named as both is checked as both."""
    has_template: bool = True
    """Whether the folder has to bring its chat template: no setting names a file in its place."""
    allow_extra_weights: bool = False
    """Whether weights that the model does not have are left out; otherwise they are refused."""
    outputs: int = 1
    """Outputs of a reward model's head; several are combined by a stage of their own, which keys how."""
    setting: str = ""
    """The setting that names it, for errors: policy.path or reward.path unless another is given."""
    UNKEYED: ClassVar[frozenset[str]] = frozenset({
        "location", "has_template", "allow_extra_weights", "outputs", "setting",
    })  # fmt: skip

    @property
    def field(self) -> str:
        """The setting that errors name."""
        return self.setting or f"{self.kind}.path"

    def check(self) -> None:
        """Refuse a folder that cannot serve, before any weight is loaded."""
        from mt.engines.models import check_model

        check_model(self.location, self.kind, has_template=self.has_template, outputs=self.outputs, setting=self.field)

    def inspect(self) -> None:
        """Refuse weights that do not fit the architecture, and outputs that would not be the model's own."""
        _inspected(self.location, self.kind, self.fingerprint, self.allow_extra_weights, self.outputs, self.field)

    def skeleton(self) -> Any:
        """Return the model without weights (on torch's meta device)."""
        import torch

        from mt.engines.inspection import read_architecture

        model_class, config = read_architecture(self.location, self.kind, self.field)
        with torch.device("meta"):
            return model_class(config)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the shape that its config.json states."""
        from mt.engines.shapes import shape_of_folder

        return Volume(shape=shape_of_folder(self.location))


@dataclass(frozen=True, eq=False)
class HubModel(ModelFolder):
    """A model by its hub name; its fingerprint is "owner/name@revision", its place the local hub cache."""

    def check(self) -> None:
        """Bring the model into the local cache unless it is there, then refuse what cannot serve."""
        from mt.data.hub import MODEL_FILES, fetch

        try:
            super().check()
        except ModelError:
            name, revision = self.fingerprint.split("@")
            fetch("model", name, revision, MODEL_FILES, self.kind)
            super().check()

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its shape: of the local copy, else what is known of it."""
        from mt.engines.shapes import KNOWN

        if self.location.is_dir():
            return super().volume(inputs, assumed)
        name = self.fingerprint.split("@")[0]
        if name not in KNOWN:
            fix = "Download it once (huggingface-cli download), or give a local folder"
            raise ConfigError(describe("model", name, "its sizes are not known here", fix=fix))
        return Volume(shape=KNOWN[name])


@cache
def _inspected(
    folder: Path,
    kind: Literal["policy", "reward"],
    fingerprint: str,
    allow_extra_weights: bool,
    outputs: int,
    setting: str,
) -> None:
    """Inspect a model once a process, however many runs of a sweep read it."""
    from mt.engines.inspection import inspect_model

    inspect_model(folder, kind, allow_extra_weights=allow_extra_weights, outputs=outputs, setting=setting)


@dataclass(frozen=True, eq=False)
class CombineHead(Stage):
    """A reward model whose head has several outputs as one whose reward is their weighted sum."""

    VERSION: ClassVar[int] = 1
    initial: Stage
    weights: tuple[float, ...]

    def run(self, work: Work) -> None:
        """Write the model with another head."""
        from mt.engines.head_weights import combine_head

        combine_head(work.path(self.initial), work.folder, self.weights)
