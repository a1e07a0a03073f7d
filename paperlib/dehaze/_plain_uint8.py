"""The dark channel prior on uint8 images by NumPy and OpenCV: the same bytes as the kernels give.

For the first small images of a process, which are done before numba would even be imported, and for
all where numba is not installed. Step by step the arithmetic of `_kernels_uint8`, which explains
its units: int32 pixels and box sums, which are exact, and float32 between them.
"""

from __future__ import annotations

import math

import numpy as np

from . import equations
from .arguments import Parameters

HALF = 127_500  # of the largest luma, 299 R + 587 G + 114 B
COARSE = 15.0  # times eps and t0: the least steps in 0.5; a quarter of it still passes the tests


def units(radius: int, eps: float, t0: float) -> tuple[float, float] | None:
    """Steps in 0.5 of transmission, and in 1 of slope and offset; None where too coarse."""
    room = (2**31 - 1) // (2 * radius + 1) ** 2  # for each pixel of a window
    slope = 0.25 / math.sqrt(eps)  # at most σ/2 / (σ² + eps)
    unit = min(room, 1 << 21)  # twice that is still exact in single precision
    fine = min(room / (1.1 * (1 + slope)), 1 << 20)
    good = room > HALF and unit * eps * t0 >= COARSE
    return (float(unit), float(math.floor(fine))) if good else None


def clear(image: np.ndarray, valid: np.ndarray | None, p: Parameters) -> np.ndarray:
    """`(h, w, 3)` uint8 without haze; where `valid` `(h, w)` is False, as it was."""
    dark = equations.dark_channel(image, p.patch, mask=valid)
    light = 255 * equations.atmospheric_light(image, dark, p.fraction, mask=valid)
    return recovered(image, valid, light, p)


def table(image: np.ndarray, valid: np.ndarray | None, patch: int, box: tuple) -> np.ndarray:
    """What `_kernels_dark.search` fills, `(256, 6)`, of the pixels `box` of `(h, w, 3)` uint8."""
    top, bottom, left, right = box
    inner = np.s_[top:bottom, left:right]
    dark, colours = equations.dark_channel(image, patch, mask=valid)[inner], image[inner]
    seen = np.ones(dark.shape, bool) if valid is None else valid[inner]
    dark, colours = dark[seen], colours[seen].astype(np.int64)
    total = colours.sum(axis=1)
    result = np.zeros((256, 6), np.int64)
    result[:, 0] = np.bincount(dark, minlength=256)
    result[:, 1] = -1
    np.maximum.at(result[:, 1], dark, total)
    brightest = total == result[dark, 1]
    result[:, 2] = np.bincount(dark[brightest], minlength=256)
    for c in range(3):
        sums = np.bincount(dark[brightest], weights=colours[brightest, c], minlength=256)
        result[:, 3 + c] = sums  # exact: far below 2**53
    return result


def recovered(
    image: np.ndarray, valid: np.ndarray | None, light: np.ndarray, p: Parameters
) -> np.ndarray:
    """`clear` with the atmospheric light given, `(3,)` in 1…255."""
    unit, fine = map(np.float32, units(p.radius, p.eps, p.t0))
    light = np.float32(light)
    guide = image.astype(np.int32) @ np.array([299, 587, 114], np.int32) - HALF
    darkest = image if valid is None else np.where(valid[..., None], image, np.uint8(255))
    darkest = equations.window_minimum(darkest, p.patch)
    most = 2 * p.omega * np.float64(unit)
    haze = equations.channel_minimum(darkest * np.float32(most / np.float64(light)))
    haze = np.rint(np.minimum(haze, np.float32(most)) - unit).astype(np.int32)
    weight = np.ones(guide.shape, np.int32) if valid is None else valid.astype(np.int32)
    guide, haze = guide * weight, haze * weight
    weight = np.float32(1) / np.maximum(equations.box_sum(weight, p.radius), 1).astype(np.float32)

    def mean(steps: np.ndarray, of: np.float32) -> np.ndarray:
        return equations.box_sum(steps, p.radius).astype(np.float32) * (weight * of)

    of_guide, of_haze = np.float32(1 / HALF), np.float32(1 / np.float64(unit))
    g, h = guide.astype(np.float32), haze.astype(np.float32)
    square = np.int32(g * g * np.float32(np.float64(unit) / HALF**2) + np.float32(0.5))
    lift = np.float32(np.float64(unit) + 0.5)  # numbers below 0 are rounded down too
    cross = np.int32(g * h * of_guide + lift) - np.int32(lift)
    i, s = mean(guide, of_guide), mean(haze, of_haze)
    variance = np.maximum(mean(square, of_haze) - i * i, np.float32(0))
    slope = (mean(cross, of_haze) - i * s) / (variance + np.float32(4 * p.eps))
    slope = np.rint(slope * fine)
    offset = np.rint(s * fine - slope * i).astype(np.int32)
    slope = slope.astype(np.int32)
    if valid is not None:
        slope, offset = slope * valid, offset * valid
    slope, offset = (
        equations.box_sum(each, p.radius).astype(np.float32) for each in (slope, offset)
    )
    back = weight * np.float32(0.5 / np.float64(fine))
    t = np.float32(0.5) - (slope * (g * of_guide) + offset) * back
    over_t = (np.float32(1) / np.maximum(t, np.float32(p.t0)))[..., None]
    result = (image - light) * over_t + (light + np.float32(0.5))
    result = np.clip(result, np.float32(0.5), np.float32(255.5)).astype(np.uint8)
    return result if valid is None else equations.keep(result, image, valid)
