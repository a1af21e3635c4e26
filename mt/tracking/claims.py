"""Which run shows the curves of a stage: several runs share a stage, one of them logs it, the others link there."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

from mt.tracking.base import RunLink


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
        draft = self._path(key).with_suffix(f".{os.getpid()}")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(self.link)))
        draft.replace(self._path(key))

    def take_if_free(self, key: str) -> RunLink:
        """Return the run that shows the stage: this one, where it is the first to ask for a stage nobody shows."""
        path = self._path(key)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(self.link)))
        try:
            os.link(draft, path)
        except FileExistsError:
            return self.owner(key) or self.link
        finally:
            draft.unlink()
        return self.link

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:20]}.json"
