"""What a numbered notebook must say about itself, read and held strictly.

A notebook declares in its metadata, under `"paper"`, what it makes and what it needs:

    {"title": "The F2 score", "section": "1.3",        the paper's section, for people
     "figures": ["fig04_f2"],                          figures/<profile>/fig04_f2.{png,svg,pdf,csv}
     "results": ["f2_toy.csv"],                        results/<profile>/f2_toy.csv
     "minutes": 5,                                     limit; or {"tiny": 1, "default": 30}
     "needs": ["05_train"],                            earlier notebooks, or outputs of theirs
     "if_possible": ["fig09_showcase.png"],            a figure that not every machine can make
     "reads": ["results/ucmerced/full_resolution.npz"],  shipped files that it draws from
     "chips": "needed",                                not run where there are no chips
     "trains": true}                                   takes all cores: one such at a time, in order

and has one cell tagged `parameters` that assigns literals and does nothing else.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

# jsonschema, which nbformat imports, would build a grammar of internationalised addresses: four
# seconds in every `paper` command, for a check that no notebook needs. None makes that import fail,
# which jsonschema allows for.
_HELD_BACK = "rfc3987_syntax" not in sys.modules and "jsonschema" not in sys.modules
if _HELD_BACK:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
import nbformat  # noqa: E402

if _HELD_BACK:
    del sys.modules["rfc3987_syntax"]

from ..utils.errors import PaperError  # noqa: E402

FIGURE_SUFFIXES = (".png", ".svg", ".pdf", ".csv")
REQUIRED = {"title": str, "section": str, "figures": list, "results": list, "minutes": object}
OPTIONAL = {"needs": list, "if_possible": list, "chips": str, "trains": bool, "reads": list}
_NAME = re.compile(r"(\d\d)_[a-z0-9_]+")
# Tags by which papermill, nbclient or pytest would pass over a cell or its error without a word.
_SILENT_TAGS = {"skip-execution", "raises-exception", "injected-parameters"}


@dataclass(frozen=True)
class Notebook:
    """One notebook as its source declares it.

    name        file name without suffix, `05_train`
    figures     paths under `figures/<profile>/`, every suffix named
    results     paths under `results/<profile>/`
    minutes     time limit, or a limit per profile with `"default"`
    needs       names of earlier notebooks and outputs of theirs, as written
    if_possible  figures that it may make; it says itself why it did not
    reads       shipped files that it draws from, as paths from the checkout's root; one that it
                makes itself, as real chips' table that it draws for scenes, counts elsewhere only
    chips       True where it cannot run without chips
    trains      True where it trains networks
    parameters  name -> default, from the cell tagged `parameters`
    """

    path: Path
    node: nbformat.NotebookNode
    title: str
    section: str
    figures: tuple[str, ...]
    results: tuple[str, ...]
    minutes: float | Mapping[str, float]
    needs: tuple[str, ...]
    if_possible: tuple[str, ...]
    reads: tuple[str, ...]
    chips: bool
    trains: bool
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.name[:2]

    def outputs(self, profile: str) -> tuple[str, ...]:
        """Declared outputs as paths from the checkout's root, with `/`."""
        return tuple(f"figures/{profile}/{name}" for name in self.figures) + tuple(
            f"results/{profile}/{name}" for name in self.results
        )

    def limit(self, profile: str) -> float:
        """Seconds after which a run of this profile counts as hung."""
        minutes = self.minutes
        if isinstance(minutes, Mapping):
            minutes = minutes[profile] if profile in minutes else minutes["default"]
        return 60.0 * float(minutes)

    def check_parameters(self, given: Mapping[str, Any]) -> None:
        """`PaperError` for a parameter that the notebook does not have, or of another type."""
        for name, value in given.items():
            if name not in self.parameters:
                raise PaperError(
                    f"{self.path.name}: unknown parameter {name!r}",
                    f"it has {', '.join(self.parameters)}",
                )
            default = self.parameters[name]
            same = type(value) is type(default) or (
                isinstance(default, float) and type(value) is int
            )
            if default is not None and not same:
                raise PaperError(
                    f"{self.path.name}: parameter {name!r} is {value!r}",
                    f"give a {type(default).__name__}, as the default {default!r} is",
                )


def read(path: Path) -> Notebook:
    """Read and check one notebook; `PaperError` names the file and the fault."""
    match = _NAME.fullmatch(path.stem)
    if not match:
        raise PaperError(f"{path.name}: not called NN_name.ipynb", "give it a two-digit number")
    try:
        node = nbformat.read(path, as_version=4)
        nbformat.validate(node)
    except (ValueError, OSError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PaperError(f"{path.name}: not a notebook: {reason}", "save it again") from error
    if node.metadata.get("kernelspec", {}).get("name") != "python3":
        raise PaperError(
            f"{path.name}: the kernel is not python3", "set metadata.kernelspec.name to python3"
        )
    for cell in node.cells:
        if silent := _SILENT_TAGS & set(cell.metadata.get("tags", [])):
            raise PaperError(
                f"{path.name}: a cell is tagged {silent.pop()!r}",
                "every cell is run and every error counts: take the tag away",
            )
    paper = _paper(path, node)
    return Notebook(
        path=path,
        node=node,
        title=paper["title"],
        section=paper["section"],
        figures=_figures(path, paper["figures"]),
        results=tuple(_inside(path, "results", name) for name in paper["results"]),
        minutes=_minutes(path, paper["minutes"]),
        needs=tuple(paper.get("needs", [])),
        if_possible=_figures(path, paper.get("if_possible", [])),
        reads=tuple(_inside(path, "reads", name) for name in paper.get("reads", [])),
        chips=paper.get("chips", "") == "needed",
        trains=paper.get("trains", False),
        parameters=_parameters(path, node),
    )


def read_all(folder: Path) -> list[Notebook]:
    """Every notebook of a folder in order; `PaperError` also for faults between notebooks.

    Numbers and declared outputs must be unique, and a need must name an earlier notebook or one of
    its outputs.
    """
    notebooks = [read(path) for path in sorted(folder.glob("*.ipynb"))]
    if not notebooks:
        raise PaperError(f"no notebooks in {folder}", "run the command inside the checkout")
    numbers: dict[str, str] = {}
    makers: dict[str, str] = {}
    for notebook in notebooks:
        if (other := numbers.setdefault(notebook.number, notebook.name)) != notebook.name:
            raise PaperError(
                f"{other} and {notebook.name} have the same number", "give each its own"
            )
        for need in notebook.needs:
            if need not in makers:
                raise PaperError(
                    f"{notebook.path.name}: needs {need!r}, which no earlier notebook is or makes",
                    "name a notebook (05_train) or one of its declared outputs (table1.csv)",
                )
        makers[notebook.name] = notebook.name
        for output in (*notebook.figures, *notebook.results):
            if other := makers.get(output):
                raise PaperError(
                    f"{notebook.path.name}: {output!r} is declared by {other} too",
                    "an output has one maker",
                )
            makers[output] = notebook.name
    return notebooks


def maker(notebooks: list[Notebook], need: str) -> Notebook:
    """The notebook that a `needs` entry stands for."""
    return next(n for n in notebooks if need == n.name or need in n.figures or need in n.results)


def choose(notebooks: list[Notebook], wanted: list[str]) -> list[Notebook]:
    """Notebooks asked for by number, name or file; all of them where nothing is asked for."""
    chosen = set()
    for want in wanted:
        stem = Path(want).name.removesuffix(".ipynb")
        found = [n for n in notebooks if stem in (n.name, n.number, n.number.lstrip("0"))]
        if not found:
            raise PaperError(
                f"no notebook {want!r}", f"there are {', '.join(n.name for n in notebooks)}"
            )
        chosen.add(found[0].name)
    return [n for n in notebooks if not wanted or n.name in chosen]


def _paper(path: Path, node: nbformat.NotebookNode) -> Mapping[str, Any]:
    paper = node.metadata.get("paper")
    if not isinstance(paper, Mapping):
        raise PaperError(
            f'{path.name}: no "paper" in its metadata',
            f"declare {', '.join(REQUIRED)} (see paperlib/pipeline/notebooks.py)",
        )
    known = {**REQUIRED, **OPTIONAL}
    for key in REQUIRED:
        if key not in paper:
            raise PaperError(f"{path.name}: metadata paper.{key} is missing", "declare it")
    for key, value in paper.items():
        if key not in known:
            raise PaperError(
                f"{path.name}: unknown metadata paper.{key}", f"known are {', '.join(known)}"
            )
        kind = known[key]
        if not isinstance(value, kind) or (
            kind is list and not all(isinstance(item, str) for item in value)
        ):
            raise PaperError(
                f"{path.name}: metadata paper.{key} is {value!r}",
                f"give a {'list of str' if kind is list else kind.__name__}",
            )
    if paper.get("chips", "needed") != "needed":
        raise PaperError(
            f"{path.name}: metadata paper.chips is {paper['chips']!r}",
            'write "needed", or leave it out',
        )
    return paper


def _figures(path: Path, names: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        _inside(path, "figures", name)
        suffix = PurePosixPath(name).suffix
        found += [name] if suffix in FIGURE_SUFFIXES else [name + s for s in FIGURE_SUFFIXES]
    return tuple(found)


def _inside(path: Path, key: str, name: str) -> str:
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name:
        raise PaperError(
            f"{path.name}: metadata paper.{key} names {name!r}",
            f"give a path inside {key}/<profile>/",
        )
    return name


def _minutes(path: Path, minutes: Any) -> float | Mapping[str, float]:
    values = minutes.values() if isinstance(minutes, Mapping) else [minutes]
    good = all(isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in values)
    if not good or (isinstance(minutes, Mapping) and "default" not in minutes):
        raise PaperError(
            f"{path.name}: metadata paper.minutes is {minutes!r}",
            'give a number, or {"default": 30, "tiny": 1}',
        )
    return minutes


def _parameters(path: Path, node: nbformat.NotebookNode) -> dict[str, Any]:
    """Names and defaults of the one `parameters` cell, which may hold literals only.

    Papermill only warns about a name it does not find, and finds names by regular expressions;
    here the cell is parsed, so that what cannot be set cannot be asked for.
    """
    cells = [c for c in node.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1 or cells[0].cell_type != "code":
        raise PaperError(
            f"{path.name}: {len(cells)} cells are tagged parameters", "tag one code cell"
        )
    cure = "assign literals only, one name a line: profile = 'sample'"
    try:
        body = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise PaperError(f"{path.name}: the parameters cell does not parse", cure) from error
    found: dict[str, Any] = {}
    for statement in body:
        target = None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target = statement.target
        if not isinstance(target, ast.Name):
            raise PaperError(
                f"{path.name}: line {statement.lineno} of the parameters cell is no assignment",
                cure,
            )
        try:
            value = ast.literal_eval(statement.value)
        except ValueError:
            raise PaperError(
                f"{path.name}: parameter {target.id!r} is not a literal", cure
            ) from None
        if target.id in found:
            raise PaperError(f"{path.name}: parameter {target.id!r} is assigned twice", cure)
        found[target.id] = value
    for name in ("profile", "data"):
        if not isinstance(found.get(name), str):
            raise PaperError(
                f"{path.name}: the parameters cell does not set {name!r}",
                "every notebook has profile = 'sample' and data = ''",
            )
    return found


@dataclass(frozen=True)
class State:
    """One notebook of one profile: whether what it makes is there and current.

    reason   `""` where it is current, else what is missing or has changed
    missing  declared outputs that are not there
    last     seconds it took the last time, if known
    """

    notebook: Notebook
    reason: str
    missing: list[str]
    last: float | None
