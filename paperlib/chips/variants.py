"""The variants of the chips a network is trained on: original, dehazed, and two mixtures of both.

`hazy-training-dehazed` is the paper's section 4.2 as it is written: of the training chips those
labelled cloudy, partly cloudy or haze are dehazed; every other chip, among them all that are to be
predicted, stays as it is, which needs no label of theirs. `dehazed-hazy` dehazes the same training
chips and all chips that are to be predicted, as figure 3 draws it for test data: a reading of the
two together. Both are put together from the first two variants and cost no dehazing of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..labels import LABELS
from ..utils import code
from .split import split_many

VARIANTS = ("original", "dehazed", "dehazed-hazy", "hazy-training-dehazed")
HAZY = ("cloudy", "partly_cloudy", "haze")


def require(variant: str) -> None:
    """Raises `ValueError` for a name that is none of `VARIANTS`."""
    if variant not in VARIANTS:
        raise ValueError(f"variant: one of {', '.join(VARIANTS)}, not {variant!r}")


def scaled(side: int) -> dict[str, int]:
    """Dehazing's `patch` and `radius` for chips of `side` pixels.

    They are 15 and 40 at 256 pixels and scale with the side; `patch` stays odd and at least 3, so
    that at 32 pixels they are 3 and 5.
    """
    patch = 2 * round((15 * side / 256 - 1) / 2) + 1
    return {"patch": max(3, patch), "radius": max(1, round(40 * side / 256))}


def dehaze(images: np.ndarray, *, workers: int | None = None) -> np.ndarray:
    """Dehaze `(N, S, S, 3)` uint8 chips at their own size, with `patch` and `radius` scaled to it.

    Shrink afterwards, not before: the windows then see the pixels that the haze was in.
    """
    from ..dehaze import dehaze_batch

    return dehaze_batch(images, workers=workers, **scaled(images.shape[1]))


def hazy(labels: np.ndarray, tags: Sequence[str] = LABELS) -> np.ndarray:
    """`(N, L)` labels -> `(N,)` bool: chips labelled cloudy, partly_cloudy or haze."""
    columns = [i for i, tag in enumerate(tags) if tag in HAZY]
    return np.asarray(labels)[:, columns].any(axis=1)


def compose(
    original: np.ndarray,
    dehazed: np.ndarray,
    labels: np.ndarray,
    names: np.ndarray,
    tags: Sequence[str] = LABELS,
    *,
    variant: str = "dehazed-hazy",
) -> np.ndarray:
    """The mixed variants: of the training chips the `hazy` ones dehazed, the others original.

    original, dehazed  `(N, S, S, 3)` of the same chips; labels `(N, L)`; names `(N,)`, which say
    the part of each. Held-out chips are all dehazed (`"dehazed-hazy"`) or all original
    (`"hazy-training-dehazed"`): their pixels do not depend on their labels.

    Raises `ValueError` for arrays of different shapes and for a variant that is no mixture.
    """
    if original.shape != dehazed.shape:
        raise ValueError(f"dehazed: expected {original.shape}, got {dehazed.shape}")
    if variant not in VARIANTS[2:]:
        raise ValueError(f"variant: one of {', '.join(VARIANTS[2:])}, not {variant!r}")
    training = split_many(names) == "train"
    clear = training & hazy(labels, tags)
    if variant == "dehazed-hazy":
        clear |= ~training
    return np.where(clear[:, None, None, None], dehazed, original)


def code_stamp() -> str:
    """Over the dehazing code: part of a cache's key, so that no cache outlives a change."""
    return code.stamp("paperlib.dehaze")
