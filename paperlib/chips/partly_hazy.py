"""Pictures of which a third are hazy, with haze and clear among their labels, as Planet's have.

Equation 3 adds the haze (`added_haze`). Which pictures are hazy, how thick and where is drawn from
their names, so that the same names give the same set on any machine. The weather labels are given
by what was added: they are never wrong.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from .. import dehaze
from . import Chips, variants
from .added_haze import haze_of, hazy

FRACTION = 1 / 3  # of the pictures are hazy
THICKNESS = (0.2, 0.8)  # mean transmission of a hazy picture, drawn evenly
WEATHER = ("haze", "clear")
VARIANTS = ("original", "dehazed")  # the paper's two training sets


def transmission_of(name: str) -> float:
    """Mean transmission of the picture of that name: 1 for the two thirds without haze."""
    seed = int.from_bytes(hashlib.sha256(f"partly hazy {name}".encode()).digest()[:8])
    rng = np.random.default_rng(seed)
    is_hazy, mean = rng.random() < FRACTION, rng.uniform(*THICKNESS)
    return float(mean) if is_hazy else 1.0


def chips(clear: Chips, size: int, variant: str = "original") -> Chips:
    """The set `(N, size, size, 3)` uint8 from clear pictures `(N, S, S, 3)`.

    variant  `"original"`: hazy where the name says so; `"dehazed"`: then all of them dehazed by the
             dark channel prior at S pixels, before they are shrunk

    Two labels are appended to those of the clear pictures: haze and clear, of which each picture
    has one. Raises `ValueError` for another variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant: one of {', '.join(VARIANTS)}, not {variant!r}")
    mean = np.array([transmission_of(name) for name in clear.names.tolist()])
    out = np.empty((len(clear), size, size, 3), np.uint8)
    for i, (name, image) in enumerate(zip(clear.names.tolist(), clear.images, strict=True)):
        if mean[i] < 1:
            image = hazy(image, haze_of(name), mean[i])
        if variant == "dehazed":
            image = dehaze.dehaze(image, workers=1, **variants.scaled(len(image)))
        if len(image) != size:
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        out[i] = image
    weather = np.stack([mean < 1, mean == 1], axis=1).astype(np.uint8)
    labels = np.concatenate([clear.labels, weather], axis=1)
    source = f"{clear.source}, a third of them hazy, {variant}"
    return Chips(clear.names, out, labels, source, (*clear.tags, *WEATHER), clear.skipped)
