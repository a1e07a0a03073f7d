"""What every drawing of a generated scene needs: textures, irregular masks, winding lines.

The textures are made once per process from a fixed seed and only cut, turned and mixed afterwards,
so that a scene costs milliseconds. Everything is drawn at 256 pixels of about three metres, the
size of a Planet chip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
from scipy.spatial import cKDTree

SIZE = 256
_TILE = 512
Colour = tuple[float, float, float]


def _fbm(rng: np.random.Generator, slope: float) -> np.ndarray:
    """Noise with power spectrum 1/f^(2·slope), seamless at the borders, mean 0, deviation 1."""
    f = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None, :])
    f[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((_TILE, _TILE))) / f**slope
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=(_TILE, _TILE))
    return noise / noise.std()


def _canopy(rng: np.random.Generator, spacing: float) -> np.ndarray:
    """Tree crowns: a dome over each point of a jittered grid, lit from one side."""
    steps = round(_TILE / spacing)
    grid = (np.stack(np.meshgrid(*2 * [np.arange(steps)]), -1) + 0.5) * (_TILE / steps)
    points = (grid.reshape(-1, 2) + rng.normal(0, 0.33 * spacing, (steps**2, 2))) % _TILE
    radius = rng.uniform(0.6, 1.3, len(points)) * spacing
    pixels = np.stack(np.meshgrid(*2 * [np.arange(_TILE) + 0.5]), -1).reshape(-1, 2)
    distance, nearest = cKDTree(points, boxsize=_TILE).query(pixels)
    height = np.sqrt(np.maximum(1 - (distance / radius[nearest]) ** 2, 0)) * radius[nearest]
    height = height.reshape(_TILE, _TILE) + _fbm(rng, 0.6) * 0.35
    lit = np.roll(height, (1, 1), (0, 1)) - np.roll(height, (-1, -1), (0, 1))
    tone = rng.normal(0, 0.35, len(points))[nearest].reshape(_TILE, _TILE)
    texture = -lit / lit.std() + 0.5 * (height - height.mean()) / height.std() + tone
    return texture / texture.std()


@cache
def textures() -> dict[str, tuple[np.ndarray, ...]]:
    """Seamless textures, each repeated once so that any 256-pixel cut is a plain view.

    float32 of mean 0 and deviation 1; `tone-…` are the same as uint8 around 128.
    """
    rng = np.random.default_rng(20_180_204)
    made = {
        "canopy": [_canopy(rng, spacing) for spacing in (3.4, 4.2, 5.2)],
        "grain": [_fbm(rng, 0.35), _fbm(rng, 0.7)],
        "patches": [_fbm(rng, 1.15), _fbm(rng, 1.35)],
        "outline": [_fbm(rng, 1.55), _fbm(rng, 1.75)],
        "relief": [_fbm(rng, 1.9), _fbm(rng, 2.2)],
    }
    bank = {
        name: tuple(np.tile(t, (2, 2)).astype(np.float32) for t in tiles)
        for name, tiles in made.items()
    }
    for name in ("grain", "patches"):
        bank[f"tone-{name}"] = tuple(
            np.clip(128 + 45 * t, 0, 255).astype(np.uint8) for t in bank[name]
        )
    return bank


@cache
def _axes() -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(SIZE, dtype=np.float32)[None, :].repeat(SIZE, 0)
    return x, np.ascontiguousarray(x.T)


@dataclass
class Canvas:
    """A scene being drawn.

    image  (256, 256, 3) uint8, the colours on the ground
    crowns (256, 256) uint8, how much of the canopy's texture shows: 255 in forest, 0 on water
    lines  the roads and rivers drawn so far, each (n, 2) x, y: houses and mines keep to them
    """

    rng: np.random.Generator
    image: np.ndarray = field(default_factory=lambda: np.zeros((SIZE, SIZE, 3), np.uint8))
    crowns: np.ndarray = field(default_factory=lambda: np.zeros((SIZE, SIZE), np.uint8))
    lines: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, options: list[Colour], spread: float = 8.0) -> Colour:
        """One of the colours, a little off."""
        base = np.array(options[self.rng.integers(len(options))])
        shift = self.rng.normal(0, spread) + self.rng.normal(0, spread / 3, 3)
        return tuple(np.clip(base + shift, 2, 250).tolist())

    def texture(self, name: str) -> np.ndarray:
        """A random cut of one of the textures of that name: (256, 256), a view."""
        tiles = textures()[name]
        y, x, which = self.rng.integers(0, (_TILE, _TILE, len(tiles))).tolist()
        return tiles[which][y : y + SIZE, x : x + SIZE]

    def distance(
        self,
        x: float,
        y: float,
        stretch: float = 1.0,
        angle: float = 0.0,
        window: tuple[slice, slice] = (slice(0, SIZE), slice(0, SIZE)),
    ) -> np.ndarray:
        """Distance of each pixel from (x, y), along `angle` counted 1/stretch times."""
        cx, cy = (axis[window] for axis in _axes())
        c, s = np.cos(angle), np.sin(angle)
        along = ((cx - x) * np.float32(c) + (cy - y) * np.float32(s)) / np.float32(stretch)
        across = (cy - y) * np.float32(c) - (cx - x) * np.float32(s)
        return cv2.magnitude(along, across)

    def side(self, x: float, y: float, angle: float) -> np.ndarray:
        """Signed distance of each pixel from the line through (x, y) in direction `angle`."""
        cx, cy = _axes()
        return (cy - y) * np.float32(np.cos(angle)) - (cx - x) * np.float32(np.sin(angle))

    def place(self, margin: float = 20) -> tuple[float, float]:
        return self.uniform(margin, SIZE - margin), self.uniform(margin, SIZE - margin)

    def blob(self, x: float, y: float, radius: float, rough: float = 0.4) -> np.ndarray:
        """A patch with an irregular outline around (x, y): (256, 256) uint8 of 0 and 255."""
        stretch, angle = self.uniform(1.0, 1.7), self.uniform(0, np.pi)
        noise = self.texture("outline")
        mask = np.zeros((SIZE, SIZE), np.uint8)
        reach = radius * (1 + 3 * rough) * stretch + 1  # no pixel farther away can belong to it
        rows = slice(*np.clip((y - reach, y + reach), 0, SIZE).astype(int))
        columns = slice(*np.clip((x - reach, x + reach), 0, SIZE).astype(int))
        if rows.start == rows.stop or columns.start == columns.stop:
            return mask
        field = self.distance(x, y, stretch, angle, (rows, columns))
        field += np.float32(rough * radius) * noise[rows, columns]
        mask[rows, columns] = cv2.compare(field, radius, cv2.CMP_LT)
        return mask

    def polygon(self, points: np.ndarray) -> np.ndarray:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        cv2.fillPoly(mask, [np.round(points * 8).astype(np.int32)], 255, cv2.LINE_8, 3)
        return mask

    def paint(
        self,
        mask: np.ndarray,
        low: Colour,
        high: Colour | None = None,
        crowns: int = 0,
        texture: str = "patches",
    ) -> None:
        """Colour the mask, from `low` to `high` as the texture goes; set how far crowns show."""
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            return
        window = (slice(y, y + height), slice(x, x + width))
        mask = mask[window]
        if high is None:
            layer = np.full((height, width, 3), np.round(low), np.uint8)
        else:
            tone = self.texture(f"tone-{texture}")[window]
            ends = (low, high) if self.chance(0.5) else (high, low)
            ramp = np.linspace(*ends, 256).round().astype(np.uint8)[:, None, :]
            layer = cv2.LUT(cv2.merge([tone] * 3), ramp)
        cv2.copyTo(layer, mask, self.image[window])
        np.copyto(self.crowns[window], np.uint8(crowns), where=mask > 0)

    def path(self, start: tuple[float, float], angle: float, *, bend: float, step: float = 6.0):
        """A winding line from `start` until it leaves the chip: (n, 2) float32.

        `bend` is the standard deviation of the turn per step in radians; the turns are correlated,
        so that the line meanders rather than trembles.
        """
        turns = self.rng.normal(0, bend, 160)
        turns = np.convolve(turns, np.ones(5) / 5**0.5, "same") - 0.06 * np.cumsum(turns)
        heading = angle + np.cumsum(turns) * 0.6
        heading = angle + 1.25 * np.tanh((heading - angle) / 1.25)  # keeps going forward
        moves = step * np.stack([np.cos(heading), np.sin(heading)], 1)
        return (np.array(start) + np.cumsum(moves, 0)).astype(np.float32)

    def crossing(self, *, bend: float, through: tuple[float, float] | None = None) -> np.ndarray:
        """A winding line right across the chip, near `through` (the middle by default)."""
        x, y = through or self.place(60)
        angle = self.uniform(0, 2 * np.pi)
        start = (x - 190 * np.cos(angle), y - 190 * np.sin(angle))
        return self.path(start, angle, bend=bend)

    def stroke(self, points: np.ndarray, colour: Colour, width: float, crowns: int = 0) -> None:
        """Draw a line into colours and crowns."""
        fixed = [np.round(points * 8).astype(np.int32)]
        thick = max(1, round(width))
        cv2.polylines(self.image, fixed, False, colour, thick, cv2.LINE_AA, 3)
        cv2.polylines(self.crowns, fixed, False, crowns, thick, cv2.LINE_8, 3)


def jitter(rng: np.random.Generator, points: np.ndarray, amount: float) -> np.ndarray:
    """The points, each moved by a normal deviate."""
    return points + rng.normal(0, amount, points.shape)


def box(x: float, y: float, width: float, height: float, angle: float) -> np.ndarray:
    """The corners of a turned rectangle around (x, y): (4, 2)."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.5 * (width, height)
    c, s = np.cos(angle), np.sin(angle)
    return corners @ np.array([[c, s], [-s, c]]) + (x, y)
