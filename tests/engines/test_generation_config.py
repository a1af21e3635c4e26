"""Generation settings that transformers loads and refuses to save are made valid; their values stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from mt.engines.models import load_weights
from mt.engines.text import open_chat
from tests.engines.tiny import tiny_policy, tiny_reward

ENDS = {"bos_token_id": 1, "eos_token_id": [2, 5]}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"temperature": 0.9, "top_p": 0.6}, {"do_sample": True, "temperature": 0.9, "top_p": 0.6}),
        ({"top_k": 20, "do_sample": False}, {"do_sample": True, "top_k": 20}),
        ({"temperature": 0.0}, {}),
        ({"temperature": 0.0, "top_p": 0.9}, {}),
        ({"temperature": 0.6, "early_stopping": True}, {"do_sample": True, "temperature": 0.6}),
        ({"num_beams": 4, "length_penalty": 0.8}, {"num_beams": 4, "length_penalty": 0.8}),
        ({"output_scores": True}, {}),
        ({"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
    ],
)
def test_settings_can_be_saved_with_their_values(tmp_path: Path, given: dict[str, Any], kept: dict[str, Any]) -> None:
    folder = tiny_policy(tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({**ENDS, **given}))
    load_weights(folder, "policy", torch.float32).save_pretrained(tmp_path / "published")
    published = json.loads((tmp_path / "published" / "generation_config.json").read_text())
    published.pop("transformers_version")
    assert published == {**ENDS, **kept}


@pytest.mark.parametrize("kind", ["policy", "reward"])
def test_settings_in_the_models_own_config_move(tmp_path: Path, kind: str) -> None:
    folder = {"policy": tiny_policy, "reward": tiny_reward}[kind](tmp_path / "model")
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "temperature": 0.7}))
    load_weights(folder, kind, torch.float32).save_pretrained(tmp_path / "published")  # type: ignore[arg-type]
    assert "temperature" not in json.loads((tmp_path / "published" / "config.json").read_text())
    if kind == "policy":
        assert json.loads((tmp_path / "published" / "generation_config.json").read_text())["temperature"] == 0.7


def test_without_the_file_the_models_own_config_names_the_ends(tmp_path: Path) -> None:
    folder = tiny_policy(tmp_path / "model")
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": [5, 2]}))
    chat = open_chat(folder)
    assert set(chat.stop_ids) == set(AutoModelForCausalLM.from_pretrained(folder).generation_config.eos_token_id)
    assert chat.stop_ids == [2, 5]  # the end of a turn is what the template writes
