"""Executing the stored notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import nbformat
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

from analysis.notebooks import FOLDER


@contextmanager
def running_kernel() -> Iterator[KernelManager]:
    """One kernel for several notebooks, started where Jupyter would start it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(FOLDER.parent))
        manager, client = start_new_kernel(cwd=str(FOLDER))
        client.stop_channels()
        try:
            yield manager
        finally:
            manager.shutdown_kernel(now=True)


def execute(name: str, source: str, kernel: KernelManager, *, warns: bool = False) -> str:
    """Execute a stored notebook in an emptied kernel, one cell changed, and return everything that it shows."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.id == "source"]
    cell.source = f"%reset -f\nSOURCE = {source!r}\nFILTERS = {{}}"
    NotebookClient(notebook, km=kernel, timeout=120).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert warns or not [output for output in outputs if output.get("name") == "stderr"], outputs
    return "".join(output.get("text", "") or str(list(output.get("data", {}))) for output in outputs)
