"""Haze of known transmission and light, added to clear chips by equation 3.

What the haze of a chip looks like is drawn from the chip's name, so that every strength shows the
same haze, thicker or thinner, and the same names give the same chips on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .. import dehaze
from ..dehaze import fast
from ..dehaze.arguments import Parameters
from . import Chips, variants

PATTERNS = ("even", "slope", "bank")
#: Grey level of A, and how far a channel may lie from it: what `atmospheric_light` finds in 19 real
#: hazy aerial pictures, the middle 80 % of them.
LIGHT, TINT = (0.70, 1.00), 0.02
LEAST, MOST = 0.05, 1.0  # transmission of a pixel
SIZE = 224  # pixels: VGG-16's own
#: What a picture may be, in the order of what is known: how it is called.
STATES = {
    "clear": "without haze",
    "hazy": "hazy",
    "dehazed": "dehazed, A and t estimated",
    "dehazed-light": "dehazed, true A, t estimated",
    "dehazed-truth": "dehazed, true A and t",
    "dehazed-small": "shrunk, then dehazed",
}


@dataclass(frozen=True)
class Haze:
    """The haze of one chip: its pattern, its light `(3,)` in 0…1, and the pattern's seed."""

    pattern: str
    light: np.ndarray
    seed: int

    def transmission(self, mean: float, side: int) -> np.ndarray:
        """`(side, side)` in 0…1 whose mean over the chip is `mean`.

        even    the same everywhere
        slope   from one side to another, in any direction
        bank    thickest around one place, thin far from it

        Raises `ValueError` for a mean outside `LEAST` to 1.
        """
        if not LEAST <= mean <= MOST:
            raise ValueError(f"mean: a transmission from {LEAST} to {MOST:g}, not {mean}")
        field = self._field(side)
        field = field - field.mean()
        # as strong as the chip's thinnest and thickest place allow
        room = min((MOST - mean) / max(field.max(), 1e-9), (mean - LEAST) / max(-field.min(), 1e-9))
        return mean + min(room, 1.0) * field

    def _field(self, side: int) -> np.ndarray:
        """How much clearer than elsewhere each pixel is: a range of 0.6 at most."""
        if self.pattern == "even":
            return np.zeros((side, side))
        rng = np.random.default_rng(self.seed)
        y, x = np.mgrid[0:side, 0:side] / (side - 1) - 0.5
        if self.pattern == "slope":
            angle = rng.uniform(0, 2 * np.pi)
            ramp = np.cos(angle) * x + np.sin(angle) * y
            return 0.6 * ramp / np.ptp(ramp)
        top, left = rng.uniform(-0.4, 0.4, 2)
        width, turn = rng.uniform(0.15, 0.45, 2), rng.uniform(0, np.pi)
        u = np.cos(turn) * (x - left) + np.sin(turn) * (y - top)
        v = np.cos(turn) * (y - top) - np.sin(turn) * (x - left)
        return -0.6 * np.exp(-0.5 * ((u / width[0]) ** 2 + (v / width[1]) ** 2))


def haze_of(name: str, draw: int = 0) -> Haze:
    """The haze of the chip of that name; another `draw`, another haze."""
    seed = int.from_bytes(hashlib.sha256(f"haze {draw} {name}".encode()).digest()[:8])
    rng = np.random.default_rng(seed)
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    light = (rng.uniform(*LIGHT) + rng.uniform(-TINT, TINT, 3)).clip(0, 1)
    return Haze(pattern, light, seed)


def hazy(image: np.ndarray, haze: Haze, mean: float) -> np.ndarray:
    """`(S, S, 3)` uint8 with the haze of that mean transmission in front of it."""
    return dehaze.add_haze(image, haze.transmission(mean, len(image)), haze.light)


# ---- what is made of them ----------------------------------------------------------------------


class Condition(NamedTuple):
    """One kind of picture.

    state     of `STATES`
    strength  mean transmission; 1 is clear air
    size      side in pixels that the network sees
    draw      of the haze
    """

    state: str
    strength: float = 1.0
    size: int = SIZE
    draw: int = 0

    @property
    def key(self) -> str:
        return f"{self.size}/{self.strength:g}/{self.draw}/{self.state}"


def pictures(clear: Chips, condition: Condition) -> np.ndarray:
    """`(N, size, size, 3)` uint8 of a condition, from the clear chips `(N, 256, 256, 3)`."""
    make = _MAKERS[condition.state]
    shrink_first = condition.state == "dehazed-small"
    out = np.empty((len(clear), condition.size, condition.size, 3), np.uint8)
    for i, (name, image) in enumerate(zip(clear.names.tolist(), clear.images, strict=True)):
        haze = haze_of(name, condition.draw)
        if condition.state != "clear" and condition.strength < 1:
            image = hazy(image, haze, condition.strength)
        if shrink_first:
            image = _shrunk(image, condition.size)
        out[i] = _shrunk(make(image, haze, condition.strength), condition.size)
    return out


def _as_it_is(image: np.ndarray, haze: Haze, strength: float) -> np.ndarray:
    return image


def _dehazed(image: np.ndarray, haze: Haze, strength: float) -> np.ndarray:
    return dehaze.dehaze(image, workers=1, **variants.scaled(len(image)))


def _true_light(image: np.ndarray, haze: Haze, strength: float) -> np.ndarray:
    p = Parameters(**variants.scaled(len(image)))
    return fast.clear_block(image, None, haze.light, p, (0, len(image), 0, len(image)))


def _true_transmission(image: np.ndarray, haze: Haze, strength: float) -> np.ndarray:
    t = haze.transmission(strength, len(image))
    return dehaze.recover(image, t, haze.light, LEAST)


_MAKERS: dict[str, Callable[[np.ndarray, Haze, float], np.ndarray]] = {
    "clear": _as_it_is,
    "hazy": _as_it_is,
    "dehazed": _dehazed,
    "dehazed-light": _true_light,
    "dehazed-truth": _true_transmission,
    "dehazed-small": _dehazed,
}


def _shrunk(image: np.ndarray, size: int) -> np.ndarray:
    if len(image) == size:
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
