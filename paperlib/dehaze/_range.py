"""Which values of a file are black and white, where neither the user nor the dtype says so.

Satellite products store reflectance as whole numbers, 0…10000 in 16 bits. The guided filter's `eps`
counts in the range of the values, so the range matters: the same scene has to give the same picture
whatever it was multiplied by.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from . import _raster as rasters
from ._job import Job, read_tile

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..utils.executors import Pool

#: Highest values as sensors and products have them: 8, 10, 11 and 12 bits, reflectance, 14, 15.
USUAL = (255, 1023, 2047, 4095, 10_000, 16_383, 32_767)
OUTSIDE = 0.05  # of the valid pixels that may lie outside the range that the file's scale gives


def limits_of(job: Job, pool: Pool, bar: tqdm, *, given: bool) -> tuple[rasters.Raster, list[str]]:
    """The raster with its `limits`, and what has to be said about them.

    given  whether the user named them
    """
    raster = job.raster
    scaled = raster.limits is not None
    if (raster.dtype != "uint16" and not scaled) or (scaled and raster.bits and not given):
        return raster, []
    low, high, outside, count = np.inf, -np.inf, 0, 0
    plain = replace(job, raster=replace(raster, limits=None))
    bar.reset(job.tiles)
    for _, found in pool.map(_look, plain, list(range(job.tiles)), raster.limits):
        low, high = min(low, found[0]), max(high, found[1])
        outside, count = outside + found[2], count + found[3]
        bar.update()
    part = outside / max(1, count)
    if given:
        note = f"{part:.0%} of the pixels lie outside --range and count as its ends"
        return raster, [note] if part > OUTSIDE else []
    if scaled and part <= OUTSIDE:
        return raster, []
    notes, highest = [], high
    if scaled:
        notes = [f"by the file's scale {part:.0%} of its pixels lie outside 0…1: not used"]
    kind = np.dtype(raster.dtype)
    full = 255 if kind == np.uint8 else 65535 if kind == np.uint16 else 0
    if kind == np.uint8 or (full and high > full / 2) or count == 0 or high <= max(0.0, low):
        return replace(raster, limits=None), notes
    if kind.kind == "f" and low >= 0 and high <= 1:
        return replace(raster, limits=None), notes
    low = min(0.0, low)
    if kind.kind in "ui":  # the same for all scenes of a folder, where the highest value is not
        high = next((usual for usual in USUAL if high <= usual), high)
    text = f"{raster.dtype} with values up to {highest:g}: {low:g}…{high:g} is black to white"
    return (
        replace(raster, limits=(float(low), float(high))),
        [*notes, f"{text}; --range LOW HIGH names another"],
    )


def _look(job: Job, index: int, limits: tuple[float, float] | None):
    """Lowest and highest valid value of one tile, its valid pixels outside `limits`, and all."""
    window, _, _, _ = job.window(index, 0)
    raster = job.raster
    if np.dtype(raster.dtype).kind == "f":  # whose values are not looked at as they are
        span = float(np.finfo(np.float32).max)
        raster = replace(raster, limits=(0.0, span))
    bands, _, valid = read_tile(replace(job, raster=raster), window)
    colours = bands[..., [band - 1 for band in raster.colours]]
    inside = colours.reshape(-1, colours.shape[2]) if valid is None else colours[valid]
    inside = inside.astype(np.float64)
    if not inside.size:
        return np.inf, -np.inf, 0, 0
    low, high = limits or (-np.inf, np.inf)
    out = ((inside < low) | (inside > high)).any(axis=1)
    return inside.min(), inside.max(), int(out.sum()), len(inside)
