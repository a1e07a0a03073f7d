"""What lies between a generated scene and the camera: cloud, its shadow, and haze.

Cloud belongs to the scene (it is what a haze-free camera would see too); haze is the paper's
equation 3 with one light A and a transmission t that varies gently over the chip.
"""

from __future__ import annotations

import cv2
import numpy as np

from .scenes_canvas import SIZE, Canvas

#: Tints of the scattered light: grey, the teal of the humid air over forest, smoke, dusk.
TINT = np.array([(1, 1, 1), (0.84, 1, 1.0), (1, 0.96, 0.88), (0.9, 0.96, 1), (0.92, 1, 0.93)])


def light(c: Canvas) -> np.ndarray:
    """A, `(3,)` float32 in grey levels."""
    tint = TINT[c.rng.choice(len(TINT), p=[0.34, 0.3, 0.12, 0.16, 0.08])]
    tint = tint * np.exp(c.rng.normal(0, 0.02, 3))
    return np.clip(c.uniform(165, 235) * tint / tint.max(), 1, 255).astype(np.float32)


def transmission(c: Canvas, weather: str) -> np.ndarray:
    """t, `(256, 256)` float32: high on clear days, low under haze, with a wide border between."""
    if weather == "haze":
        level, change = c.uniform(0.26, 0.62), c.uniform(0.02, 0.1)
    elif weather == "cloudy":
        level, change = c.uniform(0.3, 0.9), c.uniform(0.0, 0.1)
    else:
        level, change = 1 - 0.3 * float(c.rng.beta(1.2, 2.6)), c.uniform(0.0, 0.03)
    slope = c.side(SIZE / 2, SIZE / 2, c.uniform(0, 2 * np.pi)) / np.float32(SIZE / 2)
    wisps = cv2.GaussianBlur(c.texture("relief"), (0, 0), 6)
    t = level + change * (0.6 * slope + 0.5 * wisps)
    return np.clip(t, 0.06, 1).astype(np.float32)


def veil(c: Canvas) -> np.ndarray:
    """An overcast so thick that almost nothing shows: t between 0.02 and 0.15."""
    t = c.uniform(0.03, 0.1) + 0.02 * cv2.GaussianBlur(c.texture("relief"), (0, 0), 6)
    return np.clip(t, 0.02, 0.15).astype(np.float32)


def _cover(c: Canvas, amount: float) -> np.ndarray:
    """Cumulus: opacity 0…1 where smooth and ragged noise together rise above a threshold."""
    mass = 0.75 * c.texture("relief") + 0.5 * c.texture("patches") + 0.12 * c.texture("grain")
    threshold = float(np.quantile(mass[::4, ::4], 1 - amount))
    return np.clip((mass - np.float32(threshold)) * np.float32(c.uniform(1.3, 3.2)), 0, 1)


def clouds(c: Canvas, scene: np.ndarray, amount: float) -> np.ndarray:
    """Put clouds over about `amount` of the scene, and their shadows beside them.

    scene  `(256, 256, 3)` float32 in grey levels; returned as a new array.
    """
    cover = _cover(c, amount)
    if amount < 0.75:
        angle, far = c.uniform(0, 2 * np.pi), c.uniform(20, 80)
        move = np.float32([[1, 0, far * np.cos(angle)], [0, 1, far * np.sin(angle)]])
        shade = cv2.warpAffine(cover, move, (SIZE, SIZE))
        shade = cv2.GaussianBlur(shade, (0, 0), 3) * np.float32(c.uniform(0.35, 0.65))
        scene = scene * (1 - shade)[:, :, None]
    white = c.uniform(188, 250) * np.array([1, 1, c.uniform(0.93, 1.0)])
    billow = 1 + 0.07 * c.texture("patches") + 0.03 * c.texture("grain")
    white = cv2.merge([(billow * v).astype(np.float32) for v in white])
    return cv2.blendLinear(white, scene, cover, 1 - cover)
