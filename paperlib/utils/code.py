"""The code that something was made by: each file of the library that its modules reach.

One mechanism for training runs, generated scenes, dehazed chips, features and notebooks. A digest
is of the syntax tree without its docstrings: a comment, a docstring or another line break
changes nothing. Files of data belong to the module of the same stem beside them, else to the
package that holds them (`label_sets.csv` to the scenes, the style sheet to the plots).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from .errors import PaperError

PACKAGE = Path(__file__).resolve().parents[1]
_DATA = {".toml", ".csv", ".mplstyle"}


def reached(
    modules: Iterable[str] = (),
    sources: Iterable[str] = (),
    *,
    alone: Iterable[str] = (),
    package: Path = PACKAGE,
) -> dict[str, str]:
    """File, as a path from the checkout, -> digest: the code that a result depends on.

    modules  dotted names, with all that they import, and so on
    sources  texts of Python that import modules
    alone    modules without what they import
    package  the folder of the library
    """
    found: set[str] = set(alone)
    queue = [
        *modules,
        *(m for text in sources for m in _imported(_parsed(text, "a notebook"), "", False)),
    ]
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


def stamp(*modules: str) -> str:
    """64 hexadecimal digits over all that the modules reach: part of the key of what is cached."""
    return total(reached(modules))


def total(digests: dict[str, str]) -> str:
    """64 hexadecimal digits over what `reached` gives."""
    text = "\n".join(f"{path} {digests[path]}" for path in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()


def differing(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Files that one of two answers of `reached` has another digest of, sorted."""
    return [path for path in sorted({*before, *now}) if before.get(path) != now.get(path)]


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


def forget() -> None:
    """Read the files anew the next time: they may have been edited since."""
    _read.cache_clear()


def _parsed(text: str | bytes, where: object) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise PaperError(f"{where}, line {error.lineno}: {error.msg}", "mend it") from error


@cache
def _read(path: Path, module: str = "") -> tuple[tuple[str, ...], str]:
    """What a file imports, and 12 hexadecimal digits over it."""
    data, links = path.read_bytes().replace(b"\r\n", b"\n"), ()
    if path.suffix == ".py":
        tree = _parsed(data, path)
        links = tuple(_imported(tree, module, path.name == "__init__.py"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
                ast.get_docstring(node, clean=False) is not None
            ):
                node.body = node.body[1:] or [ast.Pass()]
        data = ast.dump(tree).encode()
    return links, hashlib.sha256(data).hexdigest()[:12]
