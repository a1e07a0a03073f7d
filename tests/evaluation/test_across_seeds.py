"""Differences between networks of several seeds: by hand, and the verdicts of their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from paperlib.evaluation.across_seeds import EQUAL, HELPS, HURTS, difference


def test_the_interval_by_hand():
    follow = np.array([[0.9, 0.7], [0.7, 0.5]])  # means 0.8, 0.6
    ignore = np.array([[0.6, 0.6], [0.4, 0.8]])  # means 0.6, 0.6
    found = difference(follow, ignore)
    # chips: (0.8 − 0.5, 0.6 − 0.7) = (0.3, −0.1), variance 0.08; seeds: 0.02 and 0
    parts = [0.02 / 2, 0.0, 0.08 / 2]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 + parts[2] ** 2)
    half = student.ppf(0.975, freedom) * sum(parts) ** 0.5
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))
    with pytest.raises(ValueError, match="two networks"):
        difference(follow[:1], ignore)


def test_verdicts_are_computed_from_the_interval():
    rng = np.random.default_rng(0)
    chips_ = rng.uniform(0, 1, 2000)
    sides = [chips_ + rng.normal(0, 0.002, (3, 1)) for _ in range(2)]
    assert difference(*sides).verdict == EQUAL
    assert difference(sides[0] + 0.1, sides[1]).verdict == HELPS
    assert difference(sides[0], sides[1] + 0.1).verdict == HURTS
    # three seeds that disagree wildly show nothing, however many chips there are
    wild = chips_ + np.array([[-0.3], [0.0], [0.6]])
    assert difference(wild, sides[1]).verdict == EQUAL


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        chip = rng.normal(0, 0.05, 200)  # how much more a chip gains by the rule
        follow = 0.02 + chip + rng.normal(0, 0.01, (3, 1)) + rng.normal(0, 0.05, (3, 200))
        ignore = rng.normal(0, 0.01, (3, 1)) + rng.normal(0, 0.05, (3, 200))
        found = difference(follow, ignore)
        hits += found.low <= 0.02 <= found.high
    assert 0.92 <= hits / 300 <= 1.0
