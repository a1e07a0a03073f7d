"""The mistakes that answers to any exercise have in common, and how far a result is off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..words import say

_TOLERANCE = 1e-5  # float32 is exact enough


def mistake(results: list, wanted: list, failing: list[int]) -> str:
    """A mistake of any exercise, in words: shape, units, order of colours, rounding, the border.

    results, wanted  arrays, case by case; failing  the cases that differ, at least one

    Empty where it is none of these.
    """
    a, b = results[failing[0]], wanted[failing[0]]

    def throughout(change: Callable[[np.ndarray], np.ndarray]) -> bool:
        return all(
            equal(results[k], np.asarray(change(wanted[k]), float)) for k in failing
        )  # fmt: skip

    if b.ndim > 1 and throughout(lambda x: x.swapaxes(0, 1)):
        return say("rows and columns have changed places: an array is [row, column]")
    if a.shape != b.shape:
        text = say("the result's shape is {a}; {b} is wanted", a=a.shape, b=b.shape)
        cut = a.ndim == b.ndim == 2 and a.size < b.size
        return text + (say(": the border is cut off") if cut else "")
    if not np.isfinite(a).all():
        return say("there are NaN or infinite values; is something divided by zero?")
    if any(throughout(lambda x, to=to: to(255 * x)) for to in (np.positive, np.rint, np.floor)):
        return say("the result is in 0…255; numbers here go from 0 to 1")
    if b.ndim and b.shape[-1] == 3 and throughout(lambda x: x[..., ::-1]):
        return say("the colours are in the order blue, green, red; here it is red, green, blue")
    if throughout(lambda x: np.rint(255 * x) / 255) or throughout(
        lambda x: np.floor(255 * x) / 255
    ):
        return say(
            "the result is rounded to grey levels; no uint8 here, keep the numbers as they are"
        )
    given = np.unique(np.concatenate([results[k].ravel() for k in failing]))
    told = len(given) > 1 or given[0] not in (0, 1)  # else a constant, which is no rounding
    if told and (throughout(np.floor) or throughout(np.rint)):
        return say("the result is rounded to whole numbers")
    if throughout(lambda x: -x):
        return say("the sign is turned")
    if throughout(lambda x: 1 - x):
        return say("this is one minus what is wanted")
    if b.ndim >= 2 and all(_border_only(results[k], wanted[k]) for k in failing):
        return say("right inside, wrong at the border: there the window is only what lies inside")
    if b.ndim and len(failing) < len(results):
        return say(
            "right in one case and wrong in another: is a number typed in that is an argument?"
        )
    return ""


def difference(a: np.ndarray, b: np.ndarray) -> str:
    """Where result and wanted lie farthest apart, in words; empty for single numbers."""
    if b.ndim == 0:
        return ""
    off = np.abs(a - b)
    worst = np.unravel_index(off.argmax(), off.shape)
    place = tuple(map(int, worst))
    text = "off by up to {off:.3g}: at {place} it is {a:.4g}, not {b:.4g}. "
    return say(text, off=off.max(), place=place, a=a[worst], b=b[worst])


def _border_only(a: np.ndarray, b: np.ndarray) -> bool:
    inside = (slice(3, -3), slice(3, -3))
    return a.shape == b.shape and a[inside].size > 0 and equal(a[inside], b[inside])


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(
        a, b, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
    )
