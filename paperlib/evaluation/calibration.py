"""What the probabilities themselves say, before any threshold: ranks, reliability, correlation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import f2

Array = np.ndarray
#: Chips below which a bin of `reliability` gets no interval: drawing them again says too little.
FEW = 10


def macro_average_precision(truth: Array, probability: Array, fold: Array | None = None) -> float:
    """Mean over labels of the average precision, which needs no threshold.

    truth, probability  `(N, L)`
    fold                `(N,)`: which of several fitted systems each chip's probabilities are from

    Chips are ranked only among those of their own fold: systems that were fitted on different
    chips need not mean the same by one probability. Of the folds in which a label is found, the
    mean weighted by the chips positive for it: so each such chip counts once, as it does in average
    precision itself. Labels for which no chip is positive are left out.
    """
    fold = np.zeros(len(truth), int) if fold is None else fold
    total = np.zeros(truth.shape[1])
    for k in np.unique(fold):
        here = fold == k
        total += np.array(
            [
                _summed_precision(y, p)
                for y, p in zip(truth[here].T, probability[here].T, strict=True)
            ]
        )
    count = truth.sum(0)
    return float((total[count > 0] / count[count > 0]).mean())


def _summed_precision(truth: Array, p: Array) -> float:
    """Average precision × chips positive for the label; equal probabilities stand on one rank."""
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(truth[order], dtype=np.int64)
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    return float((np.diff(hits[last], prepend=0) * (hits[last] / (last + 1))).sum())


def reliability(
    truth: Array, probability: Array, bins: int = 10, *, replicates: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """How often a label is there when it is given probability p: all labels together.

    truth, probability  `(N, L)`
    Returns a row per bin of equal width that holds any: `probability` (mean given), `frequency`
    (the positive fraction), `difference` (frequency minus probability) with its 95 % interval
    `low`, `high`, and `count`. The interval is a bootstrap over chips, since the labels of one chip
    are not independent of each other; it is NaN where fewer than `FEW` chips are in the bin.
    """
    sums, (count, hits, given) = _binned(truth, probability, bins, replicates, seed)
    used = count[0] > 0
    with np.errstate(invalid="ignore"):
        gap = (hits - given)[:, used] / count[:, used]
    low, high = np.nanquantile(gap[1:], (0.025, 0.975), axis=0)
    few = (sums[:, :bins] > 0).sum(0)[used] < FEW
    n = count[0, used]
    return pd.DataFrame(
        {
            "probability": given[0, used] / n,
            "frequency": hits[0, used] / n,
            "difference": gap[0],
            "low": np.where(few, np.nan, low),
            "high": np.where(few, np.nan, high),
            "count": n.astype(int),
        }
    )


def _binned(
    truth: Array, probability: Array, bins: int, replicates: int, seed: int
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Each chip's sums `(N, 3·bins)`, and those of all and of each draw of chips, by bin.

    The sums are of predictions, of labels that are there, and of probabilities, each
    `(1 + replicates, bins)` with the chips as they are first.
    """
    chips, labels = truth.shape
    p, y = np.asarray(probability, float).ravel(), truth.ravel().astype(float)
    place = np.minimum((p * bins).astype(int), bins - 1)
    cell = np.repeat(np.arange(chips), labels) * bins + place
    sums = np.concatenate(
        [np.bincount(cell, w, chips * bins).reshape(chips, bins) for w in (np.ones_like(p), y, p)],
        axis=1,
    )
    drawn = [t.astype(float) @ sums for t in f2.drawn_counts(chips, replicates, seed)]
    count, hits, given = np.split(np.concatenate([sums.sum(0)[None], *drawn]), 3, axis=1)
    return sums, (count, hits, given)


def error_interval(
    truth: Array, probability: Array, bins: int = 10, *, replicates: int = 2000, seed: int = 0
) -> f2.Interval:
    """Mean distance of probability and frequency over all predictions (ECE; Guo et al. 2017), with
    its 95 % interval: the basic bootstrap over chips.

    truth, probability  `(N, L)`

    Chance alone moves a bin away from its diagonal, so drawn chips have a larger error than the
    chips themselves; the basic interval, twice the value minus the draws' quantiles, takes that
    off again where their percentiles would add it (Davison & Hinkley 1997, section 5.2).
    """
    _, (count, hits, given) = _binned(truth, probability, bins, replicates, seed)
    error = np.abs(given - hits).sum(1) / count.sum(1)
    low, high = 2 * error[0] - np.quantile(error[1:], (0.975, 0.025))
    return f2.Interval(float(error[0]), max(float(low), 0.0), float(high))


def correlation(values: Array, like: Array | None = None) -> Array:
    """Correlation between the columns of `(N, L)`: `(L, L)`, NaN for a column that is constant.

    like  `(N, L)` labels: a column that varies less than a tenth of its label's standard deviation
          counts as constant too. What is left in it is noise of the fit, and two such columns
          correlate by what was fitted, not by what the chips show.
    """
    values = np.asarray(values, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.corrcoef(values, rowvar=False)
    if like is not None:
        still = values.std(0) < 0.1 * np.asarray(like, float).std(0)
        found[still], found[:, still] = np.nan, np.nan
    return found
