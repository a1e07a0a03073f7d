"""One file of `dehaze_scene`, tile by tile, in two streaming passes; resumable after a kill.

The first pass adds up what A is chosen from, the second clears tile after tile, each read with a
halo so that no seam can be seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window
from tqdm import tqdm

from ..utils import files
from ..utils.errors import PaperError
from . import _raster as rasters
from . import _scene_light as lights
from ._executors import Pool
from .arguments import Parameters

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


# --- the passes -----------------------------------------------------------------------------------


def one_file(source: Path, target: Path, p: Parameters, tile: int, pool: Pool, progress: bool):
    """Clear one file; continue where an earlier run with the same arguments was stopped."""
    raster = rasters.describe(source)
    rasters.check_target(raster, target)
    target = target.resolve()
    key = key_of(source, p, tile)
    folder = target.parent / f".{target.name}.partial"
    if folder.is_dir() and read_text(folder / "key") != key:
        shutil.rmtree(folder)  # of another source, or other parameters
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(raster, str(folder), p, tile)
    pixels, finished = folder / "pixels", finished_in(folder / "tiles")
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
    from . import fast

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


# --- records --------------------------------------------------------------------------------------


def key_of(source: Path, p: Parameters, tile: int) -> str:
    """Changes with the source's content (its size and time stand for it) and every argument."""
    stat = source.stat()
    text = json.dumps([str(source.resolve()), stat.st_size, stat.st_mtime_ns, tile, asdict(p)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def finished_in(path: Path) -> set[int]:
    text = read_text(path)
    return {int(line) for line in text[: text.rfind("\n") + 1].split()}
