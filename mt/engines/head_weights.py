"""A reward model with several outputs as one with a single reward: the outputs' weighted sum."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mt.engines.contexts import read_json
from mt.engines.heads import REWARD_HEAD
from mt.workflow.store import write_json

_PICKLED = {".bin", ".pt", ".pth", ".gguf"}


def combine_head(source: Path, target: Path, weights: Sequence[float]) -> None:
    """Write the model in `source` to `target`, its head's outputs replaced by their weighted sum, in float32.

    A sum of linear outputs is a linear output: everything that reads one reward reads this model.
    """
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    weight_N = torch.tensor(weights, dtype=torch.float32)
    names = (f"{REWARD_HEAD}.weight", f"{REWARD_HEAD}.bias")
    for path in sorted(source.iterdir()):
        if not path.is_file() or path.suffix in _PICKLED:
            continue
        held: set[str] = set()
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                held = set(file.keys()).intersection(names)
        if not held:
            shutil.copyfile(path, target / path.name)
            continue
        tensors = load_file(path)
        for name in held:
            tensors[name] = (weight_N @ tensors[name].float())[None].contiguous()
        save_file(tensors, target / path.name, metadata={"format": "pt"})
    config = read_json(source / "config.json")
    write_json(target / "config.json", {**config, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}})
