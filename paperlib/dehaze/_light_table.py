"""The table that the atmospheric light is read from: colours by their dark channel."""

from __future__ import annotations

import numpy as np

from . import equations


def merged(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two tables as one: counts added; of the brightest the brighter, or both where equal."""
    result = a.copy()
    result[:, 0] += b[:, 0]
    higher, equal = b[:, 1] > a[:, 1], b[:, 1] == a[:, 1]
    result[higher, 1:] = b[higher, 1:]
    result[equal, 2:] += b[equal, 2:]
    return result


def joined(rows: np.ndarray) -> np.ndarray:
    """All rows of a table as one `(6,)`: all pixels, and of the brightest those that share it."""
    brightest = rows[rows[:, 1] == rows[:, 1].max()]
    return np.concatenate([[rows[:, 0].sum(), brightest[0, 1]], brightest[:, 2:].sum(axis=0)])


def light_from(table: np.ndarray, needed: int, scale: float) -> np.ndarray:
    """The atmospheric light `(3,)` in 0…1 out of a table; `needed` candidates, ties kept."""
    seen = np.cumsum(table[::-1, 0])[::-1]  # pixels with this value or more
    low = np.flatnonzero(seen >= needed)[-1]
    brightest = joined(table[low:])
    return np.maximum(brightest[3:] / brightest[2] / scale, equations.LIGHT_FLOOR)
