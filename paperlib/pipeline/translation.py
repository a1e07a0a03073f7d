"""Notebooks in another language: the text from `notebooks/LANGUAGE/NAME.md`, the code as it is.

A translation holds the text cells alone, each after a line `<!-- id of the cell -->`; so the code
exists once. A notebook that has one has a parameter `language`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from ..utils import files
from ..utils.errors import PaperError

#: A line's end between two Chinese characters, where English has a space and Chinese has none.
_WITHIN = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?:> )?(?=[\u3000-\u9fff\uff00-\uffef])")
_CELL = re.compile(r"^<!-- (\S+) -->\n", re.MULTILINE)


def text(path: Path) -> dict[str, str]:
    """A translation: the id of a cell -> its text."""
    parts = _CELL.split(path.read_text(encoding="utf-8"))
    texts = (_WITHIN.sub("", part.strip()) for part in parts[2::2])
    return dict(zip(parts[1::2], texts, strict=True))


def translated(notebook: Path, language: str) -> nbformat.NotebookNode:
    """A notebook with its text cells in another language, and its parameter set to it.

    Raises `PaperError` where there is no translation, or one that lacks a cell or has one more.
    """
    path = notebook.parent / language / f"{notebook.stem}.md"
    if not path.is_file():
        there = sorted(p.parent.name for p in notebook.parent.glob(f"*/{notebook.stem}.md"))
        raise PaperError(
            f"{notebook.name} is not there in {language!r}",
            f"languages: {', '.join(['en', *there])}",
        )
    node, found = nbformat.read(notebook, as_version=4), text(path)
    cells = {cell.id: cell for cell in node.cells if cell.cell_type == "markdown"}
    if other := cells.keys() ^ found.keys():
        raise PaperError(
            f"{path.name} and {notebook.name} differ in the cells {', '.join(sorted(other))}",
            f"give {path} a text for each text cell",
        )
    for name, cell in cells.items():
        cell.source = found[name]
    for cell in node.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(
                r'^language = ".*"$', f'language = "{language}"', cell.source, flags=re.MULTILINE
            )
    return node


def file(notebook: Path, parameters: Mapping[str, Any]) -> Path | None:
    """The translation that these parameters ask for, if they ask for one."""
    language = str(parameters.get("language", "en"))
    return None if language == "en" else notebook.parent / language / f"{notebook.stem}.md"


def source(notebook: Path, parameters: Mapping[str, Any], beside: Path) -> Path:
    """What is to be executed: the notebook, or its translation, written to `beside`."""
    if not (path := file(notebook, parameters)):
        return notebook
    nbformat.write(translated(notebook, path.parent.name), beside)
    return beside


def main(folder: Path, copies: Path) -> None:
    """Working copies of every translation that has none yet, as `NAME.LANGUAGE.ipynb`."""
    for path in sorted(folder.glob("*/*.md")):
        copy = copies / f"{path.stem}.{path.parent.name}.ipynb"
        notebook = folder / f"{path.stem}.ipynb"
        if notebook.is_file() and not copy.exists():
            with files.replacing(copy) as partial:
                nbformat.write(translated(notebook, path.parent.name), partial)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
