"""Models that exist already: a local folder by its content, a hub model by its pinned revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mt.workflow.stage import External


@dataclass(frozen=True, eq=False)
class ModelFolder(External):
    """A model folder of the user's; its fingerprint is a hash of its files."""

    kind: Literal["policy", "reward"]
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"location", "kind"})

    def check(self) -> None:
        """Refuse a folder that cannot serve, before any weight is loaded."""
        from mt.engines.models import check_model

        check_model(self.location, self.kind)
