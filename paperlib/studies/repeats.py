"""What it is worth that the showcase predicts only chips whose content it has not seen.

A visitor sends the same chips again and again: seven eighths of this upload are repeats. Known are
chips whose sha256 over shape and pixels is known, as in the site.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

Array = np.ndarray
#: Largest number of times that the table states: exact ones differ from run to run.
MOST = 2


def fingerprint(image: Array) -> str:
    """sha256 of a chip's shape and pixels `(H, W, 3)`: equal content, whatever file it came in."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def predict_new(
    images: Array, predict: Callable[[Array], Array], known: dict[str, Array]
) -> tuple[Array, int]:
    """Predict what is not in `known`, once each, and take the rest from there.

    images   `(N, H, W, 3)`;  predict  images -> `(N, L)`
    known    fingerprint -> `(L,)`; is added to
    Returns `(N, L)` and how many chips were predicted.
    """
    prints = [fingerprint(image) for image in images]
    new = list(dict.fromkeys(p for p in prints if p not in known))
    if new:
        first = {p: i for i, p in reversed(list(enumerate(prints)))}
        known.update(zip(new, predict(images[[first[p] for p in new]]), strict=True))
    return np.stack([known[p] for p in prints]), len(new)


def measure(
    images: Array, predict: Callable[[Array], Array], *, share_new: int = 8, times: int = 3
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Predict an upload of which one chip in `share_new` is new, in both ways.

    Returns the table (`way`, `chips`, `predicted`, `predicted_again`, `times_faster_at_least`; no
    times, so that equal runs give equal tables) and the seconds of each way, lowest of `times`.
    """
    new = images[::share_new]
    old = np.delete(images, np.s_[::share_new], axis=0)
    before = {fingerprint(image): row for image, row in zip(old, predict(old), strict=True)}
    predict(new)  # so that no way pays for a first call with this many chips
    predict(images)
    seconds = {"everything again": np.inf, "only what is new": np.inf}
    for _ in range(times):
        known, start = dict(before), time.perf_counter()
        found, predicted = predict_new(images, predict, known)
        middle = time.perf_counter()
        again = predict(images)
        end = time.perf_counter()
        seconds["only what is new"] = min(seconds["only what is new"], middle - start)
        seconds["everything again"] = min(seconds["everything again"], end - middle)
    if not np.allclose(found, again, atol=1e-4):
        raise AssertionError("both ways must give the same probabilities")
    ratio = seconds["everything again"] / seconds["only what is new"]
    rows = [
        {
            "way": "everything again",
            "chips": len(images),
            "predicted": len(images),
            "predicted_again": len(old),
            "times_faster_at_least": 1,
        },
        {
            "way": "only what is new",
            "chips": len(images),
            "predicted": predicted,
            "predicted_again": predicted - len(new),
            "times_faster_at_least": int(min(MOST, ratio)),
        },
    ]
    return pd.DataFrame(rows), seconds
