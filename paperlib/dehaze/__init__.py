"""The dark channel prior: haze removal from a single image, one function per equation.

    clear = dehaze(image)                     # uint8, uint16 or float in, the same out
    clear = dehaze_batch(images, workers=2)   # (N, H, W, 3)

The functions `dark_channel` … `recover` (`dehaze.equations`) are the definition: plain NumPy and
OpenCV, in float64. `dehaze` and `dehaze_batch` give the same picture faster (`dehaze.fast`;
`python tests/benchmarks/dehaze.py` prints by how much), and `dehaze_reference`, the composition of
those functions, is what they are tested against.

An image is RGB `(H, W, 3)`, RGBA `(H, W, 4)` or greyscale `(H, W)` or `(H, W, 1)`; uint8, uint16,
or float32/float64 in 0…1. Transmission and atmospheric light are always in 0…1, whatever the
image's dtype. A `mask` is `(H, W)` bool, True where a pixel counts: the others (no-data) take no
part in any window, mean or candidate set, and come back as they were. Alpha 0 is no-data too, and
so is what the mask of a NumPy masked array covers.

He, Sun & Tang 2009, "Single image haze removal using dark channel prior"
(doi:10.1109/CVPR.2009.5206515); He, Sun & Tang 2010, "Guided image filtering"
(doi:10.1007/978-3-642-15549-9_1). The equations' numbers are those of the paper reproduced here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import arguments
from .arguments import Parameters
from .equations import (
    add_haze,
    atmospheric_light,
    bands,
    dark_channel,
    guided_filter,
    keep,
    luma,
    recover,
    transmission,
)

if TYPE_CHECKING:
    from .scene import Report

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

    Parameters
    ----------
    image : `(H, W)`, `(H, W, 1, 3 or 4)`; uint8, uint16 or float in 0…1; alpha is carried through
    patch
        side of the dark channel's window, pixels; 15 and `radius` 40 suit chips of 256 pixels
    omega
        fraction of the haze that is removed, 0…1
    t0
        least transmission divided by, above 0 and at most 1
    fraction
        fraction of the pixels that are candidates for A, above 0 and at most 1
    radius
        half the guided filter's window, pixels: its side is 2·radius + 1
    eps
        variance of the guide, in 0…1, below which a window of the filter counts as flat
    mask : `(H, W)` bool, True where a pixel counts; no-data comes back as it was
    workers
        threads; None for one per core. The result does not depend on it

    Returns
    -------
    like `image`; at most one grey level (1e-5 for float) from `dehaze_reference`

    Raises
    ------
    ValueError
        for a wrong shape, dtype, value or parameter

    References
    ----------
    Paper, eq. 1–9; He, Sun & Tang 2009.
    """
    p = Parameters(patch, omega, t0, fraction, radius, eps)
    threads = arguments.threads(workers)
    image, mask, masked = arguments.unmasked(image, mask)
    image = arguments.pixels(image)
    colours, valid = arguments.split_alpha(image, mask)
    arguments.values(colours, valid)
    from . import fast  # imported above, importing this module took twice as long

    return arguments.masked_again(fast.one(image, valid, p, threads), masked)


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

    The other arguments are those of `dehaze`.

    Parameters
    ----------
    images : `(N, H, W)`, `(N, H, W, 1, 3 or 4)`, or a sequence of images of one shape and dtype
    workers
        threads; None for one per core. The result does not depend on it

    Returns
    -------
    one array like `images`

    Raises
    ------
    ValueError
        as `dehaze` does; the message names the image

    References
    ----------
    Paper, eq. 1–9; He, Sun & Tang 2009.
    """
    p = Parameters(patch, omega, t0, fraction, radius, eps)
    threads = arguments.threads(workers)
    if not isinstance(images, np.ndarray):
        images = list(images)
        shapes = {np.shape(image) for image in images}
        if len(shapes) > 1:
            raise ValueError(f"images: one shape for all, not {sorted(shapes)}")
        if any(np.ma.isMaskedArray(image) for image in images):
            raise ValueError("images: no masked arrays; dehaze takes one")
        dtypes = {str(np.asarray(image).dtype) for image in images}
        if len(dtypes) > 1:
            raise ValueError(f"images: one dtype for all, not {', '.join(sorted(dtypes))}")
        images = np.asarray(images)
    images = arguments.pixels(images, "images", batch=True)
    from . import fast

    return fast.many(images, p, threads)


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
    """`dehaze` as the composition of the functions of this module, in float64: its definition.

    Arguments, result and errors are those of `dehaze`.

    References
    ----------
    Paper, eq. 1–9; He, Sun & Tang 2009.
    """
    p = Parameters(patch, omega, t0, fraction, radius, eps)
    image, mask, _ = arguments.unmasked(image, mask)
    image = arguments.pixels(image)
    colours, valid = arguments.split_alpha(image, mask)
    arguments.values(colours, valid)
    if valid is not None and not valid.any():
        return image.copy()
    inside = colours.reshape(-1, bands(colours).shape[2])
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
    return result if valid is None else keep(result, image, valid)


def dehaze_scene(
    source: str | Path,
    target: str | Path,
    *,
    tile: int = 1024,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    value_range: tuple[float, float] | None = None,
    bands: Sequence[int] | None = None,
    patch: int = 15,
    omega: float = 0.95,
    t0: float = 0.1,
    fraction: float = 0.01,
    radius: int = 40,
    eps: float = 1e-3,
) -> Report:
    """Remove the haze of a file, or of every file of a folder, of any size; see `dehaze.scene.run`.

    The other arguments are those of `dehaze`.

    Parameters
    ----------
    source
        a GeoTIFF, PNG or JPEG file, or a folder of them
    target
        the file (or folder) to write: the same georeference, dtype, bands and no-data, as
        docs/files.md says
    tile
        side of the tiles worked on at a time, pixels; memory grows with it, the result does not
        depend on it
    scheduler
        address of a Dask scheduler; the tiles of one file, or the files of a folder, are then
        worked on by its workers, which must see the same files
    workers
        threads on this machine; None for one per core
    progress
        show a progress bar with an estimate
    value_range
        the values that count as black and white, as `(0, 10000)`; None for what the file says: its
        scale and offset, its depth, else the dtype's own range
    bands
        1-based numbers of red, green and blue (or of one grey); None for what the file says

    Returns
    -------
    a report of the files done, skipped and failed

    Raises
    ------
    PaperError
        for a file that cannot be read or written; ValueError for a parameter
    """
    from . import scene

    p = Parameters(patch, omega, t0, fraction, radius, eps)
    return scene.run(
        source, target, p, tile=tile, scheduler=scheduler, workers=workers, progress=progress,
        value_range=value_range, bands=bands,
    )  # fmt: skip
