"""Dehazing of files of any size: by tiles, in bounded memory, resumable, on one machine or many.

The atmospheric light is a property of the whole scene, so there are two streaming passes: the first
adds up what A is chosen from (`dehaze.atmospheric_light`), the second clears tile after tile, each
read with a halo of patch//2 + 2·radius so that no seam can be seen. Beside the target grows a
folder `.NAME.partial` with the pixels done so far and a list of the tiles they belong to; the
target itself appears at the end, whole. The same command continues after a kill.

With the address of a Dask scheduler the tiles (of a file) or files (of a folder) are worked on by
its workers, which must see the same files under the same paths.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..utils import files
from ..utils.errors import PaperError
from . import _raster as rasters
from ._executors import Pool, pool_of
from ._tiles import key_of, one_file, read_text
from .arguments import Parameters, whole
from .arguments import threads as threads_of

TABLE = "dehaze.csv"
COLUMNS = ("file", "status", "seconds", "why", "key")


@dataclass
class Report:
    """What `dehaze_scene` did: files done, files done before, and files that failed, with why."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    table: Path | None = None  # of a folder run

    def __str__(self) -> str:
        text = f"{len(self.done)} done, {len(self.skipped)} done before, {len(self.failed)} failed"
        return text + (f"; see {self.table}" if self.table else "")


def run(
    source: str | Path,
    target: str | Path,
    p: Parameters,
    *,
    tile: int = 1024,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Report:
    """`dehaze.dehaze_scene` with its parameters checked and packed."""
    whole("tile", tile, 1)
    threads = threads_of(workers)
    source, target = Path(source), Path(target)
    with pool_of(scheduler, threads) as pool:
        if source.is_dir():
            return _folder(source, target, p, tile, pool, progress)
        if target.is_dir():
            target = target / source.name
        one_file(source, target, p, tile, pool, progress)
    return Report(done=[str(source)])


# --- a folder -------------------------------------------------------------------------------------


def _folder(
    source: Path, target: Path, p: Parameters, tile: int, pool: Pool, progress: bool
) -> Report:
    names = sorted(
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.suffix.lower() in rasters.DRIVERS
        if not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not names:
        raise PaperError(f"{source}: no image in it", f"suffixes: {', '.join(rasters.DRIVERS)}")
    if target.resolve() == source.resolve():
        raise PaperError(f"{target}: source and target are the same folder", "give another target")
    target.mkdir(parents=True, exist_ok=True)
    table = target / TABLE
    rows = {row["file"]: row for row in _read_table(table)}
    report = Report(table=table)
    todo = []
    for name in names:
        row = rows.get(name)
        whole_before = (
            row and row["status"] == "done" and row["key"] == key_of(source / name, p, tile)
        )
        if whole_before and (target / name).is_file():
            report.skipped.append(name)
        else:
            todo.append(name)
    with (
        tqdm(total=len(names), desc=source.name, unit="file", disable=not progress) as bar,
        open(table, "a", encoding="utf-8", newline="") as log,
    ):
        if not rows and log.tell() == 0:
            log.write(",".join(COLUMNS) + "\n")
        bar.update(len(report.skipped))
        items = [(name, str(source.resolve()), str(target.resolve())) for name in todo]
        for (name, *_), (seconds, why) in pool.map(_whole_file, None, items, (p, tile), _lost):
            key = key_of(source / name, p, tile)
            values = (name, "failed" if why else "done", f"{seconds:.3f}", why, key)
            row = dict(zip(COLUMNS, values, strict=True))
            rows[name] = row
            log.write(_csv([row]))
            log.flush()
            report.failed.append((name, why)) if why else report.done.append(name)
            bar.update()
    ordered = [rows[name] for name in names]
    files.write_text(table, ",".join(COLUMNS) + "\n" + _csv(ordered))
    return report


def _whole_file(_: None, item: tuple[str, str, str], arguments: Any) -> tuple[float, str]:
    """One file of a folder, by one thread: seconds, and why it failed ("" where it did not)."""
    name, source, target = item
    start = time.perf_counter()
    why = ""
    try:
        with pool_of(None, 1) as alone:
            one_file(Path(source) / name, Path(target) / name, *arguments, alone, False)
    except Exception as error:  # whatever a bad file does, the others go on
        why = " ".join(f"{error}".split()) or type(error).__name__
    return time.perf_counter() - start, why


def _lost(why: str) -> tuple[float, str]:
    return 0.0, why


def _read_table(path: Path) -> list[dict[str, str]]:
    text = read_text(path)
    whole_lines = text[: text.rfind("\n") + 1]  # a kill may have cut the last one
    if whole_lines != text:
        files.write_text(path, whole_lines)
    return [row for row in csv.DictReader(io.StringIO(whole_lines)) if row.get("key")]


def _csv(rows: Iterable[dict[str, str]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()
