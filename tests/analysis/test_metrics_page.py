"""The page of metrics is the catalogue's."""

from __future__ import annotations

from pathlib import Path

from analysis.metrics import page
from mt.evaluation.catalogue import CATALOGUE


def test_the_page_is_up_to_date() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert text == page(), "Write it anew: python -m analysis.metrics > docs/metrics.md"
    assert all(one.title in text for one in CATALOGUE)
