"""Seconds for thresholds and intervals: `python tests/benchmarks/f2.py`. Needs no data."""

from __future__ import annotations

import numpy as np
from measure import fastest
from sklearn.metrics import fbeta_score

from paperlib import f2


def grid_search(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """What public solutions do: 100 thresholds a label, scikit-learn each time."""
    thresholds = np.full(truth.shape[1], 0.2)
    for label in range(truth.shape[1]):
        scores = []
        for value in np.arange(100) / 100:
            thresholds[label] = value
            predicted = probability > thresholds
            scores.append(fbeta_score(truth, predicted, beta=2, average="samples"))
        thresholds[label] = np.argmax(scores) / 100
    return thresholds


def main() -> None:
    rng = np.random.default_rng(0)
    rate = rng.uniform(0.01, 0.9, 17)
    truth = (rng.random((40_000, 17)) < rate).astype(np.uint8)
    logit = np.log(rate / (1 - rate)) + 1.5 * (truth - 0.5) + rng.normal(size=truth.shape)
    probability = 1 / (1 + np.exp(-logit))

    ours = fastest(lambda: f2.best_thresholds(truth, probability))
    print(f"thresholds, 40,000 × 17: {ours:.3f} s (goal: under 1 s)")
    few = slice(0, 2000)
    theirs = fastest(lambda: grid_search(truth[few], probability[few]), times=1)
    ours_few = fastest(lambda: f2.best_thresholds(truth[few], probability[few]))
    print(f"  2,000 chips: {theirs / ours_few:.0f} times as fast as the usual grid search, F2")
    for name, search in (("grid search", grid_search), ("exact ascent", f2.best_thresholds)):
        predicted = probability[few] > search(truth[few], probability[few])
        print(f"    {name:12s} {f2.f2_score(truth[few], predicted):.6f}")
    predicted = probability > 0.2
    for average in ("samples", "labels"):
        seconds = fastest(lambda a=average: f2.bootstrap(truth, predicted, a), times=2)
        print(f"bootstrap of 2,000 draws, {average}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
