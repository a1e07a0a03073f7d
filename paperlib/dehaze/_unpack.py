"""Pixels of a file read once, forward, and laid down as they are meant.

A PNG, a JPEG or a TIFF of one strip can only be decoded from its top, so that reading it tile by
tile takes time with the square of its height. Here it is decoded once, some rows at a time. On the
way few bits become 8, a colour table becomes its colours, and a picture that lies on its side is
put upright.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from . import _raster as rasters

PIXELS, MASK = "unpacked", "unpacked_mask"
CHUNK = 16 << 20  # bytes decoded at a time


class Unpacked:
    """Windows of the pixels that `unpack` laid down; `rasters.read` takes it for a handle."""

    def __init__(self, raster: rasters.Raster) -> None:
        self.raster = raster
        self.pixels = os.open(Path(raster.unpack) / PIXELS, os.O_RDONLY)
        self.mask = os.open(Path(raster.unpack) / MASK, os.O_RDONLY) if raster.mask else -1

    def close(self) -> None:
        os.close(self.pixels)
        if self.mask >= 0:
            os.close(self.mask)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        r = self.raster
        bands = block_of(self.pixels, window, r.width, r.bands, np.dtype(r.dtype))
        if self.mask < 0:
            return bands, None
        return bands, block_of(self.mask, window, r.width, 1, np.dtype(np.uint8))[..., 0]


def unpack(raster: rasters.Raster) -> None:
    """Lay the pixels of a file down in the folder `raster.unpack`; nothing where they are there."""
    folder = Path(raster.unpack)
    if (folder / PIXELS).is_file():
        return
    with (
        rasters.open_raster(raster.name) as source,
        open(folder / f"{PIXELS}.part", "wb") as pixels,
        open(folder / MASK, "wb") as mask,
    ):
        pixels.truncate(raster.height * raster.width * raster.pixel_bytes)
        change = _change(raster, source)
        rows = max(1, CHUNK // (source.width * max(raster.pixel_bytes, source.count)))
        high = source.block_shapes[0][0]
        rows = max(high, rows // high * high)
        for top in range(0, source.height, rows):
            count = min(rows, source.height - top)
            window = Window(0, top, source.width, count)
            block, own = rasters.read_file(raster, source, window)
            _lay(pixels.fileno(), raster, source.height, top, change(block))
            if own is not None:
                _lay(mask.fileno(), raster, source.height, top, own[..., None])
    os.replace(folder / f"{PIXELS}.part", folder / PIXELS)


def _change(raster: rasters.Raster, source):
    """What is done to each block of pixels."""
    if raster.change == "palette":
        table = rasters.palette_of(source)
        return lambda block: table[block[..., 0]]
    if raster.change == "opaque":
        return lambda block: block[..., :3]
    if raster.change == "bits":
        high = 2 ** int(source.tags(1, ns="IMAGE_STRUCTURE")["NBITS"]) - 1
        values = np.rint(np.arange(256) * 255 / high).clip(0, 255).astype(np.uint8)
        return lambda block: values[block]
    return lambda block: block


def _lay(descriptor: int, raster: rasters.Raster, height: int, top: int, block: np.ndarray) -> None:
    """One block of whole rows of the file, put where it belongs in the upright picture."""
    bottom, turn = top + len(block), raster.turn
    if turn > 4:
        block = block.swapaxes(0, 1)
        y, x = 0, (height - bottom if turn in (6, 7) else top)
        block = block[:, ::-1] if turn in (6, 7) else block
        block = block[::-1] if turn in (7, 8) else block
    else:
        y, x = (height - bottom if turn in (3, 4) else top), 0
        block = block[::-1] if turn in (3, 4) else block
        block = block[:, ::-1] if turn in (2, 3) else block
    size = block.dtype.itemsize * block.shape[2]
    if block.shape[1] == raster.width:
        os.pwrite(descriptor, np.ascontiguousarray(block).data, y * raster.width * size)
        return
    for row, line in enumerate(np.ascontiguousarray(block)):
        os.pwrite(descriptor, line.data, ((y + row) * raster.width + x) * size)


def block_of(
    descriptor: int, window: Window, width: int, bands: int, dtype: np.dtype
) -> np.ndarray:
    """A window of a plain file of pixels, `(h, w, bands)`."""
    size = bands * dtype.itemsize
    rows = range(window.row_off, window.row_off + window.height)
    lines = (
        os.pread(descriptor, window.width * size, (row * width + window.col_off) * size)
        for row in rows
    )
    block = np.frombuffer(bytearray().join(lines), dtype)
    return block.reshape(window.height, window.width, bands)
