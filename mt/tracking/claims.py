"""Which run shows the curves of a stage: several runs share a stage, one of them logs it, the others link there."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from mt.runtime.lock import create_once
from mt.tracking.base import RunLink
from mt.workflow.store import write_json


class Claims:
    """Notes under a store's root, one for each stage and place (a W&B project) that it was logged to."""

    def __init__(self, store: Path, link: RunLink) -> None:
        self.link = link
        self.folder = store / ".tracked" / re.sub(r"[^\w.-]", "_", link.place)

    def owner(self, key: str) -> RunLink | None:
        """Return the run that shows the stage's curves, if one does."""
        try:
            return RunLink(**json.loads(self._path(key).read_text()))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            return None

    def take(self, key: str) -> None:
        """Note that this run computed the stage and showed its curves; the last one to compute it counts."""
        write_json(self._path(key), asdict(self.link))

    def take_if_free(self, key: str) -> RunLink:
        """Return the run that shows the stage: this one, where it is the first to ask for a stage nobody shows."""
        mine = create_once(self._path(key), json.dumps(asdict(self.link)))
        return self.link if mine else self.owner(key) or self.link

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:20]}.json"
