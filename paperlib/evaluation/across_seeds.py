"""Several networks of one kind against several of another, on the same chips.

The interval of a difference holds the luck of the training and that of the chips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from .. import f2
from ..training.runs import Run
from .candidates import gather

Array = np.ndarray
HELPS, HURTS, EQUAL = "helps", "hurts", "undecided"


class Difference(NamedTuple):
    """A difference of two means with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """The rule helps (hurts) where the whole interval is above (below) 0."""
        if self.low > 0:
            return HELPS
        return HURTS if self.high < 0 else EQUAL


def difference(these: Array, others: Array) -> Difference:
    """Mean score of some networks minus that of others, on the same chips.

    these, others  `(S, N)` score of each chip by each of S networks; 2 or more on each side

    With a, b the two sides' scores: se² = var_s(ā_s)/S_a + var_s(b̄_s)/S_b + var_i(ā_i − b̄_i)/N,
    over seeds s and chips i. The interval is Student's t with Welch & Satterthwaite's degrees of
    freedom (Welch 1947): with three seeds it is wide. `ValueError` for one network on a side.
    """
    if min(len(these), len(others)) < 2:
        raise ValueError("these, others: two networks or more on each side")
    chips = these.mean(0) - others.mean(0)
    parts = [(side.mean(1).var(ddof=1) / len(side), len(side) - 1) for side in (these, others)]
    parts.append((chips.var(ddof=1) / len(chips), len(chips) - 1))
    variance = sum(part for part, _ in parts)
    value = float(chips.mean())
    if variance == 0:
        return Difference(value, value, value)
    freedom = variance**2 / sum(part**2 / left for part, left in parts)
    half = float(student.ppf(0.975, freedom) * variance**0.5)
    return Difference(value, value - half, value + half)


def chip_scores(runs: Sequence[Run]) -> Array:
    """`(S, N)`: F2 of each validation chip by each of S runs, thresholds nested, in name order."""
    rows = []
    for run in runs:
        outcome = gather([run]).nested()
        score = f2.chip_f2(outcome.truth, outcome.prediction)
        rows.append(score[np.argsort(outcome.names, kind="stable")])
    return np.stack(rows)
