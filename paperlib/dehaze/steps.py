"""Every map between a hazy image and the recovered one, as the derivation shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import dehaze


@dataclass(frozen=True, eq=False)
class Steps:
    """Everything between a hazy picture and the recovered one.

    image   `(H, W, 3)`, the hazy picture
    dark    `(H, W)` float64 in 0…1, its dark channel (eq. 1)
    light   `(3,)` in 0…1, A
    coarse  `(H, W)` float64, transmission by eq. 8
    fine    `(H, W)` float64, the same after the guided filter
    clear   like `image`, recovered by eq. 9
    """

    image: np.ndarray
    dark: np.ndarray
    light: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray
    clear: np.ndarray


def steps(
    image: np.ndarray,
    *,
    patch: int = 15,
    omega: float = 0.95,
    t0: float = 0.1,
    fraction: float = 0.01,
    radius: int = 40,
    eps: float = 1e-3,
    light: np.ndarray | None = None,
) -> Steps:
    """Dehaze `(H, W, 3)` uint8 and keep each map; with `light` given, A is not estimated."""
    dark = dehaze.dark_channel(image, patch)
    if light is None:
        light = dehaze.atmospheric_light(image, dark, fraction)
    coarse = dehaze.transmission(image, light, patch, omega)
    fine = dehaze.guided_filter(dehaze.luma(image), coarse, radius, eps)
    clear = dehaze.recover(image, fine, light, t0)
    return Steps(image, dark / 255, np.asarray(light, float), coarse, fine, clear)
