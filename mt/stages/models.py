"""Models that exist already: a local folder by its content, a hub model by its pinned revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mt.errors import ModelError
from mt.workflow.stage import External


@dataclass(frozen=True, eq=False)
class ModelFolder(External):
    """A model folder of the user's; its fingerprint is a hash of its files."""

    kind: Literal["policy", "reward"]
    """What it is to serve as; keyed, so that a folder that is named as both is checked as both."""
    has_template: bool = True
    """Whether the folder has to bring its chat template: no setting names a file in its place."""
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location", "has_template"})

    def check(self) -> None:
        """Refuse a folder that cannot serve, before any weight is loaded."""
        from mt.engines.models import check_model

        check_model(self.location, self.kind, has_template=self.has_template)


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
