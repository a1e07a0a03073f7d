"""The fast path of `dehaze`: blocks, threads and dtypes around the kernels.

A big image is cut into strips of whole rows that overlap by the halo; where they are cut depends on
the image and the parameters only, never on the number of threads, so the result does not either.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import _plain_uint8, _workspace, equations
from ._light_table import light_from, merged
from .arguments import Parameters, split_alpha, values

ROWS = 512  # of a strip: enough that the halo is a small part, few enough to stay in cache
COLUMNS = 1024  # of such a strip that the equations take at a time, to bound their memory
PIXELS = 1 << 22  # of small images handed to a thread at a time
SMALL = 1 << 19  # pixels up to which an image of a batch is one thread's work
PLAIN = 1 << 21  # pixels that NumPy clears in the time in which numba is imported
SLOW = 1 << 26  # pixels that NumPy clears in some seconds
CALLS = 1 << 13  # as many pixels is what NumPy's calls cost for one image

Box = tuple[int, int, int, int]


def many(images: np.ndarray, p: Parameters, threads: int) -> np.ndarray:
    """A checked batch `(N, H, W[, C])`."""
    count, height, width = images.shape[:3]
    result = np.empty(images.shape, images.dtype)
    if height * width > SMALL:
        for index in range(count):
            result[index] = _named(images, index, p, threads)
    elif images.ndim == 4 and _direct(images[:1], p):
        if _by_numpy(count, height * width):
            for index in range(count):
                result[index] = _plain_uint8.clear(images[index], None, p)
            return result
        step = max(1, PIXELS // (height * width * 4 * threads))
        step = min(step, -(-count // threads)) or 1

        def work(start: int) -> None:
            _chips(images[start : start + step], None, p, result[start : start + step])

        _run(work, range(0, count, step), threads)
    else:

        def work(index: int) -> None:
            result[index] = _named(images, index, p, 1)

        _run(work, range(count), threads)
    return result


def one(image: np.ndarray, valid: np.ndarray | None, p: Parameters, threads: int) -> np.ndarray:
    """A checked image, and which of its pixels count (None: all)."""
    result = np.empty(image.shape, image.dtype)
    small = image.shape[0] * image.shape[1] <= SMALL
    if small and image.ndim == 3 and _direct(image[None], p):
        if valid is not None and not valid.any():
            return image.copy()
        if _by_numpy(1, image.shape[0] * image.shape[1]):
            return _plain_uint8.clear(image, valid, p)
        _chips(image[None], valid, p, result[None])
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


def _direct(images: np.ndarray, p: Parameters) -> bool:
    """Whether the kernels take such images (N, H, W, C) from start to end."""
    return images.dtype == np.uint8 and images.shape[3] == 3 and _units(p) is not None


_loaded = False  # the kernels, in this process
_cleared = 0  # pixels by NumPy before that


@functools.cache
def _numba_there() -> bool:
    try:
        import numba  # noqa: F401
    except ImportError:  # missing, or older than the NumPy that is there
        return False
    return True


def _by_numpy(count: int, pixels: int) -> bool:
    """Whether NumPy clears so many small images or blocks: the same bytes.

    Where numba is missing, or while NumPy is done before numba would be imported.
    """
    global _cleared
    if _loaded:
        return False
    before, _cleared = _cleared, _cleared + count * (pixels + CALLS)
    if _cleared <= PLAIN or _numba_there():
        return _cleared <= PLAIN
    if before < SLOW <= _cleared:
        sys.stderr.write(
            "paperlib.dehaze: many times as fast with numba: pip install 'paperlib[fast]'\n"
        )
    return True


def _clear(*arguments) -> None:
    """`_kernels_uint8.clear`; its import takes 0.4 s, and 6 s more where it has to be compiled."""
    global _loaded
    from . import _kernels_uint8
    from ._kernels_windows import compiled_before

    if not _loaded and not compiled_before(_kernels_uint8.clear):
        sys.stderr.write("paperlib.dehaze: compiling, once on this machine: about 6 seconds …\n")
    _loaded = True
    _kernels_uint8.clear(*arguments)


def compile_kernel() -> None:
    """Compile the kernel now where that has not been done, rather than in the first large call.

    Raises `ModuleNotFoundError` where numba is not installed.
    """
    chips = np.zeros((1, 32, 32, 3), np.uint8)
    _chips(chips, None, Parameters(), np.empty_like(chips))


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
    """The table of `_kernels_dark.search` of one uint8 block `(h, w[, C])`."""
    height, width = image.shape[:2]
    if _by_numpy(1, height * width):
        return _plain_uint8.table(_rgb(image), valid, patch, box)
    table = np.empty((256, 6), np.int64)
    nothing = np.empty((1, 0, 0), np.uint8)
    _clear(
        _rows(image)[None], _mask(valid), np.empty(3), needed, patch, 0.0, 0.0, 0, 0.0,
        (0.0, 0.0), box, *_workspace.for_table(height, width, patch), table, nothing,
    )  # fmt: skip
    return table


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
    steps = _units(p)
    if image.dtype != np.uint8 or steps is None:
        return _in_pieces(_by_definition, image, valid, light, p, box)
    top, bottom, left, right = box
    height, width = image.shape[:2]
    inner = image[top:bottom, left:right]
    direct = image.ndim == 3 and image.shape[2] == 3
    if _by_numpy(1, height * width):
        out = _in_pieces(_plain_block, _rgb(image), valid, light, p, box)
        return _as_given(out, inner)
    if direct and target is not None and target.flags.c_contiguous:
        out = target.reshape(bottom - top, -1)
    else:
        out = np.empty((bottom - top, 3 * (right - left)), np.uint8)
    _clear(
        _rows(image)[None], _mask(valid), light * 255, 0, p.patch, p.omega, p.t0, p.radius, p.eps,
        steps, box, *_workspace.for_integers(height, width, p, valid is not None), _NO_TABLE,
        out[None],
    )  # fmt: skip
    return _as_given(out.reshape(bottom - top, right - left, 3), inner)


def _as_given(out: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """`out` `(h, w, 3)` with the bands of the pixels `inner` that it was made from."""
    if inner.ndim == 2:
        return out[..., 0]
    if inner.shape[2] == 3:
        return out
    return np.concatenate([out[..., : inner.shape[2]], inner[..., 3:]], axis=2)


def _in_pieces(
    work: Callable[..., np.ndarray],
    image: np.ndarray,
    valid: np.ndarray | None,
    light: np.ndarray,
    p: Parameters,
    box: Box,
) -> np.ndarray:
    """`clear_block` by `work`, so many columns at a time: a dozen planes are alive at once."""
    top, bottom, left, right = box
    pieces = []
    for start in range(left, right, COLUMNS):
        stop = min(right, start + COLUMNS)
        low, high = max(0, start - p.halo), min(image.shape[1], stop + p.halo)
        seen = None if valid is None else valid[:, low:high]
        inner = np.s_[top:bottom, start - low : stop - low]
        pieces.append(work(image[:, low:high], seen, light, p, inner))
    return np.concatenate(pieces, axis=1)


def _plain_block(
    image: np.ndarray,
    valid: np.ndarray | None,
    light: np.ndarray,
    p: Parameters,
    inner: tuple[slice, slice],
) -> np.ndarray:
    return _plain_uint8.recovered(image, valid, light * 255, p)[inner]


def _by_definition(
    image: np.ndarray,
    valid: np.ndarray | None,
    light: np.ndarray,
    p: Parameters,
    inner: tuple[slice, slice],
) -> np.ndarray:
    """A block by the equations, in float64: for what the kernels' integers do not hold."""
    colours = image[..., :3] if image.ndim == 3 else image
    if valid is not None:
        colours = blank(colours, valid)
    light = light[: equations.bands(colours).shape[2]]
    coarse = equations.transmission(colours, light, p.patch, p.omega, mask=valid)
    fine = equations.guided_filter(equations.luma(colours), coarse, p.radius, p.eps, mask=valid)
    result = equations.recover(colours[inner], fine[inner], light, p.t0)
    if image.ndim == 3 and image.shape[2] == 4:
        result = np.concatenate([result, image[inner][..., 3:]], axis=2)
    return result if valid is None else equations.keep(result, image[inner], valid[inner])


def blank(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """No-data as 0: it may be NaN, and 0·NaN is not 0."""
    zero = image.dtype.type(0)
    return np.where(valid if image.ndim == 2 else valid[..., None], image, zero)


# --- arrays for the kernels -----------------------------------------------------------------------


_NO_TABLE = np.empty((256, 6), np.int64)


def _units(p: Parameters) -> tuple[float, float] | None:
    return _plain_uint8.units(p.radius, p.eps, p.t0)


def _chips(images: np.ndarray, valid: np.ndarray | None, p: Parameters, result: np.ndarray) -> None:
    """A batch from start to end by the kernel; `valid` is one mask for all."""
    count, height, width = images.shape[:3]
    pixels = height * width if valid is None else int(valid.sum())
    _clear(
        _fixed(images).reshape(count, height, width * 3), _mask(valid), np.empty(3),
        math.ceil(p.fraction * pixels), p.patch, p.omega, p.t0, p.radius, p.eps,
        _units(p), (0, height, 0, width),
        *_workspace.for_integers(height, width, p, valid is not None),
        np.empty((256, 6), np.int64), result.reshape(count, height, width * 3),
    )  # fmt: skip


def _rgb(image: np.ndarray) -> np.ndarray:
    """The colours of an image, `(h, w, 3)`: of one band, three times the same."""
    image = equations.bands(image)
    if image.shape[2] == 1:
        image = np.broadcast_to(image, (*image.shape[:2], 3))
    return image[..., :3]


def _rows(image: np.ndarray) -> np.ndarray:
    """Rows of red, green, blue, red … of a uint8 image, for the kernels."""
    return _fixed(_rgb(image)).reshape(len(image), -1)


def _fixed(array: np.ndarray) -> np.ndarray:
    """Contiguous and read-only, as the kernels are compiled for, whatever the caller's array is."""
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array


def _mask(valid: np.ndarray | None) -> np.ndarray:
    """`valid` for the kernels: no pixels where all count, so that one type serves both."""
    return _fixed(np.empty((0, 0), bool) if valid is None else valid)


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
