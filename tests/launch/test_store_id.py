"""The mark of a store: made once, missing or different where another file system answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.create import check_store, store_id
from mt.errors import LaunchError


def test_the_id_is_made_once(tmp_path: Path) -> None:
    mark = store_id(tmp_path / "store")
    assert store_id(tmp_path / "store") == mark
    check_store(tmp_path / "store", mark)


def test_another_store_at_the_same_path_is_refused(tmp_path: Path) -> None:
    mark = store_id(tmp_path / "here")
    store_id(tmp_path / "there")
    for place in ("there", "nowhere"):
        with pytest.raises(LaunchError, match=r"store=.*does not see the store.*store=DIR"):
            check_store(tmp_path / place, mark)
