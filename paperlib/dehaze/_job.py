"""One file to clear, cut into tiles: what a worker needs to know, and the windows it reads."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from ..utils import code
from . import _raster as rasters
from . import _unpack as unpacked
from .arguments import Parameters


@dataclass(frozen=True)
class How:
    """What a user asks for: the prior's parameters, and how the files are to be read.

    bands   1-based band numbers of red, green and blue; None: as the file says
    limits  the values that count as black and white; None: as the file says
    """

    p: Parameters
    tile: int = 1024
    bands: tuple[int, ...] | None = None
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Job:
    """One file to clear: what each worker gets besides the number of its tile."""

    raster: rasters.Raster
    folder: str  # of the partial result
    p: Parameters
    tile: int
    keep_valid: bool = False  # the valid pixels are wanted too, for a mask of the target

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


def read_tile(job: Job, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """`rasters.read` of a window of the job's file."""
    with gdal():
        return rasters.read(job.raster, _handle(job.raster), window)


_open = threading.local()


def _handle(raster: rasters.Raster):
    """The file opened once per thread: GDAL's handles are not for sharing."""
    stamp = (raster.name, raster.unpack, os.stat(raster.path).st_mtime_ns)
    if getattr(_open, "stamp", None) != stamp:
        if getattr(_open, "handle", None) is not None:
            _open.handle.close()
        make = unpacked.Unpacked(raster) if raster.unpack else rasters.open_raster(raster.name)
        _open.handle, _open.stamp = make, stamp
    return _open.handle


@contextmanager
def gdal() -> Iterator[None]:
    with rasterio.Env(GDAL_CACHEMAX=rasters.CACHE):
        yield


def key_of(source: Path, how: How) -> str:
    """Changes with the source's content (its size and time stand for it, and those of GDAL's files
    beside it), every argument, and the code."""
    beside = [Path(f"{source}{suffix}") for suffix in (".aux.xml", ".msk")]
    stats = [file.stat() for file in [source, *beside] if file == source or file.is_file()]
    content = [(stat.st_size, stat.st_mtime_ns) for stat in stats]
    given = [how.tile, asdict(how.p), how.bands, how.limits, code.stamp("paperlib.dehaze")]
    text = json.dumps([str(source.resolve()), content, *given])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
