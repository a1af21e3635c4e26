"""Lengths that follow a model's context."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt.engines.contexts import context_length, within_context
from mt.errors import ModelError


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 1024}, 1024),
        ({"n_positions": 512}, 512),
        ({"max_position_embeddings": None, "text_config": {"max_position_embeddings": 256}}, 256),
        ({}, None),
    ],
)
def test_the_context_is_read_from_the_config(tmp_path: Path, config: object, context: int | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert context_length(tmp_path) == context
    assert within_context(str(tmp_path), 2048) == (context or 2048)
    assert within_context(str(tmp_path), 64) == 64


@pytest.mark.parametrize("content", ["{", "[]", '{"text_config": 3}'])
def test_a_broken_config_is_reported_by_the_check_and_changes_no_length(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json: (its text_config=3 )?is not (a JSON object|valid JSON)"):
        context_length(tmp_path)
    assert within_context(str(tmp_path), 2048) == 2048


def test_hub_names_and_missing_folders_keep_the_length(tmp_path: Path) -> None:
    assert within_context("owner/name", 2048) == 2048
    assert within_context(None, 2048) == 2048
    assert context_length(tmp_path) is None
