"""What lies between a generated scene and the camera: cloud, its shadow, and haze.

Cloud belongs to the scene (it is what a haze-free camera would see too); haze is the paper's
equation 3 with one light A and a transmission t that varies gently over the chip.
"""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import SIZE, Canvas

#: Tints of the scattered light: grey, the teal of the humid air over forest, smoke, dusk.
TINT = np.array([(1, 1, 1), (0.88, 1, 0.98), (1, 0.96, 0.89), (0.92, 0.97, 1), (0.93, 1, 0.94)])


def light(c: Canvas) -> np.ndarray:
    """A, `(3,)` float32 in 0…1."""
    tint = TINT[c.rng.choice(len(TINT), p=[0.34, 0.3, 0.12, 0.16, 0.08])]
    tint = tint * np.exp(c.rng.normal(0, 0.02, 3))
    return (c.uniform(0.65, 0.92) * tint / tint.max()).astype(np.float32)


def transmission(c: Canvas, weather: str) -> np.ndarray:
    """t, `(256, 256)` float32: high on clear days, low under haze, with a wide border between."""
    if weather == "haze":
        level, change = c.uniform(0.24, 0.68), c.uniform(0.02, 0.1)
    elif weather == "cloudy":
        level, change = c.uniform(0.3, 0.9), c.uniform(0.0, 0.1)
    else:
        level, change = 1 - 0.42 * float(c.rng.beta(1.2, 2.6)), c.uniform(0.0, 0.03)
    slope = c.side(SIZE / 2, SIZE / 2, c.uniform(0, 2 * np.pi)) / np.float32(SIZE / 2)
    t = level + change * (0.6 * slope + 0.5 * _wisps(c))
    return np.clip(t, 0.06, 1).astype(np.float32)


def _wisps(c: Canvas) -> np.ndarray:
    """Smooth noise of mean 0 and deviation 1: (256, 256) float32."""
    coarse = cv2.resize(c.texture("relief"), (32, 32), interpolation=cv2.INTER_AREA)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def veil(c: Canvas) -> np.ndarray:
    """An overcast so thick that almost nothing shows: t between 0.02 and 0.15."""
    t = c.uniform(0.03, 0.1) + 0.02 * _wisps(c)
    return np.clip(t, 0.02, 0.15).astype(np.float32)


def _cover(c: Canvas, amount: float) -> np.ndarray:
    """Cumulus: opacity 0…1 where smooth and ragged noise together rise above a threshold."""
    mass = cv2.addWeighted(c.texture("relief"), 0.9, c.texture("outline"), 0.55, 0)
    mass = cv2.scaleAdd(c.texture("patches"), 0.16, mass)
    threshold = float(np.quantile(mass[::4, ::4], 1 - amount))
    gain = c.uniform(0.9, 2.2)
    cover = np.clip((mass - np.float32(threshold)) * np.float32(gain) + np.float32(0.15), 0, 1)
    cover = cover * cover * (3 - 2 * cover)
    return cv2.GaussianBlur(cover, (5, 5), 1.2)


def clouds(c: Canvas, scene: np.ndarray, amount: float) -> np.ndarray:
    """Put clouds over about `amount` of the scene, and their shadows beside them.

    scene  `(256, 256, 3)` float32 in grey levels; returned as a new array.
    """
    cover = _cover(c, amount)
    if amount < 0.75:
        angle, far = c.uniform(0, 2 * np.pi), c.uniform(20, 80)
        move = np.float32([[1, 0, far * np.cos(angle)], [0, 1, far * np.sin(angle)]])
        shade = cv2.blur(cv2.warpAffine(cover, move, (SIZE, SIZE)), (9, 9))
        light = 1 - shade * np.float32(c.uniform(0.35, 0.65))
        scene = cv2.multiply(scene, cv2.merge([light] * 3))
    white = c.uniform(188, 250) * np.array([1, 1, c.uniform(0.93, 1.0)])
    # thick parts are bright, thin edges and hollows grey
    billow = 0.86 + 0.14 * cover + np.float32(0.06) * c.texture("outline")
    billow = cv2.scaleAdd(c.texture("grain"), 0.02, billow)
    white = cv2.merge([billow * np.float32(v) for v in white])
    return cv2.blendLinear(white, scene, cover, 1 - cover)
