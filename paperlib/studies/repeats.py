"""What it is worth that the showcase predicts only an upload, and not the gallery again.

The paper's site (section 3.4) saves an upload in two places: the gallery, whose pictures have their
labels, and a folder of new pictures, which alone are predicted and then deleted. Here an upload
goes through a predictor in that way, and in the other: with everything on show predicted again.
(That our site also recognises a chip it has seen before, by its pixels, is our extension.)
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd

Array = np.ndarray
Predict = Callable[[Array], Array]
#: Largest number of times that the table states: exact ones differ from run to run.
MOST = 2


def measure(
    images: Array, predict: Predict, *, new: int = 8, times: int = 3
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Upload one picture in `new` of `images` beside a gallery of the others, in both ways.

    Returns the table (`way`, `gallery`, `upload`, `predicted`, `predicted_besides` (not of the
    upload), `times_faster_at_least`; no times, so that equal runs give equal tables) and the
    seconds of each way, lowest of `times`. Raises `AssertionError` where the pages differ.
    """
    upload, old = images[::new], np.delete(images, np.s_[::new], axis=0)
    shown, labelled, given = np.concatenate([old, upload]), predict(old), []

    def counted(chips: Array) -> Array:
        given.append(len(chips))
        return predict(chips)

    predict(upload)  # so that no way pays for a first call with this many chips
    predict(images)
    ways = {
        "everything again": lambda: counted(shown),
        "only the upload": lambda: np.concatenate([labelled, counted(upload)]),
    }
    seconds, pages, rows = dict.fromkeys(ways, np.inf), [], []
    for way, labels_of_the_page in ways.items():
        for _ in range(times):
            given.clear()
            start = time.perf_counter()
            labels = labels_of_the_page()
            seconds[way] = min(seconds[way], time.perf_counter() - start)
        pages.append(labels)
        faster = seconds["everything again"] / seconds[way]
        rows.append(
            {
                "way": way,
                "gallery": len(old),
                "upload": len(upload),
                "predicted": sum(given),
                "predicted_besides": sum(given) - len(upload),
                "times_faster_at_least": int(min(MOST, faster)),
            }
        )
    if not np.allclose(*pages, atol=1e-4):
        raise AssertionError("both ways must give the same labels")
    return pd.DataFrame(rows), seconds
