"""The code that a notebook reaches: what its results depend on besides its own cells."""

from __future__ import annotations

import ast
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
            yield _as_python(cell.source)


def _as_python(cell: str) -> str:
    """A cell as Python, where it may hold %magic, !command or help? as well."""
    try:
        ast.parse(cell)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager  # half a second

        return TransformerManager().transform_cell(cell)
    return cell
