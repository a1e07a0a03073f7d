"""The fast path (for now: the reference in threads)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np

from ._dehaze_check import Parameters


def one(image: np.ndarray, valid: np.ndarray | None, p: Parameters, threads: int) -> np.ndarray:
    from .dehaze import dehaze_reference

    return dehaze_reference(image, mask=valid, **asdict(p))


def many(images: np.ndarray, p: Parameters, threads: int) -> np.ndarray:
    result = np.empty_like(images)

    def work(index: int) -> None:
        result[index] = one(images[index], None, p, 1)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(len(images))))
    return result
