"""Every map between a hazy image and the recovered one, as the derivation shows them."""

from __future__ import annotations

from collections.abc import Callable
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
    kept: dict[str, tuple[object, np.ndarray]] | None = None,
) -> Steps:
    """Dehaze `(H, W, 3)` uint8 and keep each map; with `light` given, A is not estimated.

    kept  a dictionary that later calls on the same image get again: only the maps that a changed
          parameter touches are made anew
    """
    kept = {} if kept is None else kept

    def once(name: str, key: object, make: Callable[[], np.ndarray]) -> np.ndarray:
        if name not in kept or kept[name][0] != key:
            kept[name] = key, make()
        return kept[name][1]

    dark = once("dark", patch, lambda: dehaze.dark_channel(image, patch))
    shown = once("shown", patch, lambda: dark / 255)
    if light is None:
        light = once(
            "light", (patch, fraction), lambda: dehaze.atmospheric_light(image, dark, fraction)
        )
    key = (tuple(light), patch, omega)
    coarse = once("coarse", key, lambda: dehaze.transmission(image, light, patch, omega))
    guide = once("guide", None, lambda: dehaze.luma(image))
    key = (*key, radius, eps)
    fine = once("fine", key, lambda: dehaze.guided_filter(guide, coarse, radius, eps))
    clear = once("clear", (*key, t0), lambda: dehaze.recover(image, fine, light, t0))
    return Steps(image, shown, np.asarray(light, float), coarse, fine, clear)
