"""Every benchmark imports: they are run by hand, months apart, and use names of the package that move."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import benchmarks


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(benchmarks.__path__[0]).glob("*.py")))
def test_it_imports(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")
