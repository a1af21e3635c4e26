"""The notebooks: as they are generated, without outputs, and executed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

from analysis.notebooks import FOLDER, text
from analysis.specs import SPECS
from tests.analysis.notebook import execute, running_kernel
from tests.analysis.synthetic import write_runs


@pytest.mark.parametrize("name", list(SPECS))
def test_a_notebook_is_as_generated_and_without_outputs(name: str) -> None:
    stored = FOLDER / f"{name}.ipynb"
    assert stored.read_text() == text(SPECS[name]), "run python -m analysis.notebooks"
    nbformat.validate(nbformat.read(stored, as_version=4))


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    with running_kernel() as kernel:
        yield kernel


@pytest.mark.parametrize("name", list(SPECS))
def test_a_notebook_runs(tmp_path: Path, name: str, kernel: KernelManager) -> None:
    shown = execute(name, str(write_runs(tmp_path, name, range(2))), kernel)
    assert SPECS[name].title in shown
    assert ("image/svg+xml" in shown) == name.startswith(("figure", "study"))
