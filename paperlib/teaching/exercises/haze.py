"""Exercises 1 and 2 of notebook 02: the haze model (3) and the dark channel (1)."""

from __future__ import annotations

import numpy as np

from .checking import Exercise, code

LIGHT = np.array([0.82, 0.9, 0.88])  # A of the cases


def scene(seed: int = 0) -> np.ndarray:
    """`(24, 32, 3)` float64 in 0…1 with dark and bright parts, different in each channel."""
    noise = np.random.default_rng(3 + seed).uniform(0.05, 0.75, (24, 32, 3))
    return np.ascontiguousarray(noise * np.array([0.8, 1.0, 0.6]))


def depth() -> np.ndarray:
    """`(24, 32)`: t from 0.05 to 0.92 across the picture."""
    return np.linspace(0.05, 0.92, 24 * 32).reshape(24, 32)


# ---- 1: equation 3 -------------------------------------------------------------------------------


def _haze(flaws: frozenset[str], scene: np.ndarray, t: np.ndarray, light: np.ndarray) -> np.ndarray:
    wide = t[..., None]
    if "swapped" in flaws:
        wide = 1 - wide
    if "one light" in flaws:
        light = light.mean()
    if "first light" in flaws:
        light = light[0]
    ground = scene if "ground unweighted" in flaws else scene * wide
    haze = light if "unweighted" in flaws else light * (1 - wide)
    if "no light" in flaws:
        return ground
    if "no ground" in flaws:
        return haze + 0 * ground
    if "minus" in flaws:
        return ground - haze
    return ground * haze if "product" in flaws else ground + haze


HAZE = Exercise(
    "haze",
    _haze,
    lambda: [(scene(), depth(), LIGHT), (scene(1)[:9, :14], depth()[:9, :14], LIGHT - 0.3)],
    {
        "unweighted": "the light is added unweighted; where air is clear, t = 1, none may arrive",
        "swapped": "t and 1 − t have changed places: t = 1 is clear air",
        "no light": "the light that the haze scatters towards the camera is missing",
        "no ground": "the ground's own light is missing: the fraction t of it gets through",
        "ground unweighted": "the ground's light has to lose a part on its way: only t of it",
        "minus": "the haze's light comes on top; it is not subtracted",
        "product": "the two kinds of light add up in the camera; they are not multiplied",
        "one light": "one number for all of A is used; each colour has its own",
        "first light": "the red of A is used for all; each colour has its own",
    },
    "Two lights reach the camera: what is left of the ground's, and what the haze adds",
    code("""
    def my_haze(scene, t, light):
        t = t[..., None]  # (H, W, 1): one t for the three colours
        return scene * t + light * (1 - t)
    """),
    "the ground's light fades by t, the haze's own light takes its place",
)


# ---- 2: equation 1 -------------------------------------------------------------------------------


def _dark(flaws: frozenset[str], image: np.ndarray, patch: int) -> np.ndarray:
    least = image.min(2)
    if "largest colour" in flaws:
        least = image.max(2)
    if "mean" in flaws:
        least = image.mean(2)
    if "one colour" in flaws:
        least = image[..., 0]
    if "colours apart" in flaws:
        least = image
    before = after = patch // 2
    for name, side in (("fixed 15", 15), ("fixed 5", 5), ("fixed 3", 3), ("no window", 1)):
        if name in flaws:
            before = after = side // 2
    if "radius" in flaws:
        before = after = patch
    before, after = (n + ("one more" in flaws) - ("one less" in flaws) for n in (before, after))
    if "ends early" in flaws:
        after -= 1
    if "starts late" in flaws:
        before -= 1
    if "corner" in flaws:
        before, after = 0, patch - 1
    rows = () if "row only" in flaws else (before, after)
    columns = () if "column only" in flaws else (before, after)
    reduce = np.max if "largest" in flaws else np.mean if "window mean" in flaws else np.min
    fill = 0.0 if "zeros" in flaws else None
    if "in place" in flaws:
        return _in_place(least.copy(), before, after)
    return _windows(least, rows or (0, 0), columns or (0, 0), reduce, fill)


def _windows(plane, rows, columns, reduce, fill) -> np.ndarray:
    """`reduce` over a window around each pixel, clipped at the border or filled beyond it."""
    height, width = plane.shape[:2]
    result = np.empty(plane.shape)
    for y in range(height):
        for x in range(width):
            top, left = max(0, y - rows[0]), max(0, x - columns[0])
            part = plane[top : y + rows[1] + 1, left : x + columns[1] + 1]
            result[y, x] = reduce(part, axis=(0, 1))
            over = y - rows[0] < 0 or x - columns[0] < 0
            if fill is not None and (over or y + rows[1] >= height or x + columns[1] >= width):
                result[y, x] = fill if reduce is np.min else result[y, x]
    return result


def _in_place(plane: np.ndarray, before: int, after: int) -> np.ndarray:
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            part = plane[max(0, y - before) : y + after + 1, max(0, x - before) : x + after + 1]
            plane[y, x] = part.min()
    return plane


DARK = Exercise(
    "dark channel",
    _dark,
    lambda: [(scene()[:20, :22], 5), (scene(2)[:16, :11], 7), (scene(4)[:9, :9], 3)],
    {
        "no window": "this is the minimum over the channels only; the window is missing",
        "radius": "the window is larger than `patch`: is patch taken for the radius?",
        "colours apart": "this is the minimum over each channel's window; the least of the "
        "three is wanted",
        "mean": "this is the mean over the channels, not their minimum",
        "one colour": "only the red channel is used; the least of all three is wanted",
        "largest colour": "the largest colour of each pixel is taken; the smallest is wanted",
        "largest": "this is a maximum over the window; the dark channel takes the minimum",
        "window mean": "this is the mean over the window; the dark channel takes the minimum",
        "zeros": "the border is filled with zeros, and every window there holds one",
        "ends early": "the window ends one pixel early: a slice a:b leaves b out",
        "starts late": "the window begins one pixel late",
        "corner": "the window begins at the pixel instead of lying around it",
        "one more": "the window reaches one pixel too far on every side",
        "one less": "the window reaches one pixel too little on every side: patch // 2 it is",
        "fixed 15": "15 is typed in; the side of the window is `patch`",
        "fixed 5": "5 is typed in; the side of the window is `patch`",
        "fixed 3": "3 is typed in; the side of the window is `patch`",
        "in place": "the minimum is written into the plane that later windows still read",
        "row only": "the window has only one row; it goes up and down as well",
        "column only": "the window has only one column; it goes left and right as well",
    },
    "One dark pixel must darken every pixel whose window holds it, and no other",
    code("""
    def my_dark_channel(image, patch):
        least, half = image.min(axis=2), patch // 2
        dark = np.empty(least.shape)
        for y in range(least.shape[0]):
            for x in range(least.shape[1]):
                window = least[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
                dark[y, x] = window.min()
        return dark
    """),
    "the least of the window and of the three colours",
)
