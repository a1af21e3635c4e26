"""`python -m analysis.notebooks`: write the notebooks, one per table and figure, of one form and without outputs.

They hold no logic: one cell says where the runs are, one loads them, the others print and draw.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from analysis.specs import SPECS, TableSpec

FOLDER = Path(__file__).resolve().parent
SOURCE = (
    'SOURCE = "../runs"  # or "wandb:ENTITY/PROJECT"\nFILTERS = {}  # such as {"sweep": "…"} or {"seed": [0, 1, 2]}'
)
_TABLES = ("table1", "table2", "table3", "table4", "table5")


def notebook(spec: TableSpec) -> dict[str, Any]:
    """Return a notebook as plain data."""
    run = f"python -m mt.run -m experiment={spec.name} seed=0,1,2"
    cells = [
        _markdown("head", f"# {spec.title}\n\nThe runs come from `{run}`."),
        _code("source", SOURCE),
        _code("load", "from analysis import load\nfrom analysis.tables import show\n\nframe = load(SOURCE, FILTERS)"),
        _code("show", f'show("{spec.name}", frame)'),
        *([] if spec.name in _TABLES else [_code("draw", _drawing(spec.name))]),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def text(spec: TableSpec) -> str:
    """Return a notebook's file."""
    return json.dumps(notebook(spec), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write every notebook beside this module."""
    for spec in SPECS.values():
        (FOLDER / f"{spec.name}.ipynb").write_text(text(spec))
        print(FOLDER / f"{spec.name}.ipynb")
    return 0


def _drawing(name: str) -> str:
    return f'from analysis.figures import figure\n\nfigure("{name}", frame)'


def _markdown(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": _lines(source)}


def _code(name: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code", "execution_count": None, "id": name, "metadata": {}, "outputs": [],
        "source": _lines(source),
    }  # fmt: skip


def _lines(source: str) -> list[str]:
    return source.splitlines(keepends=True)


if __name__ == "__main__":
    sys.exit(main())
