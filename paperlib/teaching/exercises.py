"""The exercises of notebook 02: each check tells a student what is wrong, not only that it is.

    exercises.check_transmission(my_transmission)      # shows a verdict; raises nothing

A check runs the student's function on small pictures, compares it with the definition in
`paperlib.dehaze`, and where it differs looks for the mistakes that are usually made.
"""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .. import dehaze

Function = Callable[..., Any]
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What a check found: `ok` True, False, or None where nothing was answered; and why."""

    ok: bool | None
    message: str

    def __repr__(self) -> str:
        return f"{ {True: 'right', False: 'not yet', None: 'open'}[self.ok] }: {self.message}"

    def _repr_html_(self) -> str:
        colour, mark = {
            True: ("#009E73", "✔ Right"),
            False: ("#D55E00", "✘ Not yet"),
            None: ("#7A7A7A", "… Open"),
        }[self.ok]
        text = html.escape(self.message)
        return f'<span style="color:{colour}"><b>{mark}</b></span> {text}'


def check_haze(answer: Function) -> Verdict:
    """Exercise 1, eq. 3: `answer(scene, t, light)` with scene `(H, W, 3)` in 0…1, t `(H, W)`."""
    scene, t, light = _scene(), _depth(), _LIGHT
    wrong = {
        "the light is added unweighted; it counts as A·(1 − t)": scene * t[..., None] + light,
        "t and 1 − t have changed places: t = 1 is clear air": scene * (1 - t[..., None])
        + light * t[..., None],
        "the light scattered towards the camera, A·(1 − t), is missing": scene * t[..., None],
    }
    right = dehaze.add_haze(scene, t, light)
    return _compare(answer, (scene, t, light), right, wrong, "I = J·t + A·(1 − t)")


def check_dark_channel(answer: Function) -> Verdict:
    """Exercise 2, eq. 1: `answer(image, patch)` gives `(H, W)`, windows clipped at the border."""
    image, patch = _scene(), 5
    least = image.min(2)
    padded = cv2.erode(
        least, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    wrong = {
        "this is the minimum over the channels only; the window is missing": least,
        "the window is larger than `patch`: is patch taken for the radius?": _erode(least, 11),
        "this is the minimum over each channel's window; the least of the three is wanted": (
            np.stack([_erode(image[..., k], 5) for k in range(3)], 2)
        ),
        "this is the mean over the channels, not their minimum": _erode(image.mean(2), 5),
        "this is a maximum; the dark channel takes the minimum": cv2.dilate(
            image.max(2), np.ones((5, 5), np.uint8)
        ),
        "the border is filled with zeros; the window is to be clipped there": padded,
    }
    right = dehaze.dark_channel(image, patch)
    return _compare(answer, (image, patch), right, wrong, "min over the window and the channels")


def check_light(answer: Function) -> Verdict:
    """Exercise 3: `answer(image, dark, fraction)` gives A, `(3,)`."""
    image = _scene()
    # sixty-fourths, so that equal sums are equal to the last bit
    image[2:6, 2:6] = np.array([54, 55, 55]) / 64  # haze
    image[20, 20] = np.array([64, 64, 58]) / 64  # a white roof: bright, but its window is dark
    # two of the same brightness
    image[3, 3], image[4, 4] = np.array([58, 55, 54]) / 64, np.array([54, 55, 58]) / 64
    dark, fraction = dehaze.dark_channel(image, 3), 0.02
    order = np.sort(dark.ravel())[::-1]
    threshold = order[int(np.ceil(fraction * dark.size)) - 1]
    candidate = dark >= threshold
    wrong = {
        "this is the brightest pixel of the whole picture, the white roof; take it only from the "
        "candidates": image[20, 20],
        "this is the mean of all candidates; only the brightest of them count": image[
            candidate
        ].mean(0),
        "two candidates are equally bright and only one was taken; A is the mean of both": (
            image[3, 3],
            image[4, 4],
        ),
        "this is the largest value of each channel by itself, not the colour of a pixel": image[
            candidate
        ].max(0),
    }
    right = dehaze.atmospheric_light(image, dark, fraction)
    return _compare(
        answer, (image, dark, fraction), right, wrong, "mean of the brightest candidates"
    )


def check_transmission(answer: Function) -> Verdict:
    """Exercise 4, eq. 8: `answer(image, light, patch, omega)` gives `(H, W)`."""
    image = dehaze.add_haze(_scene(), _depth(), _LIGHT)
    patch, omega = 5, 0.9
    relative = _erode((image / _LIGHT).min(2), patch)
    wrong = {
        "ω is missing": 1 - relative,
        "the picture is not divided by A before the minimum is taken": 1
        - omega * _erode(image.min(2), patch),
        "A is divided out after the minimum, as one number; each channel has its own": 1
        - omega * _erode(image.min(2), patch) / _LIGHT.max(),
        "ω stands before the whole difference; it belongs to the minimum": omega * (1 - relative),
        "this is the haze, 1 − t, not t": omega * relative,
        "the window is missing": 1 - omega * (image / _LIGHT).min(2),
    }
    right = dehaze.transmission(image, _LIGHT, patch, omega)
    return _compare(answer, (image, _LIGHT, patch, omega), right, wrong, "1 − ω·min min I/A")


def check_recover(answer: Function) -> Verdict:
    """Exercise 5, eq. 9: `answer(image, t, light, t0)` gives the scene, clipped to 0…1."""
    scene, t, light, t0 = _scene(), _depth(), _LIGHT, 0.25
    image = np.clip(dehaze.add_haze(scene, t, light) + _NOISE, 0, 1)
    wide = t[..., None]
    floor = np.maximum(wide, t0)
    raw = (image - light) / floor + light
    wrong = {
        "t0 is missing: where t is small, noise is blown up": np.clip(
            (image - light) / wide + light, 0, 1
        ),
        "A is not added back after the division": np.clip((image - light) / floor, 0, 1),
        "the result leaves 0…1; clip it": raw,
        "this is min(t, t0); the larger of the two divides": np.clip(
            (image - light) / np.minimum(wide, t0) + light, 0, 1
        ),
        "A is subtracted after the division; subtract it before": np.clip(
            image / floor - light + light, 0, 1
        ),
        "t0 is added to t; it is a floor: max(t, t0)": np.clip(
            (image - light) / (wide + t0) + light, 0, 1
        ),
    }
    right = dehaze.recover(image, t, light, t0)
    return _compare(answer, (image, t, light, t0), right, wrong, "(I − A)/max(t, t0) + A")


def check_bright_ground(answer: float | None) -> Verdict:
    """Exercise 6: the t that eq. 8 finds over sand, in numbers.

    J = 0.6 in the darkest channel, A = 0.8 in all, the true t = 0.7, ω = 0.95.
    """
    haze = 0.7 * 0.6 / 0.8 + 0.3
    wrong = {
        0.7: "that is the true t. Put I = J·t + A·(1 − t) into eq. 8 and see what comes out",
        1 - haze: "that is with ω = 1; here ω is 0.95",
        1 - 0.95 * 0.3: "that is what eq. 8 gives over dark ground, J = 0; the sand has J = 0.6",
        1 - 0.95 * (0.7 * 0.6 + 0.3): "the haze model has to be divided by A: J/A = 0.75",
        0.95 * haze: "that is ω·min I/A; t is one minus that",
        1 - 0.95 * (0.7 * 0.6 + 0.8 * 0.3): "I = 0.66 still has to be divided by A",
    }
    if answer is None or answer is Ellipsis:
        return Verdict(None, "put a number")
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return Verdict(False, f"a number is wanted, not {type(answer).__name__}")
    right = 1 - 0.95 * haze
    if abs(value - right) < 0.006:
        return Verdict(
            True,
            f"t = {right:.3f}: a third of the truth, so the sand is made far too dark. "
            "The prior takes bright ground for haze",
        )
    for number, hint in wrong.items():
        if abs(value - number) < 0.004:
            return Verdict(False, hint)
    return Verdict(False, f"{value:g} it is not. Compute I of the sand first (eq. 3), then eq. 8")


_LIGHT = np.array([0.82, 0.9, 0.88])
_NOISE = np.random.default_rng(7).normal(0, 0.06, (24, 32, 3))


def _scene() -> np.ndarray:
    """`(24, 32, 3)` float64 in 0…1 with dark and bright parts, different in each channel."""
    noise = np.random.default_rng(3).uniform(0.05, 0.75, (24, 32, 3))
    return np.ascontiguousarray(noise * np.array([0.8, 1.0, 0.6]))


def _depth() -> np.ndarray:
    """`(24, 32)`: t from 0.12 to 0.92 across the picture."""
    return np.linspace(0.12, 0.92, 24 * 32).reshape(24, 32)


def _erode(plane: np.ndarray, patch: int) -> np.ndarray:
    return cv2.erode(np.ascontiguousarray(plane), np.ones((patch, patch), np.uint8))


def _compare(
    answer: Function,
    arguments: tuple[Any, ...],
    right: np.ndarray,
    wrong: Mapping[str, np.ndarray | tuple[np.ndarray, ...]],
    formula: str,
) -> Verdict:
    """Run the answer, compare it with `right`, and name the mistake if it is among `wrong`."""
    given = tuple(np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments)
    try:
        result = answer(*given)
    except Exception as error:  # the student's code may fail in any way
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        return Verdict(False, f"{type(error).__name__} in line {line}: {error}")
    if result is None or result is Ellipsis:
        return Verdict(None, "the function returns nothing yet; end it with `return …`")
    for before, after in zip(arguments, given, strict=True):
        if isinstance(before, np.ndarray) and not np.array_equal(before, after):
            return Verdict(False, "the function changes its input; work on a copy")
    try:
        result = np.asarray(result, float)
    except (TypeError, ValueError):
        return Verdict(False, f"an array is wanted, not {type(result).__name__}")
    for hint, candidates in wrong.items():
        for candidate in candidates if isinstance(candidates, tuple) else (candidates,):
            if _equal(result, np.asarray(candidate)):
                return Verdict(False, hint)
    if result.shape != right.shape:
        return Verdict(False, f"the result's shape is {result.shape}; {right.shape} is wanted")
    if not np.isfinite(result).all():
        return Verdict(False, "there are NaN or infinite values; is something divided by zero?")
    if _equal(result, right):
        return Verdict(True, formula)
    off = np.abs(result - right)
    place = np.unravel_index(off.argmax(), off.shape)
    if (off > _TOLERANCE).mean() < 0.5 and result.ndim >= 2 and _border_only(off):
        return Verdict(False, "right inside, wrong at the border: clip the window there")
    return Verdict(
        False,
        f"off by up to {off.max():.3g}: at {tuple(map(int, place))} it is {result[place]:.4g} and "
        f"should be {right[place]:.4g}. Wanted: {formula}",
    )


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() < _TOLERANCE)


def _border_only(off: np.ndarray) -> bool:
    return bool((off[2:-2, 2:-2] < _TOLERANCE).all())
