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
import hashlib
import io
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window
from tqdm import tqdm

from . import _dehaze_light as lights
from . import _dehaze_raster as rasters
from . import dehaze as equations
from . import files
from ._dehaze_check import Parameters, whole
from .errors import PaperError

TABLE = "dehaze.csv"
COLUMNS = ("file", "status", "seconds", "why", "key")
CHECKPOINT = 5.0  # seconds between two records of the first pass


@dataclass(frozen=True)
class Job:
    """One file to clear: what each worker gets besides the number of its tile."""

    raster: rasters.Raster
    folder: str  # of the partial result
    p: Parameters
    tile: int

    @property
    def across(self) -> int:
        return -(-self.raster.width // self.tile)

    @property
    def tiles(self) -> int:
        return self.across * -(-self.raster.height // self.tile)

    def window(self, index: int, halo: int) -> tuple[Window, tuple[int, int, int, int], int, int]:
        """Of one tile: what to read, where in it the tile lies, and the tile's top and left."""
        r = self.raster
        top, left = (index // self.across) * self.tile, (index % self.across) * self.tile
        bottom, right = min(r.height, top + self.tile), min(r.width, left + self.tile)
        y, x = max(0, top - halo), max(0, left - halo)
        stop_y, stop_x = min(r.height, bottom + halo), min(r.width, right + halo)
        box = (top - y, bottom - y, left - x, right - x)
        return Window(x, y, stop_x - x, stop_y - y), box, top, left


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
    threads = equations.check_workers(workers)
    source, target = Path(source), Path(target)
    with _pool(scheduler, threads) as pool:
        if source.is_dir():
            return _folder(source, target, p, tile, pool, progress)
        if target.is_dir():
            target = target / source.name
        one_file(source, target, p, tile, pool, progress)
    return Report(done=[str(source)])


# --- one file -------------------------------------------------------------------------------------


def one_file(source: Path, target: Path, p: Parameters, tile: int, pool: Pool, progress: bool):
    """Clear one file; continue where an earlier run with the same arguments was stopped."""
    raster = rasters.describe(source)
    rasters.check_target(raster, target)
    target = target.resolve()
    key = _key(source, p, tile)
    folder = target.parent / f".{target.name}.partial"
    if folder.is_dir() and _read_text(folder / "key") != key:
        shutil.rmtree(folder)  # of another source, or other parameters
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(raster, str(folder), p, tile)
    pixels, finished = folder / "pixels", _finished(folder / "tiles")
    size = raster.height * raster.width * raster.pixel_bytes
    if not pixels.is_file():
        if shutil.disk_usage(folder).free < size:
            raise PaperError(f"{folder}: {size / 1e9:.1f} GB are needed and not free")
        with open(pixels, "wb") as handle:
            handle.truncate(size)
    files.write_text(folder / "key", key)
    with tqdm(
        total=job.tiles, desc=f"{source.name}: light", unit="tile", disable=not progress
    ) as bar:
        light = _light(job, pool, bar)
        bar.set_description(f"{source.name}: haze")
        bar.reset(job.tiles)
        bar.update(len(finished))
        todo = [index for index in range(job.tiles) if index not in finished]
        with open(folder / "tiles", "a", encoding="ascii") as log:
            for index, _ in pool.map(_clear_tile, job, todo, light):
                log.write(f"{index}\n")
                log.flush()
                bar.update()
    with open(pixels, "rb") as handle:
        descriptor = handle.fileno()

        def rows(top: int, bottom: int, left: int, right: int) -> np.ndarray:
            return _read_pixels(raster, descriptor, top, bottom, left, right)

        with _gdal():
            rasters.write_like(raster, target, rows)
    shutil.rmtree(folder, ignore_errors=True)


def _light(job: Job, pool: Pool, bar: tqdm) -> np.ndarray | None:
    """The scene's atmospheric light; None where the file has to come back as it is."""
    path = Path(job.folder) / "light.npz"
    search = lights.Search(job.raster.dtype, job.p.fraction)
    done: set[int] = set()
    if path.is_file():
        with np.load(path) as stored:
            search.restore(stored)
            done = set(stored["done"].tolist())
    saved = time.monotonic()
    while not search.over:
        bar.reset(job.tiles)
        bar.update(len(done))
        todo = [index for index in range(job.tiles) if index not in done]
        for index, found in pool.map(_look_at_tile, job, todo, search.question):
            search.add(found)
            done.add(index)
            bar.update()
            if time.monotonic() - saved > CHECKPOINT:
                files.write_arrays(path, done=np.array(sorted(done)), **search.state())
                saved = time.monotonic()
        search.turn()
        done = set()
        files.write_arrays(path, done=np.array([], np.int64), **search.state())
    return search.light


def _look_at_tile(job: Job, index: int, question: Any) -> Any:
    """Pass one: what the light is chosen from, in one tile."""
    window, box, _, _ = job.window(index, job.p.patch // 2)
    with _gdal():
        _, colours, valid = rasters.read(job.raster, _handle(job.raster.path), window)
    return lights.look(colours, valid, job.p.patch, box, question)


def _clear_tile(job: Job, index: int, light: np.ndarray | None) -> None:
    """Pass two: one tile cleared and written to its place among the pixels."""
    from . import _dehaze_fast as fast

    window, box, top, left = job.window(index, job.p.halo)
    with _gdal():
        bands, colours, valid = rasters.read(job.raster, _handle(job.raster.path), window)
    y, stop_y, x, stop_x = box
    inner = bands[y:stop_y, x:stop_x]
    if light is not None and (valid is None or valid[y:stop_y, x:stop_x].any()):
        clear = fast.clear_block(colours, valid, light, job.p, box)
        seen = None if valid is None else valid[y:stop_y, x:stop_x]
        inner = rasters.insert(job.raster, inner, clear, seen)
    size = job.raster.pixel_bytes
    descriptor = os.open(Path(job.folder) / "pixels", os.O_WRONLY)
    try:
        for row, line in enumerate(inner):
            place = ((top + row) * job.raster.width + left) * size
            os.pwrite(descriptor, np.ascontiguousarray(line), place)
        os.fsync(descriptor)  # before the tile is written down as done
    finally:
        os.close(descriptor)


def _read_pixels(
    raster: rasters.Raster, descriptor: int, top: int, bottom: int, left: int, right: int
) -> np.ndarray:
    size = raster.pixel_bytes
    lines = []
    for row in range(top, bottom):
        lines.append(
            os.pread(descriptor, (right - left) * size, (row * raster.width + left) * size)
        )
    block = np.frombuffer(b"".join(lines), raster.dtype)
    return block.reshape(bottom - top, right - left, raster.bands)


_open = threading.local()


def _handle(path: str):
    """The file opened once per thread: GDAL's handles are not for sharing."""
    stamp = (path, os.stat(path).st_mtime_ns)
    if getattr(_open, "stamp", None) != stamp:
        if getattr(_open, "handle", None) is not None:
            _open.handle.close()
        _open.handle, _open.stamp = rasters.open_raster(path), stamp
    return _open.handle


@contextmanager
def _gdal() -> Iterator[None]:
    with rasterio.Env(GDAL_CACHEMAX=rasters.CACHE >> 20):
        yield


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
            row and row["status"] == "done" and row["key"] == _key(source / name, p, tile)
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
        for (name, *_), (seconds, why) in pool.map(_whole_file, None, items, (p, tile)):
            key = _key(source / name, p, tile)
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
        one_file(Path(source) / name, Path(target) / name, *arguments, Alone(), False)
    except Exception as error:  # whatever a bad file does, the others go on
        why = " ".join(f"{error}".split()) or type(error).__name__
    return time.perf_counter() - start, why


def _read_table(path: Path) -> list[dict[str, str]]:
    text = _read_text(path)
    whole_lines = text[: text.rfind("\n") + 1]  # a kill may have cut the last one
    if whole_lines != text:
        files.write_text(path, whole_lines)
    return [row for row in csv.DictReader(io.StringIO(whole_lines)) if row.get("key")]


def _csv(rows: Iterable[dict[str, str]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()


# --- threads or a cluster -------------------------------------------------------------------------


class Pool:
    """`map(function, job, items, extra)` yields (item, result) as they come, few at a time."""

    def map(
        self, function: Callable, job: Any, items: list, extra: Any
    ) -> Iterator[tuple[Any, Any]]:
        raise NotImplementedError


class Alone(Pool):
    def map(self, function, job, items, extra):
        for item in items:
            yield item, function(job, item, extra)


class Threads(Pool):
    def __init__(self, executor: ThreadPoolExecutor, threads: int) -> None:
        self.executor, self.threads = executor, threads

    def map(self, function, job, items, extra):
        waiting, rest = {}, iter(items)
        try:
            while True:
                for item in rest:
                    waiting[self.executor.submit(function, job, item, extra)] = item
                    if len(waiting) >= 2 * self.threads:
                        break
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        finally:
            for future in waiting:
                future.cancel()


class Cluster(Pool):
    """The workers of a Dask scheduler; a task whose worker dies is given to another."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def map(self, function, job, items, extra):
        from distributed import as_completed

        ahead = 2 * max(1, sum(self.client.nthreads().values()))
        rest = iter(items)
        queue, names = as_completed(loop=self.client.loop), {}

        def submit() -> None:
            for item in rest:
                future = self.client.submit(function, job, item, extra, pure=False)
                names[future.key] = item
                queue.add(future)
                return

        for _ in range(ahead):
            submit()
        for future in queue:
            item = names.pop(future.key)
            try:
                result = future.result()
            except PaperError:
                raise
            except Exception as error:
                if function is not _whole_file:
                    raise PaperError(f"tile {item}: {error}", "see the workers' logs") from error
                result = (0.0, " ".join(str(error).split()))  # say, a file that kills its workers
            submit()
            yield item, result


@contextmanager
def _pool(scheduler: str | None, threads: int) -> Iterator[Pool]:
    if scheduler is None:
        if threads == 1:
            yield Alone()
            return
        with ThreadPoolExecutor(threads) as executor:
            yield Threads(executor, threads)
        return
    from distributed import Client

    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise PaperError(
            f"no Dask scheduler answers at {scheduler}",
            "start one with `dask scheduler` and workers with `dask worker ADDRESS`",
        ) from error
    try:
        if not client.nthreads():
            raise PaperError(f"the scheduler at {scheduler} has no workers", "start `dask worker`")
        yield Cluster(client)
    finally:
        client.close()


# --- records --------------------------------------------------------------------------------------


def _key(source: Path, p: Parameters, tile: int) -> str:
    """Changes with the source's content (its size and time stand for it) and every argument."""
    stat = source.stat()
    text = json.dumps([str(source.resolve()), stat.st_size, stat.st_mtime_ns, tile, asdict(p)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _finished(path: Path) -> set[int]:
    text = _read_text(path)
    return {int(line) for line in text[: text.rfind("\n") + 1].split()}
