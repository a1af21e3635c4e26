"""`python -m analysis.notebooks`: write the notebooks, one per table and figure, of one form and without outputs.

They hold no logic: one cell says where the runs are, one loads them, the others print and draw.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from analysis.figures import DRAWN
from analysis.spec import TableSpec
from analysis.specs import SPECS

FOLDER = Path(__file__).resolve().parent
SOURCE = (
    'SOURCE = "../runs"  # or "wandb:ENTITY/PROJECT"\nFILTERS = {}  # such as {"sweep": "…"} or {"seed": [0, 1, 2]}'
)


def text(spec: TableSpec) -> str:
    """Return a notebook's file."""
    run = f"python -m mt.run -m experiment={spec.name} seed=0,1,2"
    code = {
        "source": SOURCE,
        "load": "from analysis import load\nfrom analysis.tables import show\n\nframe = load(SOURCE, FILTERS)",
        "show": f'show("{spec.name}", frame)',
    }
    if spec.name in DRAWN:
        code["draw"] = f'from analysis.figures import figure\n\nfigure("{spec.name}", frame)'
    head = new_markdown_cell(f"# {spec.title}\n\nThe runs come from `{run}`.", id="head")
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    made = new_notebook(cells=[head, *(new_code_cell(one, id=name) for name, one in code.items())], metadata=kernel)
    return nbformat.writes(made) + "\n"


def main() -> int:
    """Write every notebook beside this module."""
    for spec in SPECS.values():
        (FOLDER / f"{spec.name}.ipynb").write_text(text(spec))
        print(FOLDER / f"{spec.name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
