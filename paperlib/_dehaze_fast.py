"""The fast path of `dehaze`: blocks, threads and dtypes around the kernels.

A big image is cut into strips of whole rows that overlap by the halo; where they are cut depends on
the image and the parameters only, never on the number of threads, so the result does not either.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import _dehaze_equations as equations
from . import _dehaze_kernels as kernels
from ._dehaze_check import SCALE, Parameters, split_alpha, values
from ._dehaze_light import merged

ROWS = 512  # of a strip: enough that the halo is a small part, few enough to stay in cache
PIXELS = 1 << 22  # of small images handed to a thread at a time
SMALL = 1 << 19  # pixels up to which an image of a batch is one thread's work

Box = tuple[int, int, int, int]


def many(images: np.ndarray, p: Parameters, threads: int) -> np.ndarray:
    """A checked batch `(N, H, W[, C])`."""
    count, height, width = images.shape[:3]
    result = np.empty(images.shape, images.dtype)
    if height * width > SMALL:
        for index in range(count):
            result[index] = _named(images, index, p, threads)
    elif images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3:
        step = max(1, PIXELS // (height * width * 4 * threads))
        step = min(step, -(-count // threads)) or 1

        def work(start: int) -> None:
            _chips(images[start : start + step], p, result[start : start + step])

        _run(work, range(0, count, step), threads)
    else:

        def work(index: int) -> None:
            result[index] = _named(images, index, p, 1)

        _run(work, range(count), threads)
    return result


def one(image: np.ndarray, valid: np.ndarray | None, p: Parameters, threads: int) -> np.ndarray:
    """A checked image, and which of its pixels count (None: all)."""
    result = np.empty(image.shape, image.dtype)
    colour = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if colour and valid is None and image.shape[0] * image.shape[1] <= SMALL:
        _chips(image[None], p, result[None])
        return result
    light = scene_light(image, valid, p, threads)
    if light is None:
        return image.copy()
    height, width = image.shape[:2]
    strip = max(ROWS, 2 * p.halo)

    def work(top: int) -> None:
        bottom = min(height, top + strip)
        start, stop = max(0, top - p.halo), min(height, bottom + p.halo)
        result[top:bottom] = clear_block(
            image[start:stop],
            None if valid is None else valid[start:stop],
            light,
            p,
            (top - start, bottom - start, 0, width),
            result[top:bottom],
        )

    _run(work, range(0, height, strip), threads)
    return result


def scene_light(
    image: np.ndarray, valid: np.ndarray | None, p: Parameters, threads: int
) -> np.ndarray | None:
    """The atmospheric light `(3,)` in 0…1; None where the image has to come back as it is."""
    colours = image[..., :3] if image.ndim == 3 else image
    if valid is not None and not valid.any():
        return None
    if image.dtype != np.uint8:
        if _constant(colours, valid):
            return None
        if valid is not None:
            colours = blank(colours, valid)
        dark = equations.dark_channel(colours, p.patch, mask=valid)
        light = equations.atmospheric_light(colours, dark, p.fraction, mask=valid)
        return np.broadcast_to(light, (3,)).copy()
    height, width = image.shape[:2]
    needed = math.ceil(p.fraction * (height * width if valid is None else int(valid.sum())))
    tables = {}

    def work(top: int) -> None:
        bottom = min(height, top + ROWS)
        start, stop = max(0, top - p.patch // 2), min(height, bottom + p.patch // 2)
        tables[top] = light_table(
            image[start:stop],
            None if valid is None else valid[start:stop],
            p.patch,
            (top - start, bottom - start, 0, width),
            needed,
        )

    _run(work, range(0, height, ROWS), threads)
    table = functools.reduce(merged, tables.values())
    return light_from(table, needed, 255.0)


# --- one block of a scene -------------------------------------------------------------------------


def light_table(
    image: np.ndarray, valid: np.ndarray | None, patch: int, box: Box, needed: int
) -> np.ndarray:
    """The table of `kernels.tabulate` of one uint8 block `(h, w[, C])`."""
    rows = _rgb(image)
    height, width = image.shape[:2]
    table = np.zeros((256, 6), np.int64)
    table[:, 1] = -1
    kernels.tabulate(
        rows, _fixed(valid), patch, box, needed, *_dark_space(height, width, patch), table
    )
    return table


def light_from(table: np.ndarray, needed: int, scale: float) -> np.ndarray:
    """The atmospheric light `(3,)` in 0…1 out of a table; `needed` candidates, ties kept."""
    seen = np.cumsum(table[::-1, 0])[::-1]  # pixels with this value or more
    low = np.flatnonzero(seen >= needed)[-1]
    candidates = table[low:]
    brightest = candidates[candidates[:, 1] == candidates[:, 1].max()]
    mean = brightest[:, 3:].sum(axis=0) / brightest[:, 2].sum()
    return np.maximum(mean / scale, equations.LIGHT_FLOOR)


def clear_block(
    image: np.ndarray,
    valid: np.ndarray | None,
    light: np.ndarray,
    p: Parameters,
    box: Box,
    target: np.ndarray | None = None,
) -> np.ndarray:
    """The pixels `box` (top, bottom, left, right) of a block, without haze; like `image`.

    `target` may be written to, where that saves a copy.
    """
    top, bottom, left, right = box
    height, width = image.shape[:2]
    byte = image.dtype == np.uint8
    inner = image[top:bottom, left:right]
    direct = byte and image.ndim == 3 and image.shape[2] == 3
    if direct and target is not None and target.flags.c_contiguous:
        out = target.reshape(bottom - top, -1)
    else:
        out = np.empty((bottom - top, 3 * (right - left)), np.uint8 if byte else np.float64)
    rows = _rgb(image if valid is None or byte else blank(image, valid))
    peak = 255.0 if byte else 1.0
    kernels.clear(
        rows, _fixed(valid), light * peak, peak, p.patch, p.omega, p.t0, p.radius, p.eps, box,
        *_clear_space(height, width, p, np.float32 if byte else np.float64), out,
    )  # fmt: skip
    out = out.reshape(bottom - top, right - left, 3)
    if direct:
        return out
    scale = SCALE[image.dtype]
    if image.dtype == np.uint16:
        out = np.rint(out * scale)
    result = np.empty(inner.shape, image.dtype)
    if image.ndim == 2:
        result[:] = out[..., 0]
    else:
        result[..., : min(3, image.shape[2])] = out[..., : image.shape[2]]
        result[..., 3:] = inner[..., 3:]
    if valid is not None:
        hidden = ~valid[top:bottom, left:right]
        result[hidden] = inner[hidden]
    return result


def blank(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """No-data as 0: it may be NaN, and 0·NaN is not 0."""
    zero = image.dtype.type(0)
    return np.where(valid if image.ndim == 2 else valid[..., None], image, zero)


# --- arrays for the kernels -----------------------------------------------------------------------


def _chips(images: np.ndarray, p: Parameters, result: np.ndarray) -> None:
    count, height, width = images.shape[:3]
    kernels.chips(
        _fixed(images).reshape(count, height, width * 3), p.patch, p.omega, p.t0,
        math.ceil(p.fraction * (height * width)), p.radius, p.eps,
        *_dark_space(height, width, p.patch), *_clear_space(height, width, p, np.float32),
        np.empty((256, 6), np.int64), np.empty(3), result.reshape(count, height, width * 3),
    )  # fmt: skip


def _dark_space(height: int, width: int, patch: int) -> tuple[np.ndarray, ...]:
    tall, wide = (sum(kernels.reach(patch, side)) for side in (height, width))
    plane = (height + tall, width)
    return np.empty(plane, np.uint8), np.empty(plane, np.uint8), np.empty((2, width + wide), "u1")


def _clear_space(height: int, width: int, p: Parameters, dtype: type) -> tuple[np.ndarray, ...]:
    """Work space g, m, n, ends, sums, ring of `kernels.clear`."""
    tall, wide = (sum(kernels.reach(p.patch, side)) for side in (height, width))
    rx, ry = min(p.radius, width - 1), min(p.radius, height - 1)
    return (
        np.empty((height, width), dtype),
        np.empty((height + tall, width), dtype),
        np.empty((height + tall, width), dtype),
        np.empty((4, width + wide), dtype),
        np.empty((17, width + 2 * rx + 1)),
        np.empty((3, 2 * ry + 1, width), dtype),
    )


def _rgb(image: np.ndarray) -> np.ndarray:
    """Rows of red, green, blue, red …, uint8 or float64 in 0…1, for the kernels."""
    height, width = image.shape[:2]
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] != 3:
        image = (
            np.broadcast_to(image, (height, width, 3)) if image.shape[2] == 1 else image[..., :3]
        )
    if image.dtype != np.uint8:
        image = image.astype(np.float64) / SCALE[image.dtype]
    return _fixed(image).reshape(height, width * 3)


def _fixed(array: np.ndarray | None) -> np.ndarray | None:
    """Contiguous and read-only, as the kernels are compiled for, whatever the caller's array is."""
    if array is None:
        return None
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array


def _constant(colours: np.ndarray, valid: np.ndarray | None) -> bool:
    first = colours[0, 0] if valid is None else colours[valid][0]
    same = colours == first
    return bool(same.all() if valid is None else same[valid].all())


def _named(images: np.ndarray, index: int, p: Parameters, threads: int) -> np.ndarray:
    """One image of a batch; what is wrong with it names it."""
    colours, valid = split_alpha(images[index], None)
    values(colours, valid, name=f"images[{index}]")
    return one(images[index], valid, p, threads)


def _run(work: Callable[[int], None], items: range, threads: int) -> None:
    """`work` on every item in threads (the kernels let go of the GIL); the first error stops it."""
    if threads == 1 or len(items) < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        try:
            for _ in pool.map(work, items):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
