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
import math
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from ..utils import files
from ..utils.errors import PaperError
from ..utils.executors import Pool, pool_of
from . import _raster as rasters
from ._job import How, key_of
from ._partial import disk_of, held, make_folder
from ._tiles import one_file, read_text
from .arguments import Parameters, whole
from .arguments import threads as threads_of

TABLE, LOCKED = "dehaze.csv", ".dehaze.running"
COLUMNS = ("file", "status", "seconds", "why", "key")
QUIET = {".csv", ".txt", ".xml", ".json", ".md", ".msk", ".ovr", ".aux", ".html", ".pdf", ""}


@dataclass
class Report:
    """What `dehaze_scene` did: files done, files done before, and files that failed, with why.

    notes  (file, what a user would not expect of its result), such as a page left out
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    table: Path | None = None  # of a folder run
    notes: list[tuple[str, str]] = field(default_factory=list)

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
    value_range: tuple[float, float] | None = None,
    bands: Sequence[int] | None = None,
) -> Report:
    """`dehaze.dehaze_scene` with its parameters checked and packed."""
    whole("tile", tile, 1)
    threads = threads_of(workers)
    how = How(p, tile, _bands(bands), _range(value_range))
    for name, given in (("source", source), ("target", target)):
        if not str(given).strip():  # an unset variable of a shell, not the folder of now
            raise PaperError(f"no {name} is named", "name a file or a folder")
    source, target = Path(source), Path(target)
    with pool_of(scheduler, threads) as pool, disk_of(target):
        if source.is_dir():
            return _folder(source, target, how, pool, progress)
        if target.is_dir():
            target = target / source.name
        notes = one_file(source, target, how, pool, progress)
    name = files.shown(source)
    return Report(done=[name], notes=[(name, note) for note in notes])


def _range(given: tuple[float, float] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    low, high = (float(value) for value in given)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"range: two numbers, the lower one first, not {low:g} {high:g}")
    return low, high


def _bands(given: Sequence[int] | None) -> tuple[int, ...] | None:
    if not given:
        return None
    found = tuple(given)
    for band in found:
        whole("bands", band, 1)
    if len(found) not in (1, 3):
        raise ValueError(f"bands: red, green and blue, or one for grey, not {list(found)}")
    return found


# --- a folder -------------------------------------------------------------------------------------


def _folder(source: Path, target: Path, how: How, pool: Pool, progress: bool) -> Report:
    inside = target.resolve()
    if inside == source.resolve():
        raise PaperError(f"{target}: source and target are the same folder", "give another target")
    if target.exists() and not target.is_dir():
        raise PaperError(f"{target}: is a file", "give a folder, as the source is one")
    found = files.below(source)
    if source.resolve() in inside.parents:  # results are no sources
        found = [path for path in found if inside not in path.resolve().parents]
    images = [path for path in found if path.suffix.lower() in rasters.DRIVERS]
    if not images:
        raise PaperError(f"{source}: no image in it", f"suffixes: {', '.join(rasters.DRIVERS)}")
    names = [path.relative_to(source).as_posix() for path in images]
    sources = {path.resolve() for path in images}
    for name in names:
        if (target / name).resolve() in sources:
            raise PaperError(
                f"{target / name}: is one of the sources as well", "give another target"
            )
    made = make_folder(target, target)
    report = Report(notes=_passed_over(source, found))
    lock = target / LOCKED
    try:
        with held(lock, target):
            _all(source, target, names, how, pool, progress, report)
    finally:
        shutil.rmtree(lock, ignore_errors=True) if report.table else None
        for folder in reversed(made):
            with suppress(OSError):  # something is in it
                folder.rmdir()
    return report


def _all(
    source: Path,
    target: Path,
    names: list[str],
    how: How,
    pool: Pool,
    progress: bool,
    report: Report,
) -> None:
    """Every file that was not done before, in any order, into the report and its table."""
    report.table = table = _table_in(target)
    rows = {row["file"]: row for row in _read_table(table)}
    todo = []
    for name in names:
        row = rows.get(files.shown(name))
        whole_before = row and row["status"] == "done" and row["key"] == _key(source / name, how)
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
        keys = {name: _key(source / name, how) for name in todo}  # a source may change meanwhile
        for (name, *_), (seconds, why, said) in pool.map(_whole_file, None, items, how, _lost):
            key, text = keys[name], files.shown(name)
            values = (text, "failed" if why else "done", f"{seconds:.3f}", why, key)
            row = dict(zip(COLUMNS, values, strict=True))
            rows[text] = row
            log.write(_csv([row]))
            log.flush()
            report.failed.append((text, why)) if why else report.done.append(text)
            report.notes += [(text, note) for note in said]
            bar.update()
    ordered = [rows[files.shown(name)] for name in names]
    files.write_text(table, ",".join(COLUMNS) + "\n" + _csv(ordered))


def _key(path: Path, how: How) -> str:
    try:
        return key_of(path, how)
    except OSError:  # gone since
        return "gone"


def _table_in(target: Path) -> Path:
    """The folder's table of results; beside a file of that name that is the user's own."""
    for number in range(1, 100):
        path = target / (TABLE if number == 1 else f"dehaze-{number}.csv")
        if not path.exists():
            return path
        head = path.open("rb").read(64) if path.is_file() else b"no"
        if not head or head.startswith(",".join(COLUMNS).encode()):
            return path
    raise PaperError(f"{target / TABLE}: is in the way", "move it")


def _passed_over(source: Path, found: list[Path]) -> list[tuple[str, str]]:
    """Files that may be images and are none of those read here, counted by suffix."""
    counts = Counter(path.suffix.lower() for path in found)
    others = [(k, n) for k, n in sorted(counts.items()) if k not in {*rasters.DRIVERS, *QUIET}]
    if not others:
        return []
    text = ", ".join(f"{n} {k}" for k, n in others)
    return [(str(source), f"passed over: {text}; only {', '.join(rasters.DRIVERS)} are read")]


def _whole_file(_: None, item: tuple[str, str, str], how: How) -> tuple[float, str, list[str]]:
    """One file of a folder, by one thread: seconds, why it failed ("" where it did not), notes."""
    name, source, target = item
    start = time.perf_counter()
    why, notes = "", []
    try:
        with pool_of(None, 1) as alone:
            notes = one_file(Path(source) / name, Path(target) / name, how, alone, False)
    except UnicodeEncodeError:
        why = f"{files.shown(name)}: the name is not UTF-8 — rename it"
    except Exception as error:  # whatever a bad file does, the others go on
        why = files.shown(" ".join(f"{error}".split())) or type(error).__name__
    return time.perf_counter() - start, why, notes


def _lost(why: str) -> tuple[float, str, list[str]]:
    return 0.0, why, []


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
