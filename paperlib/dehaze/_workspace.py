"""The arrays that the kernels of `dehaze` work in: they allocate nothing themselves."""

from __future__ import annotations

import math

import numpy as np

from .arguments import Parameters

LANES = 16  # int32 in a vector


def reach(patch, side):
    """How far the window reaches back and forth, no further than the side is long."""
    return min(patch // 2, side - 1), min(patch - 1 - patch // 2, side - 1)


def _empty(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Work space that begins on a cache line: vectors that straddle two are slow to load."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    space = np.empty(size + 64, np.uint8)
    start = -space.ctypes.data % 64
    return space[start : start + size].view(dtype).reshape(shape)


def _for_dark(height: int, width: int, patch: int) -> tuple[np.ndarray, ...]:
    """Work space ends, kept, eroded of `_kernels_dark.erode`."""
    tall, wide = (sum(reach(patch, side)) for side in (height, width))
    step = -(-(width + wide + 1) // 64) * 64
    return (
        _empty((3, 3 * step + wide), np.uint8),
        _empty((tall + 1, 3 * step), np.uint8),
        _empty((height, 3 * step), np.uint8),
    )


def for_table(height: int, width: int, patch: int) -> tuple:
    """The same as `for_integers` where only the table for A is wanted."""
    space = (
        np.empty((9, 0), np.int32),
        np.empty((6, 0), np.int32),
        np.empty((2, 0), np.float32),
        np.empty(0, np.float32),
    )
    luma, ring = np.empty((0, 0), np.int32), np.empty((3, 0, 0), np.int32)
    return *_for_dark(height, width, patch), luma, space, ring


def for_integers(height: int, width: int, p: Parameters, masked: bool) -> tuple:
    """Work space ends, kept, eroded, luma, space, ring of `_kernels_uint8.clear`."""
    rx, ry = min(p.radius, width - 1), min(p.radius, height - 1)
    tall, step, span = 2 * ry + 1, _up(width), _up(width + rx)
    space = (
        _empty((9, span), np.int32),
        _empty((6, _up(rx + 1) + span), np.int32),
        _empty((2 + tall * masked, step), np.float32),
        _empty((width,), np.float32),
    )
    luma, ring = _empty((height, step), np.int32), _empty((3, tall + 1, step), np.int32)
    return *_for_dark(height, width, p.patch), luma, space, ring


def _up(size: int) -> int:
    """`size` rounded up to whole blocks of `prefix_sums`."""
    return -(-size // LANES) * LANES
