"""Compares two versions of one output: tables cell by cell, pictures pixel by pixel.

Used by `paper verify` (the shipped version against this machine's) and by `paper diff` (a commit's
against the one that lies here). What counts as equal stands in `TOLERANCES` and nowhere else.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

IDENTICAL = "identical to the byte"
EQUAL = "equal within tolerance"
DIFFERS = "differs"
MISSING = "missing"
NEW = "not shipped"
VERDICTS = (IDENTICAL, EQUAL, DIFFERS, MISSING, NEW)


@dataclass(frozen=True)
class Tolerance:
    """How far two versions may lie apart and still count as equal, and why so far.

    name   what it is of
    rule   the rule in words, as pages show it
    why    where the number comes from
    """

    name: str
    rule: str
    why: str


ROW = "the whole row"
#: One unit in the sixth significant digit is at most 1e-5 of a value.
RELATIVE = 1e-5
#: What is a rounding error itself (a gap of 1e-16 where theory says 0) has no digits to agree in.
ABSOLUTE = 1e-9
#: Of 255, and the fraction of pixels that may differ by more. A thin line of another colour covers
#: some thousandths of a figure, and must not pass.
CHANNEL = 8
FRACTION = 1e-4
#: Of 255, in a picture reduced to a few dozen pixels, where each is the mean of hundreds.
REDUCED = 2

TOLERANCES = (
    Tolerance(
        "numbers in tables",
        f"the difference is at most {RELATIVE:g} of the larger value, or at most {ABSOLUTE:g}",
        "tables are written with six significant digits, and a sum in another order may end in "
        "another last one; none did so far (see what was tried)",
    ),
    Tolerance(
        "pictures",
        f"at most {FRACTION:.2%} of the pixels differ by more than {CHANNEL} of 255 in a channel; "
        f"where only a reduced copy was shipped, none of its pixels by more than {REDUCED}",
        "a number that differs in its last digits moves an edge by less than a pixel (measured: by "
        "1 of 255); a thin line in another colour covers some thousandths of a figure, and must "
        "not pass",
    ),
    Tolerance(
        "SVG and PDF files",
        "judged by the PNG of the same figure, which shows the same drawing",
        "their bytes name ids and fonts in the order of the version of Matplotlib",
    ),
)

#: What was run to find how far equal runs lie apart: what differed, and what came of it. Profile
#: tiny, notebooks 05 to 07, networks trained anew unless the line says otherwise.
TRIED = (
    ("1 thread and 1 worker, or 2 and 2", "59 of 59 outputs identical to the byte"),
    (
        "a processor with AVX-512, or the code paths of one with AVX2 alone (oneDNN, OpenBLAS, "
        "NumPy)",
        "all tables identical; of 14 figures one differs, by at most 1 of 255 in a pixel",
    ),
    (
        "scikit-learn 1.9.1 and SciPy 1.17.1, or 1.8.0 and 1.16.3 (the same networks)",
        "all outputs of notebooks 06 and 07 identical to the byte",
    ),
    (
        "Matplotlib 3.11.2, or 3.10.9 (the same networks)",
        "all tables identical; every figure differs (letters, and with them the layout), on 3 to "
        "12 % of the pixels: no tolerance could tell that from a change, so it counts as one, "
        "and the versions are named",
    ),
)


@dataclass(frozen=True)
class Cell:
    """One cell that differs.

    row     what tells its row from the others; column  its name
    old     its text before, new  now; None where there was none
    apart   the absolute difference of two numbers, else None
    within  whether it counts as equal
    """

    row: str
    column: str
    old: str | None
    new: str | None
    apart: float | None = None
    within: bool = False


@dataclass(frozen=True)
class Difference:
    """What two versions of an output have not in common.

    verdict  `EQUAL` or `DIFFERS`;  note  where and how much, in one line
    cells    of a table;  fraction, channel  of a picture: pixels beyond tolerance, and the most
    """

    verdict: str
    note: str
    cells: tuple[Cell, ...] = ()
    fraction: float | None = None
    channel: int | None = None


# ---- tables --------------------------------------------------------------------------------------


def is_table(path: str) -> bool:
    return PurePosixPath(path).suffix in {".csv", ".json", ".npz"}


def tables(old: Sequence[dict[str, str]], new: Sequence[dict[str, str]]) -> Difference:
    """The cells that differ between two versions of a table, as `rows` gives them."""
    cells = _cells(old, new)
    far = [cell for cell in cells if not cell.within]
    if not far:
        columns = _largest(cells)
        return Difference(EQUAL, columns or "other bytes, the same values", cells)
    where = _largest([cell for cell in far if cell.apart is not None])
    words = [cell for cell in far if cell.apart is None]
    rows = [cell for cell in words if cell.column == ROW]
    gone, new = (sum(getattr(cell, side) is None for cell in rows) for side in ("new", "old"))
    cells_far = len(far) - len(rows)
    parts = [f"{cells_far} cell{'s differ' if cells_far > 1 else ' differs'}"] * bool(cells_far)
    parts += [f"{n} row{'s' * (n > 1)} {what}" for n, what in ((new, "new"), (gone, "gone")) if n]
    parts.append(where)
    if first := next((cell for cell in words if cell.column != ROW), None):
        parts.append(f"{first.column} of {first.row}: {_or(first.old)} → {_or(first.new)}")
    return Difference(DIFFERS, "; ".join(filter(None, parts)), cells)


def rows(path: str, data: bytes) -> list[dict[str, str]]:
    """A table as text cells: a CSV's rows; of a JSON file or arrays a row for each value in it."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".csv":
        return list(csv.DictReader(io.StringIO(data.decode("utf-8"))))
    if suffix == ".json":
        return [{"name": k, "value": v} for k, v in _flat(json.loads(data)).items()]
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return [{"name": name, **summary(arrays[name])} for name in sorted(arrays.files)]


def summary(array: np.ndarray) -> dict[str, str]:
    """An array in a few numbers: its shape, and mean, standard deviation and bounds if a number."""
    found = {"shape": " × ".join(map(str, array.shape)), "dtype": str(array.dtype)}
    if array.dtype.kind in "biuf" and array.size:
        values = array.astype(np.float64)
        pairs = {"mean": values.mean(), "sd": values.std(), "least": values.min(),
                 "largest": values.max()}  # fmt: skip
        found |= {name: f"{value:.6g}" for name, value in pairs.items()}
    return found


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        pairs: Any = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return {name: json.dumps(value, ensure_ascii=False)}
    return {k: v for key, part in pairs for k, v in _flat(part, f"{name}.{key}".strip(".")).items()}


def _cells(old: Sequence[dict[str, str]], new: Sequence[dict[str, str]]) -> tuple[Cell, ...]:
    names, before, now = _matched(old, new)
    found: list[Cell] = []
    for key in dict.fromkeys([*before, *now]):
        row = key if isinstance(key, str) else f"row {key + 1}"
        if key not in now or key not in before:
            side = before.get(key) or now[key]
            text = ", ".join(v for k, v in side.items() if k not in names and v) or row
            gone = key not in now
            found.append(Cell(row, ROW, text if gone else None, None if gone else text))
            continue
        for column in dict.fromkeys([*before[key], *now[key]]):
            one, other = before[key].get(column), now[key].get(column)
            if one != other:
                found.append(_cell(row, column, one, other))
    return tuple(found)


def _cell(row: str, column: str, old: str | None, new: str | None) -> Cell:
    try:
        a, b = float(old or "x"), float(new or "x")
    except ValueError:
        return Cell(row, column, old, new)
    apart = abs(a - b)
    within = apart <= max(ABSOLUTE, RELATIVE * max(abs(a), abs(b)))
    return Cell(row, column, old, new, apart, bool(within))


def _matched(
    old: Sequence[dict[str, str]], new: Sequence[dict[str, str]]
) -> tuple[list[str], dict[Any, dict[str, str]], dict[Any, dict[str, str]]]:
    """The columns that name the rows, and both sides' rows by them.

    The fewest first columns that tell all rows apart and are the same on both sides; failing that,
    tables of one length go by position, and others by the fewest that tell rows apart.
    """
    columns = [c for c in (old[0] if old else {}) if new and c in new[0]]
    fallback: tuple[list[str], dict[Any, Any], dict[Any, Any]] | None = None
    for count in range(1, len(columns) + 1):
        names = columns[:count]
        sides = [{" · ".join(r[n] or "" for n in names): r for r in rows} for rows in (old, new)]
        if len(sides[0]) == len(old) and len(sides[1]) == len(new):
            fallback = fallback or (names, *sides)
            if set(sides[0]) == set(sides[1]):
                return names, *sides
    if len(old) == len(new) or fallback is None:
        return [], dict(enumerate(old)), dict(enumerate(new))
    return fallback


def _largest(cells: Sequence[Cell]) -> str:
    """The largest difference of each column, in words; the four largest columns."""
    columns: dict[str, Cell] = {}
    for cell in cells:
        if cell.apart is not None and cell.apart >= (columns.get(cell.column, cell).apart or 0):
            columns[cell.column] = cell
    ranked = sorted(columns.values(), key=lambda c: -(c.apart or 0))
    text = ", ".join(f"{c.column} by up to {c.apart:.2g} ({c.row})" for c in ranked[:4])
    return text + (f" and {len(ranked) - 4} more columns" if len(ranked) > 4 else "")


def _or(text: str | None) -> str:
    return "nothing" if text is None else (text or "empty")


# ---- pictures ------------------------------------------------------------------------------------


def picture(data: bytes) -> np.ndarray:
    """A picture file's pixels, `(H, W, 3)` in 0…255."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"), dtype=np.int16)


def reduced(data: bytes, width: int) -> np.ndarray:
    """A picture file's pixels averaged to a picture of this width."""
    from PIL import Image

    whole = Image.fromarray(picture(data).astype(np.uint8))
    height = max(1, round(whole.height * width / whole.width))
    return np.asarray(whole.resize((width, height), Image.Resampling.BOX), dtype=np.int16)


def pictures(old: np.ndarray, new: np.ndarray, *, small: bool = False) -> Difference:
    """How two pictures, as `picture` gives them, differ; `small`: both as `reduced` gives them."""
    if old.shape != new.shape:
        sizes = [f"{p.shape[1]} × {p.shape[0]}" for p in (old, new)]
        return Difference(
            DIFFERS, f"{sizes[0]} pixels became {sizes[1]}", fraction=1.0, channel=255
        )
    apart = np.abs(old - new).max(axis=2)
    least, most = (REDUCED, 0.0) if small else (CHANNEL, FRACTION)
    fraction, channel = float((apart > least).mean()), int(apart.max())
    of = " of a reduced copy" if small else ""
    if channel == 0:
        return Difference(EQUAL, f"other bytes, the same pixels{of}", fraction=0.0, channel=0)
    note = f"{fraction:.2%} of the pixels{of} by more than {least}, the largest by {channel} of 255"
    return Difference(
        EQUAL if fraction <= most else DIFFERS, note, fraction=fraction, channel=channel
    )
