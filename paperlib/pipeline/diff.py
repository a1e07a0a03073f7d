"""`paper diff`: what an author's change moved, against a commit: figures, cells, verdicts.

The old side never comes from the working tree (`shipped.earlier`), so that the page is right while
notebooks and code are being edited. The page, `results/diff.html`, holds all it shows.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from ..profiles import profile as known
from ..published import claims as all_claims
from ..utils import files
from ..utils.errors import PaperError
from . import claims, compare, notebooks, pages, shipped, verify
from .compare import Cell
from .notebooks import Notebook
from .report_page import LOOKS
from .shipped import Side
from .standing import Standing
from .verdict_rules import ERROR

PAGE = "results/diff.html"
#: Asked by an open page once a second while `paper run --watch` is at work; scripts may be loaded
#: from disk where other files may not.
STAMP = "results/diff.stamp.js"
CELLS = 60  # shown of one table


@dataclass(frozen=True)
class Picture:
    """A figure that changed; each side a `data:` address, `""` where it is not there.

    note    how much changed;  apart  the changed pixels on a faded copy, where sizes are equal
    """

    name: str
    notebook: Notebook
    note: str
    old: str
    new: str
    apart: str = ""


@dataclass(frozen=True)
class Table:
    """A table that changed; `rows` holds its changed cells by row, with intervals."""

    name: str
    notebook: Notebook
    note: str
    rows: tuple[Mapping[str, Any], ...]
    left_out: int


@dataclass(frozen=True)
class Verdict:
    """A claim whose verdict is another one now."""

    text: str
    old: str
    new: str
    reason: str


@dataclass(frozen=True)
class Changes:
    """All that moved in one profile since `against`.

    alike    how many outputs did not move
    unknown  notebooks of whose outputs nothing is known then: not run at that commit
    stale    notebook -> why what moved of it was not made by the code, data and results of now
    """

    profile: str
    against: str
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    alike: int
    unknown: tuple[str, ...] = ()
    stale: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """`1 figure, 2 tables and 0 verdicts moved since commit 0123abc; 130 outputs did not`."""

        def count(number: int, word: str) -> str:
            return f"{number} {word}{'s' * (number != 1)}"

        moved = [count(len(self.pictures), "figure"), count(len(self.tables), "table")]
        return (
            f"{', '.join(moved)} and {count(len(self.verdicts), 'verdict')} moved since "
            f"{self.against}; {count(self.alike, 'output')} did not"
            + (f"; not known then: {', '.join(self.unknown)}" if self.unknown else "")
            + "".join(f"; {name} is not current, run it: {why}" for name, why in self.stale.items())
        )

    @property
    def lines(self) -> list[str]:
        """A line for each thing that moved, and `line`."""
        moved = [f"{p.notebook.name}: {p.name}: {p.note}" for p in (*self.pictures, *self.tables)]
        return [*moved, *(f"{v.text}: {v.old} → {v.new}" for v in self.verdicts), self.line]


def diff(root: Path, profile: str, revision: str = "HEAD") -> Changes:
    """What moved in a profile since a commit (or since what was shipped: `"shipped"`).

    Raises `PaperError` where nothing is known of what the commit made.
    """
    declared = notebooks.read_all(root / "notebooks")
    paths = verify.declared_paths(declared, profile)
    paths += [f"figures/{profile}/{name}" for n in declared for name in n.if_possible]
    old, new = shipped.earlier(root, profile, revision, paths), shipped.folder(root, paths)
    standing = Standing(profile, root=root)
    pictures, tables, alike, unknown, stale = [], [], 0, [], {}
    for notebook in declared:
        if not any(path in old.digests for path in notebook.outputs(profile)):
            if any(path in new.digests for path in notebook.outputs(profile)):
                unknown.append(notebook.name)
            continue
        moved = len(pictures) + len(tables)
        more = [f"figures/{profile}/{name}" for name in notebook.if_possible]
        for path in (*notebook.outputs(profile), *more):
            if old.digests.get(path) == new.digests.get(path):
                alike += path in old.digests
            elif path.endswith(".png"):
                pictures.append(_picture(path, notebook, old, new))
            elif compare.is_table(path) and path.startswith("results/"):
                tables.append(_table(path, notebook, old, new))
        ran = notebook.name in standing.manifest["notebooks"]
        if len(pictures) + len(tables) > moved and ran and (why := standing.state(notebook).reason):
            stale[notebook.name] = why
    return Changes(
        profile, old.name, tuple(pictures), tuple(tables),
        tuple(_verdicts(root, profile, declared, old, new)), alike, tuple(unknown),
        stale,
    )  # fmt: skip


# ---- figures -------------------------------------------------------------------------------------


def _picture(path: str, notebook: Notebook, old: Side, new: Side) -> Picture:
    before, now = _bytes(old, path), _bytes(new, path)
    name, apart = PurePosixPath(path).stem, ""
    if before and now:
        pixels = [compare.picture(data) for data in (before, now)]
        note = compare.pictures(*pixels).note + _data(path, old, new)
        apart = _apart(*pixels) if pixels[0].shape == pixels[1].shape else ""
    elif path not in old.digests or path not in new.digests:
        note = "new" if now else "not made any more"
    else:
        note = "changed; of the earlier picture only the digest is known"
    return Picture(name, notebook, note, _address(before), _address(now), apart)


def _data(path: str, old: Side, new: Side) -> str:
    """What moved of the data that a figure shows (`figNN.csv`), in words."""
    table = str(PurePosixPath(path).with_suffix(".csv"))
    before, now = (s.rows(table) if table in s.digests else None for s in (old, new))
    if before is None or now is None:
        return ""
    found = compare.drawn(before, now)
    return f"; drawn: {found.note}" if found.cells else "; the same data, colours and words"


def _bytes(side: Side, path: str) -> bytes | None:
    return side.read(path) if path in side.digests else None


def _address(data: bytes | None) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii") if data else ""


def _apart(old: Any, new: Any) -> str:
    """The changed pixels in full on a faded grey copy of the new picture."""
    import numpy as np
    from PIL import Image

    moved = np.abs(old - new).max(axis=2) > 0
    grey = 255 - (255 - new.mean(axis=2, keepdims=True)) * 0.25
    shown = np.where(moved[..., None], [213, 94, 0], np.repeat(grey, 3, axis=2))
    packed = io.BytesIO()
    Image.fromarray(shown.astype(np.uint8)).save(packed, "PNG")
    return _address(packed.getvalue())


# ---- tables --------------------------------------------------------------------------------------


def _table(path: str, notebook: Notebook, old: Side, new: Side) -> Table:
    before, now = (s.rows(path) if path in s.digests else [] for s in (old, new))
    found = compare.tables(before or [], now or [])
    by_row: dict[str, list[Cell]] = {}
    for cell in found.cells[:CELLS]:
        by_row.setdefault(cell.row, []).append(cell)
    rows = [{"row": name, "cells": _with_intervals(cells)} for name, cells in by_row.items()]
    left = max(0, len(found.cells) - CELLS)
    return Table(PurePosixPath(path).name, notebook, found.note, tuple(rows), left)


def _with_intervals(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """A row's cells, the bounds of an interval beside the value that they belong to.

    `x_low` and `x_high` belong to `x`; `low` and `high` to the last value before them.
    """
    cells = list(cells)
    shown: list[dict[str, Any]] = []
    for cell in cells:
        end = next((e for e in ("low", "high") if cell.column.endswith(e)), "")
        owner = cell.column.removesuffix(end).rstrip("_") if end else ""
        place = next(
            (one for one in reversed(shown) if owner in ("", one["cell"].column)), None
        ) if end else None  # fmt: skip
        if place is None:
            shown.append({"cell": cell, "low": None, "high": None})
        else:
            place[end] = cell
    return shown


# ---- verdicts ------------------------------------------------------------------------------------


class _Tables(claims.Results):
    """Result files as one side has them, whatever the manifest says of their age."""

    side: Side

    def table(self, output: str) -> pd.DataFrame:
        path = f"results/{self.profile.name}/{output}"
        self.maker(output)
        if path not in self.side.digests or (data := self.side.read(path)) is None:
            raise PaperError(f"{path} is not known", "run its notebook")
        return pd.read_csv(io.BytesIO(data))


def _verdicts(
    root: Path, profile: str, declared: list[Notebook], old: Side, new: Side
) -> Iterable[Verdict]:
    sides = []
    for side in (old, new):
        tables = _Tables(root, known(profile), declared, {"notebooks": {}})
        tables.side = side
        sides.append([claims.judge(claim, tables) for claim in all_claims()])
    for before, now in zip(*sides, strict=True):
        if before.verdict != now.verdict and ERROR not in (before.verdict, now.verdict):
            yield Verdict(now.claim["text"], before.verdict, now.verdict, now.reason)


# ---- page ----------------------------------------------------------------------------------------


def write(root: Path, changes: Changes, *, watched: bool = False) -> Path:
    """Write `results/diff.html`; a watched page loads itself again when the next one is written."""
    stamp = str(time.time_ns())
    values = {
        "changes": changes,
        "looks": LOOKS,
        "style": pages.text("report.css"),
        "script": pages.text("diff.js"),
        "stamp": stamp if watched else "",
    }
    page = root / PAGE
    files.write_text(page, pages.render(values, "diff.html.j2"))
    if watched:
        files.write_text(root / STAMP, f'window.paperStamp = "{stamp}";\n')
    else:
        (root / STAMP).unlink(missing_ok=True)
    return page
