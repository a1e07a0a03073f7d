"""The code that a notebook reaches: each file of the library it imports, with a digest.

A digest is of the syntax tree without its docstrings: a comment, a docstring or another line break
changes nothing. Files of data belong to the module of the same stem beside them, else to the
package that holds them (`label_sets.csv` to the scenes, the style sheet to the plots).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from .notebooks import Notebook

PACKAGE = Path(__file__).resolve().parents[1]
_DATA = {".toml", ".csv", ".mplstyle"}
#: Arranges every run, whatever the notebook imports: how a notebook is executed and normalised.
_ALWAYS = ("paperlib.pipeline.execute",)


def reached(notebook: Notebook, package: Path = PACKAGE) -> dict[str, str]:
    """File, as a path from the checkout, -> digest: what a notebook's results depend on."""
    found: set[str] = set(_ALWAYS)  # the module alone, not what it imports
    queue = [m for cell in _code(notebook) for m in _imported(ast.parse(cell), "", False)]
    while queue:
        module = queue.pop()
        if (path := _path(package, module)) is None or module in found:
            continue
        found.add(module)
        queue += _read(path, module)[0]
        queue += [module.rpartition(".")[0]]  # a package's __init__ runs before its modules
    digests = {}
    for module in found:
        path = _path(package, module)
        digests[path] = _read(path, module)[1]
        digests |= {data: _read(data)[1] for data in _data_of(path)}
    return {
        f"paperlib/{path.relative_to(package).as_posix()}": digests[path]
        for path in sorted(digests)
    }


def _code(notebook: Notebook) -> Iterator[str]:
    for cell in notebook.node.cells:
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            yield "\n".join(line for line in lines if not line.startswith(("%", "!")))


def _imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Modules that may be imported, as dotted names; those imported for types alone are not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".") if is_package else module.split(".")[:-1]
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (base, node.module)))
            yield base
            yield from (f"{base}.{name.name}" for name in node.names)
        else:
            yield from _imported(node, module, is_package)


def _path(package: Path, module: str) -> Path | None:
    """The file of a module of the library; None for every other name."""
    root, _, rest = module.partition(".")
    place = package.joinpath(*filter(None, rest.split(".")))
    if root != "paperlib":
        return None
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file() and path.is_relative_to(package):
            return path
    return None


def _data_of(module: Path) -> Iterable[Path]:
    beside = (p for p in module.parent.iterdir() if p.suffix in _DATA)
    for path in sorted(beside):
        own = path.with_suffix(".py")
        if (own if own.is_file() else path.with_name("__init__.py")) == module:
            yield path


@cache
def _read(path: Path, module: str = "") -> tuple[tuple[str, ...], str]:
    """What a file imports, and 12 hexadecimal digits over it."""
    data, links = path.read_bytes().replace(b"\r\n", b"\n"), ()
    if path.suffix == ".py":
        tree = ast.parse(data)
        links = tuple(_imported(tree, module, path.name == "__init__.py"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
                ast.get_docstring(node, clean=False) is not None
            ):
                node.body = node.body[1:] or [ast.Pass()]
        data = ast.dump(tree).encode()
    return links, hashlib.sha256(data).hexdigest()[:12]
