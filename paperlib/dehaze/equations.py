"""The equations of the dark channel prior: what `dehaze` is defined by, and tested against.

Plain NumPy and OpenCV, in float64; `paperlib.dehaze` offers them and says what an image is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from . import arguments
from .arguments import SCALE

LIGHT_FLOOR = 1 / 255  # a black light would divide by zero
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def dark_channel(image: np.ndarray, patch: int = 15, *, mask: np.ndarray | None = None):
    """Dark channel: the minimum over the channels and over a square window, clipped at the border.

    Parameters
    ----------
    image : `(H, W)`, `(H, W, 1 or 3)`; uint8, uint16 or float in 0…1
    patch
        side of the window in pixels; an even window reaches one pixel further up and left
    mask : `(H, W)` bool, True where a pixel counts; where a window holds none, the dtype's maximum

    Returns
    -------
    `(H, W)` in the image's dtype and units

    Raises
    ------
    ValueError
        for a wrong shape, dtype, value or window

    References
    ----------
    Paper, eq. 1; He, Sun & Tang 2009, eq. 5.
    """
    image = arguments.pixels(image, alpha=False)
    arguments.whole("patch", patch, 1)
    valid = arguments.mask_of(mask, image.shape[:2])
    arguments.values(image, valid)
    return window_minimum(_fill(channel_minimum(bands(image)), valid), patch)


def atmospheric_light(
    image: np.ndarray, dark: np.ndarray, fraction: float = 0.01, *, mask: np.ndarray | None = None
) -> np.ndarray:
    """Atmospheric light A: the mean colour of the brightest pixels among the haziest.

    The candidates are all pixels whose dark channel reaches the ⌈fraction·H·W⌉-th largest value,
    ties included; of those, the ones with the highest R+G+B. So A does not depend on the order of
    the pixels.

    Parameters
    ----------
    image : `(H, W)`, `(H, W, 1 or 3)`
    dark : `(H, W)`, the dark channel, in any unit
    fraction
        fraction of the pixels that are candidates, above 0 and at most 1
    mask : `(H, W)` bool, True where a pixel counts

    Returns
    -------
    `(3,)`, for a greyscale image `(1,)`, in 0…1, each channel at least 1/255

    Raises
    ------
    ValueError
        for a wrong shape, dtype, value or fraction, or where no pixel counts

    References
    ----------
    Paper, section 2.1, steps before eq. 9, which take 1 % of the pixels; He, Sun & Tang 2009,
    section 4.4, which take 0.1 %.
    """
    image = arguments.pixels(image, alpha=False)
    arguments.real("fraction", fraction, 0, 1, "above 0, at most 1")
    valid = arguments.mask_of(mask, image.shape[:2])
    arguments.values(image, valid)
    dark = np.asarray(dark)
    if dark.shape != image.shape[:2]:
        raise ValueError(f"dark: expected the image's {image.shape[:2]}, not {dark.shape}")
    colours = bands(image)
    inside = dark.ravel() if valid is None else dark[valid]
    if not inside.size:
        raise ValueError("mask: no pixel counts, so there is no atmospheric light")
    rank = inside.size - math.ceil(fraction * inside.size)
    candidate = dark >= np.partition(inside, rank)[rank]
    if valid is not None:
        candidate &= valid
    bright = colours[candidate].astype(np.float64)  # integers stay exact: ties are real ties
    # left to right, as the fast path adds, so that both see the same ties in float images
    total = bright[:, 0] if bright.shape[1] == 1 else bright[:, 0] + bright[:, 1] + bright[:, 2]
    bright = bright[total == total.max()]
    # the mean of equal colours is that colour, to the last bit
    mean = np.clip(bright.mean(axis=0), bright.min(axis=0), bright.max(axis=0))
    return np.maximum(mean / SCALE[image.dtype], LIGHT_FLOOR)


def transmission(
    image: np.ndarray,
    light: np.ndarray,
    patch: int = 15,
    omega: float = 0.95,
    *,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Coarse transmission: 1 − ω · the dark channel of I/A.

    Parameters
    ----------
    image : `(H, W)`, `(H, W, 1 or 3)`
    light : `(3,)` (greyscale `(1,)`) in 0…1
    patch
        side of the window in pixels
    omega
        fraction of the haze that is removed, 0…1
    mask : `(H, W)` bool, True where a pixel counts; 0 is returned where a window holds none

    Returns
    -------
    `(H, W)` float64; below 0 where every channel is far brighter than A

    Raises
    ------
    ValueError
        for a wrong shape, dtype, value or parameter

    References
    ----------
    Paper, eq. 8; He, Sun & Tang 2009, eq. 12.
    """
    image = arguments.pixels(image, alpha=False)
    arguments.whole("patch", patch, 1)
    arguments.real("omega", omega, 0, 1, "from 0 to 1", closed=True)
    valid = arguments.mask_of(mask, image.shape[:2])
    arguments.values(image, valid)
    colours = bands(image)
    light = arguments.light_of(light, colours.shape[2])
    relative = channel_minimum(colours / (light * SCALE[image.dtype]))
    if valid is not None:
        relative = np.where(valid, relative, np.inf)
    least = window_minimum(relative, patch)
    if valid is None:
        return 1 - omega * least
    some = least < np.finfo(np.float64).max  # OpenCV takes this for infinity beyond the border
    return np.where(some, 1 - omega * np.where(some, least, 0.0), 0.0)


def guided_filter(
    guide: np.ndarray,
    source: np.ndarray,
    radius: int = 40,
    eps: float = 1e-3,
    *,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Guided filter: smooth `source` where `guide` is flat, keep its edges where `guide` has them.

    Parameters
    ----------
    guide : `(H, W)` in 0…1, for an image its `luma`
    source : `(H, W)`
    radius
        half the window in pixels: the window's side is 2·radius + 1, clipped at the border
    eps
        variance of the guide below which a window counts as flat
    mask : `(H, W)` bool, True where a pixel counts; `source` is returned elsewhere

    Returns
    -------
    `(H, W)` float64

    Raises
    ------
    ValueError
        for a wrong shape, value or parameter

    References
    ----------
    He, Sun & Tang 2010, eq. 5, 6 and 8.
    """
    guide = arguments.plane(guide, "guide")
    source = arguments.plane(source, "source", guide.shape)
    arguments.whole("radius", radius, 0)
    arguments.real("eps", eps, 0, math.inf, "above 0")
    valid = arguments.mask_of(mask, guide.shape)
    for name, array in (("guide", guide), ("source", source)):
        if not np.isfinite(array if valid is None else array[valid]).all():
            raise ValueError(f"{name}: NaN or infinite values; mark them as no-data with mask")
    original = source
    if valid is None:
        weight = np.ones_like(guide)
    else:
        weight = valid.astype(np.float64)
        guide, source = np.where(valid, guide, 0.0), np.where(valid, source, 0.0)
    count = np.maximum(box_sum(weight, radius), 1.0)

    def mean(values: np.ndarray) -> np.ndarray:
        return box_sum(values * weight, radius) / count

    mean_guide, mean_source = mean(guide), mean(source)
    covariance = mean(guide * source) - mean_guide * mean_source
    variance = np.maximum(mean(guide * guide) - mean_guide**2, 0.0)
    slope = covariance / (variance + eps)
    offset = mean_source - slope * mean_guide
    smooth = mean(slope) * guide + mean(offset)
    return smooth if valid is None else np.where(valid, smooth, original)


def recover(
    image: np.ndarray,
    transmission: np.ndarray,
    light: np.ndarray,
    t0: float = 0.1,
    *,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Scene radiance: J = (I − A) / max(t, t0) + A, clipped to the dtype's range.

    Parameters
    ----------
    image : `(H, W)`, `(H, W, 1 or 3)`
    transmission : `(H, W)` or one number
    light : `(3,)` (greyscale `(1,)`) in 0…1
    t0
        least transmission divided by, above 0 and at most 1: it keeps noise down
    mask : `(H, W)` bool, True where a pixel counts; the others come back as they were

    Returns
    -------
    like `image`; integers are rounded to nearest

    Raises
    ------
    ValueError
        for a wrong shape, dtype, value or parameter

    References
    ----------
    Paper, eq. 9; He, Sun & Tang 2009, eq. 16.
    """
    image = arguments.pixels(image, alpha=False)
    arguments.real("t0", t0, 0, 1, "above 0, at most 1")
    valid = arguments.mask_of(mask, image.shape[:2])
    arguments.values(image, valid)
    colours = bands(image)
    light = arguments.light_of(light, colours.shape[2])
    t = _transmission_plane(transmission, image.shape[:2])
    if not np.isfinite(t if valid is None else t[valid]).all():
        raise ValueError("transmission: NaN or infinite values")
    t = np.maximum(t, t0)[..., None]
    result = _like(image, (colours / SCALE[image.dtype] - light) / t + light)
    return result if valid is None else keep(result, image, valid)


def add_haze(scene: np.ndarray, transmission: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Hazy image from a clear one: I = J·t + A·(1 − t).

    Parameters
    ----------
    scene : `(H, W)`, `(H, W, 1 or 3)`; alpha `(H, W, 4)` is carried through
    transmission : `(H, W)` or one number, in 0…1; 1 is clear air
    light : `(3,)`, or one number, above 0 and at most 1

    Returns
    -------
    like `scene`; integers are rounded to nearest

    Raises
    ------
    ValueError
        for a wrong shape, dtype or value

    References
    ----------
    Paper, eq. 3; He, Sun & Tang 2009, eq. 1.
    """
    scene = arguments.pixels(scene, "scene")
    arguments.values(scene, name="scene")
    if scene.ndim == 3 and scene.shape[2] == 4:
        return np.concatenate([add_haze(scene[..., :3], transmission, light), scene[..., 3:]], 2)
    colours = bands(scene)
    light = arguments.light_of(light, colours.shape[2])
    t = _transmission_plane(transmission, scene.shape[:2])[..., None]
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError("transmission: from 0 to 1")
    return _like(scene, colours / SCALE[scene.dtype] * t + light * (1 - t))


def luma(image: np.ndarray) -> np.ndarray:
    """Brightness 0.299 R + 0.587 G + 0.114 B in 0…1, `(H, W)` float64: the filter's guide.

    Parameters
    ----------
    image : `(H, W)`, `(H, W, 1 or 3)`

    Raises
    ------
    ValueError
        for a wrong shape or dtype

    References
    ----------
    ITU-R BT.601.
    """
    image = arguments.pixels(image, alpha=False)
    colours = bands(image)
    if colours.shape[2] == 1:
        return colours[..., 0] / SCALE[image.dtype]
    # summed by channel: three weights that add up to one keep grey grey
    red, green, blue = (colours[..., c].astype(np.float64) for c in range(3))
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue) / SCALE[image.dtype]


# --- what the equations share ------------------------------------------------------------------


def bands(image: np.ndarray) -> np.ndarray:
    """`(H, W, C)`, for a greyscale image with C = 1."""
    return image[..., None] if image.ndim == 2 else image


def channel_minimum(colours: np.ndarray) -> np.ndarray:
    """Minimum over the last axis; by pairs, since NumPy is slow over a short axis."""
    if colours.shape[2] == 1:
        return colours[..., 0]
    return np.minimum(np.minimum(colours[..., 0], colours[..., 1]), colours[..., 2])


def _fill(plane: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """No-data as the dtype's maximum, which no minimum takes."""
    if valid is None:
        return plane
    return np.where(valid, plane, plane.dtype.type(SCALE[plane.dtype]))


def window_minimum(plane: np.ndarray, patch: int) -> np.ndarray:
    """Minimum over the window from −patch//2 to patch − 1 − patch//2, clipped at the border.

    plane  `(H, W)`, or `(H, W, C)`: each channel for itself
    """
    height, width = plane.shape[:2]
    # a window reaching beyond the image on all sides is no larger than one that just covers it
    up, left = min(patch // 2, height - 1), min(patch // 2, width - 1)
    down, right = min(patch - 1 - patch // 2, height - 1), min(patch - 1 - patch // 2, width - 1)
    kernel = np.ones((up + down + 1, left + right + 1), np.uint8)
    return cv2.erode(np.ascontiguousarray(plane), kernel, anchor=(left, up))


def box_sum(plane: np.ndarray, radius: int) -> np.ndarray:
    """Sum over the window of side 2·radius + 1, clipped at the border: exact for int32."""
    reach_y, reach_x = (min(radius, side - 1) for side in plane.shape)
    return cv2.boxFilter(
        plane,
        -1,  # the plane's own dtype
        (2 * reach_x + 1, 2 * reach_y + 1),
        normalize=False,
        borderType=cv2.BORDER_CONSTANT,
    )


def _transmission_plane(transmission: object, shape: tuple[int, int]) -> np.ndarray:
    if np.ndim(transmission) == 0:
        transmission = np.full(shape, transmission)
    return arguments.plane(transmission, "transmission", shape)


def _like(image: np.ndarray, result: np.ndarray) -> np.ndarray:
    """`result` in 0…1 as the dtype and shape of `image`."""
    result = np.clip(result, 0, 1) * SCALE[image.dtype]
    if image.dtype.kind == "u":
        result = np.rint(result)
    return result.astype(image.dtype).reshape(image.shape)


def keep(result: np.ndarray, image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """`image` where `valid` is False."""
    return np.where(valid if image.ndim == 2 else valid[..., None], result, image)
