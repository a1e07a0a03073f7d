"""Exercise 3 of notebook 02: the atmospheric light, where every detail changes the answer."""

from __future__ import annotations

import numpy as np

from .checking import Exercise, code


def _light(flaws: frozenset[str], image: np.ndarray, dark: np.ndarray, fraction: float):
    colours, plane = image.reshape(-1, 3), dark.ravel()
    n = plane.size
    share = 0.01 if "fixed" in flaws else fraction
    count = int(np.ceil(share * n))
    for name, other in (
        ("floor", int(share * n)),
        ("round", round(share * n)),
        ("one more", count + 1),
    ):
        count = other if name in flaws else count
    order = np.argsort(-plane, kind="stable")
    threshold = plane[order[max(count, 1) - 1]]
    if "median" in flaws:
        threshold = np.median(plane)
    if "quantile" in flaws:
        threshold = np.quantile(plane, 1 - share)
    if "largest dark" in flaws:
        threshold = plane.max()
    inside = plane > threshold if "above" in flaws else plane >= threshold
    if "cut" in flaws:
        inside = np.isin(np.arange(n), order[:count])
    if "cut the other way" in flaws:
        inside = np.isin(np.arange(n), np.argsort(plane, kind="stable")[-count:])
    if "whole" in flaws:
        inside = np.ones(n, bool)
    colours = colours[inside]
    bright = colours.sum(1)
    if "largest channel" in flaws:
        bright = colours.max(1)
    if "luma" in flaws:
        bright = colours @ np.array([0.299, 0.587, 0.114])
    if "each channel" in flaws:
        return colours.max(0)
    if "mean" in flaws:
        return colours.mean(0)
    if "one number" in flaws:
        return colours[bright.argmax()].mean()
    if "first" in flaws:
        return colours[bright.argmax()]
    if "last" in flaws:
        return colours[np.flatnonzero(bright >= bright.max() - 1e-12)[-1]]
    return colours[bright >= bright.max() - 1e-9].mean(0)


def _light_case(fraction: float, tie: str, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """300 pixels, brighter the less hazy they are: any other set of candidates gives another A.

    In 1/256, so that equal sums are equal to the last bit.
    tie   "first" or "last": two pixels have the dark channel of the threshold, and the brighter of
          them comes first or last; "bright": two candidates are equally bright, of other colours
    """
    rng = np.random.default_rng(seed)
    n = 300
    last = int(np.ceil(fraction * n)) - 1  # the rank at the threshold
    level = np.sort(rng.choice(np.arange(20, 800), n, replace=False))[::-1] / 1024
    total = 330 + np.arange(n)  # R + G + B by rank, of 768
    red, green = (rng.integers(-6, 7, n) + total // 3 for _ in range(2))
    place = rng.permutation(n)
    if tie == "bright":
        total[last - 1] = total[last]
        red[last - 1], red[last] = total[last] // 3 + 5, total[last] // 3 - 4
        if place[last - 1] > place[last]:
            place[[last - 1, last]] = place[[last, last - 1]]
    else:
        level[last + 1] = level[last]
        if (place[last + 1] < place[last]) != (tie == "first"):
            place[[last, last + 1]] = place[[last + 1, last]]
    red[4], green[4] = total[4] // 3 + 60, total[4] // 3 - 30  # the largest single channel
    red[1], green[1] = total[1] // 3 - 20, total[1] // 3 + 40  # the largest luma
    ranked = np.stack([red, green, total - red - green], 1) / 256
    image, dark = np.empty((n, 3)), np.empty(n)
    image[place], dark[place] = ranked, level
    return image.reshape(15, 20, 3), dark.reshape(15, 20), fraction


ATMOSPHERIC_LIGHT = Exercise(
    "light",
    _light,
    # 7.41, rounded 7, up 8; 9.99, cut off 9, up 10; 12; and 7.02, where a quantile is 7
    lambda: [
        _light_case(0.0247, "first", 1),
        _light_case(0.0333, "last", 2),
        _light_case(0.04, "bright", 3),
        _light_case(0.0234, "first", 4),
    ],
    {
        "whole": "this is the brightest pixel of the whole picture, which may be a white roof; "
        "take it only from the candidates",
        "mean": "this is the mean of all candidates; only the brightest of them count",
        "first": "two candidates are equally bright and only one was taken; A is their mean",
        "last": "two candidates are equally bright and only the last was taken; A is their mean",
        "each channel": "this is the largest value of each channel by itself, not the colour of "
        "a pixel",
        "fixed": "0.01 is typed in; how many candidates there are is said by `fraction`",
        "floor": "the number of candidates is rounded down; ⌈ ⌉ means up",
        "round": "the number of candidates is rounded to nearest; ⌈ ⌉ means up",
        "one more": "one candidate too many: the 8th largest has index 7, or −8 from the end",
        "above": "> leaves out the pixels at the threshold; at least as large is ≥",
        "cut": "pixels with the same dark channel as the last candidate were cut off; they are "
        "candidates too",
        "cut the other way": "pixels with the same dark channel as the last candidate were cut "
        "off; they are candidates too",
        "quantile": "a quantile lies between two pixels; sort, and take the pixel's own value",
        "median": "the median makes half of the pixels candidates; `fraction` says how many",
        "largest dark": "only the largest dark channel of all is looked at; `fraction` of the "
        "pixels are candidates, and of those the brightest in R + G + B is wanted",
        "largest channel": "brightness is taken as the largest channel; here it is R + G + B",
        "luma": "brightness is weighted like luma; here it is R + G + B, unweighted",
        "one number": "A has three numbers, one for each colour",
    },
    "First which pixels are candidates, by the dark channel; then which of them are brightest",
    code("""
    def my_light(image, dark, fraction):
        count = int(np.ceil(fraction * dark.size))
        threshold = np.sort(dark.ravel())[-count]
        candidates = image[dark >= threshold]  # (n, 3)
        brightness = candidates.sum(axis=1)
        return candidates[np.isclose(brightness, brightness.max(), rtol=0)].mean(axis=0)
    """),
    "the mean colour of the brightest candidates",
)
