"""One file of `dehaze_scene`, tile by tile, in two streaming passes; resumable after a kill.

The first pass adds up what A is chosen from, the second clears tile after tile, each read with a
halo so that no seam can be seen.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..utils import files
from ..utils.errors import PaperError
from ..utils.executors import Pool
from . import _range as ranges
from . import _raster as rasters
from . import _scene_light as lights
from . import _unpack as unpacked
from . import _write as writer
from ._headers import frames
from ._job import How, Job, gdal, key_of, read_tile
from ._partial import disk_of, partial_of

CHECKPOINT = 5.0  # seconds between two records of the first pass


# --- the passes -----------------------------------------------------------------------------------


def one_file(source: Path, target: Path, how: How, pool: Pool, progress: bool) -> list[str]:
    """Clear one file; continue where an earlier run with the same arguments was stopped.

    Returns one line for each thing that a user would not expect of the result.
    """
    names = rasters.pages(source)
    found = [rasters.describe(source, how.bands, how.limits, page=name) for name in names]
    notes = _check(source, target, found)
    target = target.resolve()
    with partial_of(target, key_of(source, how)) as folder, disk_of(target):
        done = []
        for number, raster in enumerate(found):
            inside = folder / f"page_{number}" if number else folder
            inside.mkdir(exist_ok=True)
            driver = rasters.DRIVERS[target.suffix.lower()]
            raster, more = _one_page(raster, inside, source.name, how, pool, progress, driver)
            notes += more
            done.append(writer.Page(raster, inside))
        with gdal():
            notes += writer.write(done, target)
    return list(dict.fromkeys(notes))


def _check(source: Path, target: Path, found: list[rasters.Raster]) -> list[str]:
    """All that can be refused is refused before any work begins; what else is to be said."""
    notes = []
    driver = rasters.DRIVERS.get(target.suffix.lower())
    for raster in found:
        rasters.check_target(raster, target)
        if (
            driver == "PNG"
            and writer.needs_valid(raster, driver)
            and (raster.dtype != "uint8" or raster.alpha)
        ):
            raise PaperError(
                f"{target}: PNG cannot hold a mask beside {raster.bands} bands of {raster.dtype}",
                "write a .tif",
            )
    if len(found) > 1 and driver != "GTiff":
        raise PaperError(f"{source}: has {len(found)} pages, {target.suffix} one", "write a .tif")
    pictures = frames(source) if len(found) == 1 else 1
    if pictures > 1 and source.suffix.lower() == ".png":
        raise PaperError(f"{source}: an animation of {pictures} pictures", "split it first")
    if pictures > 1:
        notes.append(f"holds {pictures} pictures, only the first is dehazed")
    if found[0].change == "palette":
        notes.append("its colour table was turned into the colours themselves")
    return notes


def _one_page(
    raster: rasters.Raster,
    folder: Path,
    name: str,
    how: How,
    pool: Pool,
    progress: bool,
    driver: str,
) -> tuple[rasters.Raster, list[str]]:
    """Both passes over one page; its cleared pixels then lie in `folder`."""
    if raster.height <= how.tile and raster.width <= how.tile and not raster.change:
        raster = replace(raster, unpack="" if raster.turn == 1 else raster.unpack)
    raster = replace(raster, unpack=str(folder) if raster.unpack else "")
    pixels, finished = folder / writer.PIXELS, finished_in(folder / "tiles")
    valid = folder / writer.VALID
    area = raster.height * raster.width
    size = area * raster.pixel_bytes * (2 if raster.unpack else 1)
    for file, bytes_ in ((pixels, area * raster.pixel_bytes), (valid, area)):
        there = file.is_file() and file.stat().st_size == bytes_
        if not there and (file is pixels or writer.needs_valid(raster, driver)):
            if shutil.disk_usage(folder).free < size:
                raise PaperError(
                    f"{folder}: {size / 1e9:.1f} GB are needed and not free", "make room"
                )
            (folder / "tiles").unlink(missing_ok=True)  # those done before were in the old one
            finished = set()
            with open(file, "wb") as handle:
                handle.truncate(bytes_)
    if raster.unpack:
        with gdal():
            unpacked.unpack(raster)
    job = Job(raster, str(folder), how.p, how.tile, valid.is_file())
    with tqdm(total=job.tiles, desc=f"{name}: light", unit="tile", disable=not progress) as bar:
        raster, notes = ranges.limits_of(job, pool, bar, given=how.limits is not None)
        job = replace(job, raster=raster)
        light = _light(job, pool, bar)
        bar.set_description(f"{name}: haze")
        bar.reset(job.tiles)
        bar.update(len(finished))
        todo = [index for index in range(job.tiles) if index not in finished]
        with open(folder / "tiles", "a", encoding="ascii") as log:
            for index, _ in pool.map(_clear_tile, job, todo, light):
                log.write(f"{index}\n")
                log.flush()
                bar.update()
    return raster, notes


def _light(job: Job, pool: Pool, bar: tqdm) -> np.ndarray | None:
    """The scene's atmospheric light; None where the file has to come back as it is."""
    path = Path(job.folder) / "light.npz"
    search = lights.Search(job.raster.working, job.p.fraction)
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
    _, colours, valid = read_tile(job, window)
    level = 1 / 255 if job.raster.limits else 0.0
    return lights.look(colours, valid, job.p.patch, box, question, level)


def _clear_tile(job: Job, index: int, light: np.ndarray | None) -> None:
    """Pass two: one tile cleared and written to its place among the pixels."""
    from . import fast

    window, box, top, left = job.window(index, job.p.halo)
    bands, colours, valid = read_tile(job, window)
    y, stop_y, x, stop_x = box
    inner = bands[y:stop_y, x:stop_x]
    if light is not None and (valid is None or valid[y:stop_y, x:stop_x].any()):
        clear = fast.clear_block(colours, valid, light, job.p, box)
        seen = None if valid is None else valid[y:stop_y, x:stop_x]
        inner = rasters.insert(job.raster, inner.copy(), clear, seen)
    _put(Path(job.folder) / writer.PIXELS, inner, top, left, job.raster.width)
    if job.keep_valid:
        seen = np.ones(inner.shape[:2], bool) if valid is None else valid[y:stop_y, x:stop_x]
        seen = np.where(seen[..., None], np.uint8(255), np.uint8(0))
        _put(Path(job.folder) / writer.VALID, seen, top, left, job.raster.width)


def _put(path: Path, block: np.ndarray, top: int, left: int, width: int) -> None:
    """A block `(h, w, bands)` written to its place in a plain file of pixels."""
    size = block.shape[2] * block.dtype.itemsize
    descriptor = os.open(path, os.O_WRONLY)
    try:
        for row, line in enumerate(block):
            os.pwrite(descriptor, np.ascontiguousarray(line), ((top + row) * width + left) * size)
        os.fsync(descriptor)  # before the tile is written down as done
    finally:
        os.close(descriptor)


# --- records --------------------------------------------------------------------------------------


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def finished_in(path: Path) -> set[int]:
    text = read_text(path)
    return {int(line) for line in text[: text.rfind("\n") + 1].split()}
