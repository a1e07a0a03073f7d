"""What a loss does to one label: a world of one score, small enough to solve.

Chips positive for the label score N(d/2, 1), the others N(−d/2, 1); the "network" may only learn
p = sigmoid(a·score + b). Since p rises with the score, every loss ranks the chips alike. All it can
choose is how sure to be and, at a fixed threshold, where on the precision–recall curve to stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm

from .. import f2

if TYPE_CHECKING:
    import keras

Array = np.ndarray


@dataclass(frozen=True)
class Learnt:
    """The p = sigmoid(slope·score + offset) that minimises a loss, and where it stands at 0.5."""

    slope: float
    offset: float
    precision: float
    recall: float
    f2: float


def world(rate: float = 0.1, distance: float = 2.5, chips: int = 4000) -> tuple[Array, Array]:
    """Scores `(N,)` and labels `(N,)` at even quantiles of the two distributions: no chance in it.

    rate      fraction of chips with the label
    distance  between the two means, in standard deviations
    """
    with_it = round(rate * chips)
    parts = [
        norm.ppf((np.arange(n) + 0.5) / n, loc=mean)
        for n, mean in ((chips - with_it, -distance / 2), (with_it, distance / 2))
    ]
    return np.concatenate(parts), np.repeat([0, 1], [chips - with_it, with_it]).astype(np.uint8)


def learn(loss: keras.losses.Loss, score: Array, truth: Array) -> Learnt:
    """Minimise the loss over slope and offset, all chips in one batch.

    The slope is held at 20 or less: the soft F2 has no best finite slope.
    """

    def value(parameters: Array) -> float:
        p = expit(parameters[0] * score + parameters[1])
        column = (truth[:, None].astype(np.float32), p[:, None].astype(np.float32))
        return float(loss(*column))

    starts = [(1.0, 0.0), (3.0, -2.0)]
    options = {"xatol": 1e-3, "fatol": 1e-7, "maxiter": 400}
    best = min(
        (
            minimize(value, s, method="Nelder-Mead", bounds=[(0, 20), (-60, 60)], options=options)
            for s in starts
        ),
        key=lambda result: result.fun,
    )
    slope, offset = (float(v) for v in best.x)
    predicted = (slope * score + offset > 0)[:, None]
    precision, recall = f2.precision_recall(truth[:, None], predicted)
    found = f2.f2_score(truth[:, None], predicted, "labels")
    return Learnt(slope, offset, float(precision[0]), float(recall[0]), float(found[0]))


def learn_all(
    losses: Mapping[str, keras.losses.Loss], score: Array, truth: Array
) -> dict[str, Learnt]:
    return {name: learn(loss, score, truth) for name, loss in losses.items()}


def threshold_curve(y_true: Array, probability: Array, thresholds: Array) -> Array:
    """Binary F2 of each label at each of T common thresholds, `(T, L)`: for the picture."""
    return np.stack([f2.f2_score(y_true, probability > t, "labels") for t in thresholds])


def at_thresholds(
    y_true: Array, probability: Array, label: int, thresholds: Sequence[float], others: Array
) -> pd.DataFrame:
    """One label at several thresholds: its counts, precision, recall, and both F2s.

    y_true, probability  `(N, L)`
    label   column whose threshold moves
    others  `(L,)` thresholds of the other labels, which the mean over chips needs
    Columns: threshold, TP, FP, FN, precision, recall, label_f2 (binary F2 of the label) and
    mean_f2 (mean over chips of all labels).
    """
    rows = []
    truth = np.asarray(y_true, bool)
    for threshold in thresholds:
        cuts = np.array(others, float)
        cuts[label] = threshold
        given = probability > cuts
        mine, there = given[:, label], truth[:, label]
        hits, false, missed = (mine & there).sum(), (mine & ~there).sum(), (~mine & there).sum()
        rows.append(
            {
                "threshold": threshold,
                "TP": int(hits),
                "FP": int(false),
                "FN": int(missed),
                "precision": hits / max(1, hits + false),
                "recall": hits / max(1, hits + missed),
                "label_f2": float(f2.from_counts(hits, missed, false)),
                "mean_f2": f2.f2_score(truth, given),
            }
        )
    return pd.DataFrame(rows)


def threshold_band(
    y_true: Array, probability: Array, thresholds: Array, *, replicates: int = 2000, seed: int = 0
) -> tuple[Array, Array]:
    """Ends of the 95 % bootstrap interval over chips of `threshold_curve`: low, high, `(T, L)`.

    Point by point: chips are drawn as in `f2.bootstrap`, the thresholds stay.
    """
    ends = []
    for truth, p in zip(np.asarray(y_true, bool).T, probability.T, strict=True):
        given = p[:, None] > np.asarray(thresholds)
        columns = np.concatenate([given & truth[:, None], given, truth[:, None]], axis=1)
        columns = columns.astype(np.float32)
        draws = []
        for times in f2.drawn_counts(len(truth), replicates, seed):
            hits, predicted, true = np.split(
                times.astype(np.float32) @ columns, [given.shape[1], 2 * given.shape[1]], axis=1
            )
            draws.append(f2.from_counts(hits, true - hits, predicted - hits))
        ends.append(np.quantile(np.concatenate(draws), (0.025, 0.975), axis=0))
    low, high = np.stack(ends, axis=-1)
    return low, high
