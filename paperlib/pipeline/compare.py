"""Compares two versions of one output: tables cell by cell, pictures pixel by pixel.

Used by `paper verify` (the shipped version against this machine's) and by `paper diff` (a commit's
against the one that lies here). What counts as equal stands in `tolerances` and nowhere else.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from .tolerances import (
    ABSOLUTE,
    BLUR,
    BLURRED,
    CHANNEL,
    FRACTION,
    REDUCED,
    RELATIVE,
    TALLER,
)

IDENTICAL = "identical to the byte"
EQUAL = "equal within tolerance"
DIFFERS = "differs"
MISSING = "missing"
NEW = "not shipped"
VERDICTS = (IDENTICAL, EQUAL, DIFFERS, MISSING, NEW)


ROW = "the whole row"


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
    cells    of a table
    """

    verdict: str
    note: str
    cells: tuple[Cell, ...] = ()


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


def drawn(old: Sequence[dict[str, str]], new: Sequence[dict[str, str]]) -> Difference:
    """As `tables`, of the data that a figure shows: rows are found by their names.

    A row is named by panel, part and series (or number), and counted where several have one name:
    a point that was added moves no other.
    """
    return tables(_named(old), _named(new))


def _named(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    seen: dict[str, int] = {}
    found = []
    for row in rows:
        words = row["text"] if row["part"] == "tick" else ""
        which = row["series"] or words or row["item"]
        parts = (f"panel {row['panel']}", row["part"], which)
        name = " ".join(" ".join(parts).split())
        seen[name] = seen.get(name, 0) + 1
        rest = {k: v for k, v in row.items() if k not in ("panel", "part", "item", "series")}
        found.append({"row": f"{name}, {seen[name]}" if seen[name] > 1 else name, **rest})
    return found


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
    """An array in a few numbers: its shape, and of numbers mean, standard deviation, bounds and how
    many are not finite; of anything else a digest."""
    found = {"shape": " × ".join(map(str, array.shape)), "dtype": str(array.dtype)}
    if array.dtype.kind in "biuf" and array.size:
        values = array.astype(np.float64).ravel()
        finite = np.isfinite(values)
        if not finite.all():
            found["not finite"] = str(int((~finite).sum()))
            values = values[finite] if finite.any() else np.zeros(1)
        pairs = {"mean": values.mean(), "sd": values.std(), "least": values.min(),
                 "largest": values.max()}  # fmt: skip
        found |= {name: f"{value:.6g}" for name, value in pairs.items()}
    elif array.size:
        found["sha256"] = hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:12]
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
    return Cell(row, column, old, new, apart, bool(within and np.isfinite(apart)))


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


def near(old: np.ndarray, new: np.ndarray) -> Difference:
    """How two pictures, as `reduced` gives them, differ when letters are blurred."""
    from PIL import Image

    tall, other = old.shape[0] / old.shape[1], new.shape[0] / new.shape[1]
    size = BLURRED, max(1, round(tall * BLURRED))
    small = [Image.fromarray(p.astype(np.uint8)).resize(size, Image.Resampling.BOX)
             for p in (old, new)]  # fmt: skip
    apart = np.abs(np.asarray(small[0], np.int16) - np.asarray(small[1], np.int16)).max(axis=2)
    channel = int(apart.max())
    same = channel <= BLUR and abs(tall - other) <= TALLER * tall
    note = f"{BLURRED} pixels wide, apart by at most {channel} of 255"
    return Difference(EQUAL if same else DIFFERS, note)


def pictures(old: np.ndarray, new: np.ndarray, *, small: bool = False) -> Difference:
    """How two pictures, as `picture` gives them, differ; `small`: both as `reduced` gives them."""
    if old.shape != new.shape:
        sizes = [f"{p.shape[1]} × {p.shape[0]}" for p in (old, new)]
        return Difference(DIFFERS, f"{sizes[0]} pixels became {sizes[1]}")
    apart = np.abs(old - new).max(axis=2)
    least, most = (REDUCED, 0.0) if small else (CHANNEL, FRACTION)
    fraction, channel = float((apart > least).mean()), int(apart.max())
    of = " of a reduced copy" if small else ""
    if channel == 0:
        return Difference(EQUAL, f"other bytes, the same pixels{of}")
    note = f"{fraction:.2%} of the pixels{of} by more than {least}, the largest by {channel} of 255"
    return Difference(EQUAL if fraction <= most else DIFFERS, note)
