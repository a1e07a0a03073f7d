"""The dark channel prior: haze removal from a single image, one function per equation.

    clear = dehaze(image)                     # uint8, uint16 or float in, the same out
    clear = dehaze_batch(images, workers=2)   # (N, H, W, 3)

The functions `dark_channel` … `recover` are the definition: plain NumPy and OpenCV, in float64.
`dehaze` and `dehaze_batch` give the same picture many times faster (`_dehaze_fast`);
`dehaze_reference` is the slow composition that they are tested against.

An image is RGB `(H, W, 3)`, RGBA `(H, W, 4)` or greyscale `(H, W)` or `(H, W, 1)`; uint8, uint16,
or float32/float64 in 0…1. Transmission and atmospheric light are always in 0…1, whatever the
image's dtype. A `mask` is `(H, W)` bool, True where a pixel counts: the others (no-data) take no
part in any window, mean or candidate set, and come back as they were. Alpha 0 is no-data too.

He, Sun & Tang 2009, "Single image haze removal using dark channel prior"
(doi:10.1109/CVPR.2009.5206515); He, Sun & Tang 2010, "Guided image filtering"
(doi:10.1007/978-3-642-15549-9_1). The equations' numbers are those of the paper reproduced here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from . import _dehaze_check as check
from ._dehaze_check import SCALE, Parameters

if TYPE_CHECKING:
    from .dehaze_scene import Report

__all__ = [
    "add_haze",
    "atmospheric_light",
    "dark_channel",
    "dehaze",
    "dehaze_batch",
    "dehaze_reference",
    "dehaze_scene",
    "guided_filter",
    "luma",
    "recover",
    "transmission",
]

LIGHT_FLOOR = 1 / 255  # a black light would divide by zero
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def dark_channel(image: np.ndarray, patch: int = 15, *, mask: np.ndarray | None = None):
    """Dark channel: the minimum over the channels and over a square window, clipped at the border.

    image   `(H, W)`, `(H, W, 1 or 3)`; uint8, uint16 or float in 0…1
    patch   side of the window in pixels; an even window reaches one pixel further up and left
    mask    `(H, W)` bool, True where a pixel counts; where a window holds none, the dtype's maximum
    returns `(H, W)` in the image's dtype and units
    raises  ValueError for a wrong shape, dtype, value or window

    Paper, eq. 1; He, Sun & Tang 2009, eq. 5.
    """
    image = check.pixels(image, alpha=False)
    check.whole("patch", patch, 1)
    valid = check.mask_of(mask, image.shape[:2])
    check.values(image, valid)
    return _window_minimum(_fill(_channel_minimum(_colours(image)), valid), patch)


def atmospheric_light(
    image: np.ndarray, dark: np.ndarray, fraction: float = 0.01, *, mask: np.ndarray | None = None
) -> np.ndarray:
    """Atmospheric light A: the mean colour of the brightest pixels among the haziest.

    The candidates are all pixels whose dark channel reaches the ⌈fraction·H·W⌉-th largest value,
    ties included; of those, the ones with the highest R+G+B. So A does not depend on the order of
    the pixels.

    image     `(H, W)`, `(H, W, 1 or 3)`
    dark      `(H, W)`, the dark channel, in any unit
    fraction  share of the pixels that are candidates, above 0 and at most 1
    mask      `(H, W)` bool, True where a pixel counts
    returns   `(3,)`, for a greyscale image `(1,)`, in 0…1, each channel at least 1/255
    raises    ValueError for a wrong shape, dtype, value or share, or where no pixel counts

    Paper, section on the atmospheric light (before eq. 9); He, Sun & Tang 2009, section 4.4.
    """
    image = check.pixels(image, alpha=False)
    check.real("fraction", fraction, 0, 1, "above 0, at most 1")
    valid = check.mask_of(mask, image.shape[:2])
    check.values(image, valid)
    dark = np.asarray(dark)
    if dark.shape != image.shape[:2]:
        raise ValueError(f"dark: expected the image's {image.shape[:2]}, not {dark.shape}")
    colours = _colours(image)
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

    image   `(H, W)`, `(H, W, 1 or 3)`
    light   `(3,)` (greyscale `(1,)`) in 0…1
    patch   side of the window in pixels
    omega   share of the haze that is removed, 0…1
    mask    `(H, W)` bool, True where a pixel counts; 0 is returned where a window holds none
    returns `(H, W)` float64; below 0 where every channel is far brighter than A
    raises  ValueError for a wrong shape, dtype, value or parameter

    Paper, eq. 8; He, Sun & Tang 2009, eq. 12.
    """
    image = check.pixels(image, alpha=False)
    check.whole("patch", patch, 1)
    check.real("omega", omega, 0, 1, "from 0 to 1", closed=True)
    valid = check.mask_of(mask, image.shape[:2])
    check.values(image, valid)
    colours = _colours(image)
    light = check.light_of(light, colours.shape[2])
    relative = _channel_minimum(colours / (light * SCALE[image.dtype]))
    if valid is not None:
        relative = np.where(valid, relative, np.inf)
    coarse = 1 - omega * _window_minimum(relative, patch)
    return coarse if valid is None else np.where(np.isfinite(coarse), coarse, 0.0)


def guided_filter(
    guide: np.ndarray,
    source: np.ndarray,
    radius: int = 40,
    eps: float = 1e-3,
    *,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Guided filter: smooth `source` where `guide` is flat, keep its edges where `guide` has them.

    guide   `(H, W)` in 0…1, for an image its `luma`
    source  `(H, W)`
    radius  half the window in pixels: the window's side is 2·radius + 1, clipped at the border
    eps     variance of the guide below which a window counts as flat
    mask    `(H, W)` bool, True where a pixel counts; `source` is returned elsewhere
    returns `(H, W)` float64
    raises  ValueError for a wrong shape, value or parameter

    He, Sun & Tang 2010, eq. 5, 6 and 8.
    """
    guide = check.plane(guide, "guide")
    source = check.plane(source, "source", guide.shape)
    check.whole("radius", radius, 0)
    check.real("eps", eps, 0, math.inf, "above 0")
    valid = check.mask_of(mask, guide.shape)
    for name, array in (("guide", guide), ("source", source)):
        if not np.isfinite(array if valid is None else array[valid]).all():
            raise ValueError(f"{name}: NaN or infinite values; mark them as no-data with mask")
    original = source
    if valid is None:
        weight = np.ones_like(guide)
    else:
        weight = valid.astype(np.float64)
        guide, source = np.where(valid, guide, 0.0), np.where(valid, source, 0.0)
    count = np.maximum(_box_sum(weight, radius), 1.0)

    def mean(values: np.ndarray) -> np.ndarray:
        return _box_sum(values * weight, radius) / count

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

    image         `(H, W)`, `(H, W, 1 or 3)`
    transmission  `(H, W)` or one number
    light         `(3,)` (greyscale `(1,)`) in 0…1
    t0            least transmission divided by, above 0 and at most 1: it keeps noise down
    mask          `(H, W)` bool, True where a pixel counts; the others come back as they were
    returns       like `image`; integers are rounded to nearest
    raises        ValueError for a wrong shape, dtype, value or parameter

    Paper, eq. 9; He, Sun & Tang 2009, eq. 16.
    """
    image = check.pixels(image, alpha=False)
    check.real("t0", t0, 0, 1, "above 0, at most 1")
    valid = check.mask_of(mask, image.shape[:2])
    check.values(image, valid)
    colours = _colours(image)
    light = check.light_of(light, colours.shape[2])
    t = _transmission_plane(transmission, image.shape[:2])
    if not np.isfinite(t if valid is None else t[valid]).all():
        raise ValueError("transmission: NaN or infinite values")
    t = np.maximum(t, t0)[..., None]
    result = _like(image, (colours / SCALE[image.dtype] - light) / t + light)
    return result if valid is None else _keep(result, image, valid)


def add_haze(scene: np.ndarray, transmission: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Hazy image from a clear one: I = J·t + A·(1 − t).

    scene         `(H, W)`, `(H, W, 1 or 3)`; alpha `(H, W, 4)` is carried through
    transmission  `(H, W)` or one number, in 0…1; 1 is clear air
    light         `(3,)`, or one number, above 0 and at most 1
    returns       like `scene`; integers are rounded to nearest
    raises        ValueError for a wrong shape, dtype or value

    Paper, eq. 3; He, Sun & Tang 2009, eq. 1.
    """
    scene = check.pixels(scene, "scene")
    check.values(scene, name="scene")
    if scene.ndim == 3 and scene.shape[2] == 4:
        return np.concatenate([add_haze(scene[..., :3], transmission, light), scene[..., 3:]], 2)
    colours = _colours(scene)
    light = check.light_of(light, colours.shape[2])
    t = _transmission_plane(transmission, scene.shape[:2])[..., None]
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError("transmission: from 0 to 1")
    return _like(scene, colours / SCALE[scene.dtype] * t + light * (1 - t))


def luma(image: np.ndarray) -> np.ndarray:
    """Brightness 0.299 R + 0.587 G + 0.114 B in 0…1, `(H, W)` float64: the filter's guide.

    image   `(H, W)`, `(H, W, 1 or 3)`
    raises  ValueError for a wrong shape or dtype

    ITU-R BT.601.
    """
    image = check.pixels(image, alpha=False)
    colours = _colours(image)
    if colours.shape[2] == 1:
        return colours[..., 0] / SCALE[image.dtype]
    # summed by channel: three weights that add up to one keep grey grey
    red, green, blue = (colours[..., c].astype(np.float64) for c in range(3))
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue) / SCALE[image.dtype]


def dehaze_reference(
    image: np.ndarray,
    *,
    patch: int = 15,
    omega: float = 0.95,
    t0: float = 0.1,
    fraction: float = 0.01,
    radius: int = 40,
    eps: float = 1e-3,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """`dehaze` as the composition of the functions above, in float64: slow, and the definition."""
    p = Parameters(patch, omega, t0, fraction, radius, eps)
    image = check.pixels(image)
    colours, valid = split_alpha(image, mask)
    check.values(colours, valid)
    if valid is not None and not valid.any():
        return image.copy()
    inside = colours.reshape(-1, _colours(colours).shape[2])
    inside = inside if valid is None else inside[valid.ravel()]
    if (inside == inside[0]).all():  # nothing to tell haze from scene by
        return image.copy()
    if valid is not None:
        colours = np.where(valid if colours.ndim == 2 else valid[..., None], colours, 0)
        colours = colours.astype(image.dtype)
    dark = dark_channel(colours, p.patch, mask=valid)
    light = atmospheric_light(colours, dark, p.fraction, mask=valid)
    coarse = transmission(colours, light, p.patch, p.omega, mask=valid)
    fine = guided_filter(luma(colours), coarse, p.radius, p.eps, mask=valid)
    result = recover(colours, fine, light, p.t0, mask=valid)
    if image.ndim == 3 and image.shape[2] == 4:
        result = np.concatenate([result, image[..., 3:]], axis=2)
    return result if valid is None else _keep(result, image, valid)


def dehaze(
    image: np.ndarray,
    *,
    patch: int = 15,
    omega: float = 0.95,
    t0: float = 0.1,
    fraction: float = 0.01,
    radius: int = 40,
    eps: float = 1e-3,
    mask: np.ndarray | None = None,
    workers: int | None = None,
) -> np.ndarray:
    """Remove the haze of one image by the dark channel prior.

    image     `(H, W)`, `(H, W, 1, 3 or 4)`; uint8, uint16 or float in 0…1; alpha is carried through
    patch     side of the dark channel's window, pixels of a 256-pixel chip
    omega     share of the haze that is removed, 0…1
    t0        least transmission divided by, above 0 and at most 1
    fraction  share of the pixels that are candidates for the atmospheric light
    radius    half the guided filter's window, pixels
    eps       the guided filter's smoothing
    mask      `(H, W)` bool, True where a pixel counts; no-data comes back as it was
    workers   threads; None for one per core. The result does not depend on it
    returns   like `image`; at most one grey level (1e-5 for float) from `dehaze_reference`
    raises    ValueError for a wrong shape, dtype, value or parameter

    Paper, eq. 1–9; He, Sun & Tang 2009.
    """
    p = Parameters(patch, omega, t0, fraction, radius, eps)
    threads = check_workers(workers)
    image = check.pixels(image)
    colours, valid = split_alpha(image, mask)
    check.values(colours, valid)
    from . import _dehaze_fast as fast  # numba takes half a second to import

    return fast.one(image, valid, p, threads)


def dehaze_batch(
    images: np.ndarray | Sequence[np.ndarray],
    *,
    workers: int | None = None,
    patch: int = 15,
    omega: float = 0.95,
    t0: float = 0.1,
    fraction: float = 0.01,
    radius: int = 40,
    eps: float = 1e-3,
) -> np.ndarray:
    """Remove the haze of many images of one size, each on its own.

    images    `(N, H, W)`, `(N, H, W, 1, 3 or 4)`, or a sequence of images of one shape and dtype
    workers   threads; None for one per core. The result does not depend on it
    returns   like `images`
    raises    ValueError as `dehaze` does; the message names the image

    The other arguments are those of `dehaze`.
    """
    p = Parameters(patch, omega, t0, fraction, radius, eps)
    threads = check_workers(workers)
    if not isinstance(images, np.ndarray):
        images = list(images)
        shapes = {np.shape(image) for image in images}
        if len(shapes) > 1:
            raise ValueError(f"images: one shape for all, not {sorted(shapes)}")
        images = np.asarray(images)
    images = check.pixels(images, "images", batch=True)
    from . import _dehaze_fast as fast

    return fast.many(images, p, threads)


def dehaze_scene(
    source: str | Path,
    target: str | Path,
    *,
    tile: int = 1024,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    patch: int = 15,
    omega: float = 0.95,
    t0: float = 0.1,
    fraction: float = 0.01,
    radius: int = 40,
    eps: float = 1e-3,
) -> Report:
    """Remove the haze of a file, or of every file of a folder, of any size; see `dehaze_scene.run`.

    source     a GeoTIFF, PNG or JPEG file, or a folder of them
    target     the file (or folder) to write: the same georeference, dtype, bands and no-data
    tile       side of the tiles worked on at a time, pixels; memory grows with it, the result
               does not depend on it
    scheduler  address of a Dask scheduler; the tiles of one file, or the files of a folder, are
               then worked on by its workers, which must see the same files
    workers    threads on this machine; None for one per core
    progress   show a progress bar with an estimate
    returns    a report of the files done, skipped and failed
    raises     PaperError for a file that cannot be read or written; ValueError for a parameter

    The other arguments are those of `dehaze`.
    """
    from . import dehaze_scene as scene

    p = Parameters(patch, omega, t0, fraction, radius, eps)
    return scene.run(
        source, target, p, tile=tile, scheduler=scheduler, workers=workers, progress=progress
    )


# --- what the equations share ------------------------------------------------------------------


def check_workers(workers: int | None) -> int:
    """The number of threads: `workers`, or one per core this process may use."""
    if workers is not None:
        check.whole("workers", workers, 1)
        return int(workers)
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_alpha(image: np.ndarray, mask: object) -> tuple[np.ndarray, np.ndarray | None]:
    """The colours of an image, and which pixels count (None: all): `mask` and alpha above 0."""
    valid = check.mask_of(mask, image.shape[:2])
    if image.ndim < 3 or image.shape[2] != 4:
        return image, valid
    seen = image[..., 3] > 0  # NaN is not above 0
    if not seen.all():
        valid = seen if valid is None else valid & seen
    return image[..., :3], valid


def _colours(image: np.ndarray) -> np.ndarray:
    return image[..., None] if image.ndim == 2 else image


def _channel_minimum(colours: np.ndarray) -> np.ndarray:
    """Minimum over the last axis; by pairs, since NumPy is slow over a short axis."""
    if colours.shape[2] == 1:
        return colours[..., 0]
    return np.minimum(np.minimum(colours[..., 0], colours[..., 1]), colours[..., 2])


def _fill(plane: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """No-data as the dtype's maximum, which no minimum takes."""
    if valid is None:
        return plane
    return np.where(valid, plane, plane.dtype.type(SCALE[plane.dtype]))


def _window_minimum(plane: np.ndarray, patch: int) -> np.ndarray:
    """Minimum over the window from −patch//2 to patch − 1 − patch//2, clipped at the border."""
    height, width = plane.shape
    # a window reaching beyond the image on all sides is no larger than one that just covers it
    up, left = min(patch // 2, height - 1), min(patch // 2, width - 1)
    down, right = min(patch - 1 - patch // 2, height - 1), min(patch - 1 - patch // 2, width - 1)
    kernel = np.ones((up + down + 1, left + right + 1), np.uint8)
    return cv2.erode(np.ascontiguousarray(plane), kernel, anchor=(left, up))


def _box_sum(plane: np.ndarray, radius: int) -> np.ndarray:
    """Sum over the window of side 2·radius + 1, clipped at the border."""
    reach_y, reach_x = (min(radius, side - 1) for side in plane.shape)
    return cv2.boxFilter(
        plane,
        cv2.CV_64F,
        (2 * reach_x + 1, 2 * reach_y + 1),
        normalize=False,
        borderType=cv2.BORDER_CONSTANT,
    )


def _transmission_plane(transmission: object, shape: tuple[int, int]) -> np.ndarray:
    if np.ndim(transmission) == 0:
        transmission = np.full(shape, transmission)
    return check.plane(transmission, "transmission", shape)


def _like(image: np.ndarray, result: np.ndarray) -> np.ndarray:
    """`result` in 0…1 as the dtype and shape of `image`."""
    result = np.clip(result, 0, 1) * SCALE[image.dtype]
    if image.dtype.kind == "u":
        result = np.rint(result)
    return result.astype(image.dtype).reshape(image.shape)


def _keep(result: np.ndarray, image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """`image` where `valid` is False."""
    return np.where(valid if image.ndim == 2 else valid[..., None], result, image)
