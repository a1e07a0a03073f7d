"""Exercises 4 and 5 of notebook 02: the transmission (8) and the recovery (9)."""

from __future__ import annotations

import cv2
import numpy as np

from ... import dehaze
from .checking import Exercise, code
from .haze import LIGHT, depth, scene

# ---- 4: equation 8 -------------------------------------------------------------------------------


def _transmission(flaws, image: np.ndarray, light: np.ndarray, patch: int, omega: float):
    if "fixed ω" in flaws:
        omega = 0.95
    if "no ω" in flaws:
        omega = 1.0
    side = 15 if "fixed patch" in flaws else 1 if "no window" in flaws else patch
    divide = light.mean() if "one A" in flaws else light
    if "not divided" in flaws or "after" in flaws:
        divide = 1.0
    relative = image / divide
    if "upside down" in flaws:
        relative = light / np.maximum(image, 1e-12)
    least = relative.max(2) if "largest" in flaws else relative.min(2)
    least = relative.mean(2) if "mean" in flaws else least
    kernel = np.ones((side, side), np.uint8)
    shrink = cv2.dilate if "largest window" in flaws else cv2.erode
    least = shrink(np.ascontiguousarray(least), kernel)
    if "after" in flaws:
        least = least / light.max()
    if "haze" in flaws:
        return omega * least
    t = omega * (1 - least) if "ω outside" in flaws else 1 - omega * least
    t = 1 + omega * least if "plus" in flaws else t
    if "clipped" in flaws:
        return np.clip(t, 0, 1)
    if "abs" in flaws:
        return np.abs(t)
    return np.maximum(t, 0.1) if "floor" in flaws else t


def _transmission_cases():
    for seed, patch, omega, light in ((0, 5, 0.9, LIGHT), (3, 3, 0.7, LIGHT - 0.25)):
        image = dehaze.add_haze(scene(seed), depth(), light)
        image[4:12, 4:14] = [0.99, 0.98, 0.97]  # brighter than A: t below 0
        yield image, light, patch, omega


TRANSMISSION = Exercise(
    "transmission",
    _transmission,
    lambda: list(_transmission_cases()),
    {
        "no ω": "ω is missing",
        "not divided": "the picture is not divided by A before the minimum is taken; thick haze "
        "is as bright as A, not as 1",
        "after": "A is divided out after the minimum, as one number; each channel has its own",
        "one A": "one number for all of A is used; each channel has its own",
        "ω outside": "ω stands before the whole difference; it belongs to the minimum",
        "haze": "this is the haze that is taken away, not t, which is one minus it",
        "no window": "the window is missing",
        "fixed ω": "0.95 is typed in; ω is the argument `omega`",
        "fixed patch": "15 is typed in; the side of the window is `patch`",
        "largest": "the largest of the three channels is taken; the dark channel is the smallest",
        "mean": "the mean of the three channels is taken; the dark channel is the smallest",
        "largest window": "the largest of the window is taken; the dark channel is the smallest",
        "upside down": "A is divided by the picture; it is the other way round",
        "plus": "the haze is taken away from 1; it is not added",
        "clipped": "t is clipped to 0…1 here; (8) leaves it as it is, and t0 in (9) deals with it",
        "floor": "t0 does not belong here; it comes in equation 9",
        "abs": "the sign is taken away; (8) leaves t below 0 where the picture is brighter than A",
    },
    "Thick haze looks like A, so in the picture divided by A it looks like 1 in every channel. "
    "How far the dark channel of that is from 1 is what came through",
    code("""
    def my_transmission(image, light, patch, omega):
        return 1 - omega * my_dark_channel(image / light, patch)
    """),
    "what is not haze came through",
)


# ---- 5: equation 9 -------------------------------------------------------------------------------


def _recover(flaws, image: np.ndarray, t: np.ndarray, light: np.ndarray, t0: float) -> np.ndarray:
    wide = t[..., None]
    t0 = 0.1 if "fixed" in flaws else t0
    light = light.mean() if "one A" in flaws else light
    wide = 1 - wide if "swapped" in flaws else wide
    floor = np.maximum(wide, t0)
    if "no t0" in flaws:
        floor = wide
    if "min" in flaws:
        floor = np.minimum(wide, t0)
    if "added" in flaws:
        floor = wide + t0
    if "only t0" in flaws:
        floor = t0
    difference = light - image if "turned" in flaws else image - light
    found = difference * floor if "times" in flaws else difference / floor
    if "subtracted late" in flaws:
        found = image / floor - light
    if "A divided" in flaws:
        found = image - light / floor
    if "not subtracted" in flaws:
        found = image / floor
    if "not added" not in flaws:
        found = found + light
    if "stretched" in flaws:
        return (found - found.min()) / (found.max() - found.min())
    if "abs" in flaws:
        return np.minimum(np.abs(found), 1)
    low = -np.inf if {"not clipped", "clipped above"} & flaws else 0
    high = np.inf if {"not clipped", "clipped below"} & flaws else 1
    return np.clip(found, low, high)


def _recover_cases():
    for seed, t0, light in ((0, 0.25, LIGHT), (5, 0.4, LIGHT - 0.3)):
        noise = np.random.default_rng(7 + seed).normal(0, 0.06, (24, 32, 3))
        hazy = dehaze.add_haze(scene(seed), depth(), light)
        yield np.clip(hazy + noise, 0, 1), depth(), light, t0


RECOVER = Exercise(
    "recover",
    _recover,
    lambda: list(_recover_cases()),
    {
        "no t0": "t0 is missing: where t is small, noise is blown up",
        "fixed": "0.1 is typed in; t0 is an argument",
        "only t0": "t0 takes the place of t everywhere; it is only a floor under it",
        "not added": "A is not added back after the division",
        "not clipped": "the result leaves 0…1; clip it",
        "clipped below": "the result goes above 1; clip it there, too",
        "clipped above": "the result goes below 0; clip it there, too",
        "min": "this is min(t, t0); the larger of the two divides",
        "subtracted late": "A is subtracted after the division; subtract it before",
        "A divided": "only A is divided; the whole difference I − A is",
        "not subtracted": "A is not subtracted before the division",
        "added": "t0 is added to t; it is a floor: the larger of the two",
        "abs": "negative values are turned over; clip them to 0",
        "one A": "one number for all of A is used; each channel has its own",
        "times": "this multiplies by t; to undo the haze model divide by it",
        "turned": "I and A have changed places in the difference",
        "swapped": "1 − t divides; t does",
        "stretched": "the result is stretched to 0…1; only clip what lies beyond",
    },
    "Undo the haze model from the outside in: A off, the fading t undone, A back on",
    code("""
    def my_recover(image, t, light, t0):
        t = np.maximum(t, t0)[..., None]
        return np.clip((image - light) / t + light, 0, 1)
    """),
    "A off, the fading undone, A back on, within 0…1",
)
