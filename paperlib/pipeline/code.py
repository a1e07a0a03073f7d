"""The code that a notebook reaches: what its results depend on besides its own cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..utils import code
from .notebooks import Notebook

PACKAGE = code.PACKAGE
#: Arranges every run, whatever the notebook imports: how it is executed, normalised and shown.
_ALWAYS = ("paperlib.pipeline.execute", "paperlib.pipeline.html_page")


def reached(notebook: Notebook, package: Path = PACKAGE) -> dict[str, str]:
    """File, as a path from the checkout, -> digest: what a notebook's results depend on."""
    return code.reached(sources=_code(notebook), alone=_ALWAYS, package=package)


def _code(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.node.cells:
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            yield "\n".join(line for line in lines if not line.startswith(("%", "!")))
