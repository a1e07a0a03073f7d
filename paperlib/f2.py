"""F2, the score of the competition: by chip and by label, thresholds, intervals.

    F2 = (1 + 4) · precision · recall / (4 · precision + recall) = 5·TP / (5·TP + 4·FN + FP)

β = 2: a missed label weighs four times (β²) as much as a false alarm. Two averages are in use and
are never mixed: `"samples"` is the competition's (F2 of each chip, then the mean over chips),
`"labels"` is the binary F2 of each label over all chips.

A label is predicted where its probability is *above* the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

#: β² of F2: what a miss costs, in false alarms.
BETA_SQUARED = 4

Array = np.ndarray


class Interval(NamedTuple):
    """An estimate with the ends of its confidence interval; floats, or one array each."""

    value: float | Array
    low: float | Array
    high: float | Array

    def __str__(self) -> str:
        if np.ndim(self.value):
            return "; ".join(str(Interval(*row)) for row in zip(*self, strict=True))
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"

    def holds(self, number: float) -> bool | Array:
        """Whether `number` lies within the interval."""
        return (self.low <= number) & (number <= self.high)


def f2_score(
    y_true: Array, y_pred: Array, average: Literal["samples", "labels"] = "samples"
) -> float | Array:
    """F2 of predicted labels.

    A chip (or label) with nothing true and nothing predicted counts 0, as scikit-learn's
    `zero_division=0`.

    Parameters
    ----------
    y_true : `(N, L)` of 0 and 1
    y_pred : `(N, L)` of 0 and 1
    average
        `"samples"`: mean over chips, a float; `"labels"`: one binary F2 per label, `(L,)`

    Raises
    ------
    ValueError
        for other shapes, values or averages.

    References
    ----------
    Paper, section 1.3; the competition's evaluation page.
    """
    if average == "samples":
        return float(chip_f2(y_true, y_pred).mean())
    if average != "labels":
        raise ValueError(f'average: "samples" or "labels", not {average!r}')
    y_true, y_pred = _pair(y_true, y_pred)
    return _f2((y_true & y_pred).sum(0), y_true.sum(0), y_pred.sum(0))


def chip_f2(y_true: Array, y_pred: Array) -> Array:
    """F2 of each chip, `(N,)`: what the mean over chips is the mean of."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _f2((y_true & y_pred).sum(1), y_true.sum(1), y_pred.sum(1))


def from_counts(hits: Array, misses: Array, false_alarms: Array) -> Array:
    """F2 from TP, FN and FP, of any shapes that go together; 0 where all three are 0."""
    hits, misses, false_alarms = (np.asarray(a, np.float64) for a in (hits, misses, false_alarms))
    return _f2(hits, hits + misses, hits + false_alarms)


def precision_recall(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Precision and recall of each label, `(L,)` each; 0 where nothing is predicted (or true)."""
    y_true, y_pred = _pair(y_true, y_pred)
    hits = (y_true & y_pred).sum(0)
    return _ratio(hits, y_pred.sum(0)), _ratio(hits, y_true.sum(0))


def best_constant(y_true: Array) -> tuple[Array, float]:
    """The one set of labels that scores best when it is given to every chip.

    Exact: among sets of k labels a chip with t true labels scores the sum over the set of
    5·y/(4t + k), so the mean is a sum over labels and the k labels with the largest terms win;
    the best of the L sizes is the best of all 2^L sets.

    Parameters
    ----------
    y_true : `(N, L)` of 0 and 1

    Returns
    -------
    the set, `(L,)` uint8, and its mean-over-chips F2.
    """
    y_true = _binary(y_true, "y_true")
    n, count = y_true.shape
    size = y_true.sum(1)
    best, best_set = -1.0, np.zeros(count, np.uint8)
    for k in range(1, count + 1):
        share = ((1 + BETA_SQUARED) / (BETA_SQUARED * size + k)) @ y_true / n
        chosen = np.argsort(-share, kind="stable")[:k]
        if (score := float(share[chosen].sum())) > best + 1e-12:
            best, best_set = score, np.zeros(count, np.uint8)
            best_set[chosen] = 1
    return best_set, best


# --- thresholds -----------------------------------------------------------------------------------


def label_thresholds(y_true: Array, probability: Array) -> Array:
    """The threshold of each label that gives its highest binary F2, exact.

    Sorted by probability, the F2 of all N + 1 cuts is a cumulative sum: O(N log N) per label.

    Parameters
    ----------
    y_true : `(N, L)` of 0 and 1
    probability : `(N, L)`

    Returns
    -------
    `(L,)` float64, each midway between two neighbouring probabilities. Of several equally good cuts
    the one that predicts the label for the fewest chips is taken; a label for which no chip is
    positive gets a threshold above every probability.
    """
    y_true, probability = _chips(y_true, probability)
    pairs = zip(y_true.T, probability.T, strict=True)
    return np.array([_label_threshold(truth, _cuts(p)) for truth, p in pairs])


def best_thresholds(y_true: Array, probability: Array, *, sweeps: int = 50) -> Array:
    """Thresholds for the highest mean-over-chips F2, by coordinate ascent.

    With the other labels fixed, giving label l to chip i changes that chip's F2 by a known
    amount, so the score of all cuts of label l is a cumulative sum in order of probability and
    each line search is exact. The score never falls; where no single threshold can raise it the
    ascent ends. The same chips in another order give the same thresholds.

    Parameters
    ----------
    y_true : `(N, L)` of 0 and 1
    probability : `(N, L)`
    sweeps
        the most rounds over the labels; it stops before when a round changes nothing

    Returns
    -------
    `(L,)` float64, midway between neighbouring probabilities as in `label_thresholds`, from which
    the ascent starts.
    """
    y_true, probability = _chips(y_true, probability)
    cuts = [_cuts(p) for p in probability.T]
    thresholds = np.array([_label_threshold(t, c) for t, c in zip(y_true.T, cuts, strict=True)])
    truth = np.ascontiguousarray(y_true.T).astype(np.int32)
    on = np.ascontiguousarray((probability > thresholds).T).astype(np.int32)
    hits, predicted, weight = (truth & on).sum(0), on.sum(0), BETA_SQUARED * truth.sum(0)
    for _ in range(sweeps):
        changed = False
        for label, (order, neighbours, allowed) in enumerate(cuts):
            others_hit = hits - (truth[label] & on[label])
            others_on = predicted - on[label]
            without = _ratio((1 + BETA_SQUARED) * others_hit, weight + others_on)
            with_it = (1 + BETA_SQUARED) * (others_hit + truth[label]) / (weight + others_on + 1)
            gain = np.concatenate([[0.0], np.cumsum((with_it - without)[order])])
            # Rounded, so that the last bits of a sum do not decide between equally good cuts.
            gain = np.where(allowed, gain.round(9), -np.inf)
            cut, now = int(gain.argmax()), int(on[label].sum())
            if gain[cut] <= gain[now]:
                continue
            changed = True
            thresholds[label] = _midway(neighbours, cut)
            on[label, order[:cut]], on[label, order[cut:]] = 1, 0
            hits, predicted = others_hit + (truth[label] & on[label]), others_on + on[label]
        if not changed:
            break
    return thresholds


def _cuts(p: Array) -> tuple[Array, Array, Array]:
    """Chips by falling probability; the N + 2 sorted neighbours of the cuts; which cuts can be.

    Cut k predicts the first k chips; between two equal probabilities there is no cut. The outer
    neighbours are 1 and 0, and beyond them where a probability is already 1 or 0.
    """
    order = np.argsort(-p, kind="stable")
    ranked = p[order]
    above = 1.0 if ranked[0] < 1 else ranked[0] + 1.0
    below = 0.0 if ranked[-1] > 0 else ranked[-1] - 1.0
    neighbours = np.concatenate([[above], ranked, [below]])
    return order, neighbours, neighbours[:-1] > neighbours[1:]


def _label_threshold(truth: Array, cuts: tuple[Array, Array, Array]) -> float:
    order, neighbours, allowed = cuts
    hits = np.concatenate([[0], np.cumsum(truth[order])])
    score = np.where(allowed, _f2(hits, truth.sum(), np.arange(len(hits))), -1.0)
    return _midway(neighbours, int(score.argmax()))


def _midway(neighbours: Array, cut: int) -> float:
    above, below = neighbours[cut], neighbours[cut + 1]
    middle = below + (above - below) / 2
    # Between two adjacent floats the middle rounds to one of them; "above" would lose its chip.
    return float(middle if middle < above else below)


# --- intervals ------------------------------------------------------------------------------------


def bootstrap(
    y_true: Array,
    y_pred: Array,
    average: Literal["samples", "labels"] = "samples",
    *,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """F2 with its bootstrap percentile interval over chips.

    Parameters
    ----------
    replicates
        how many times the N chips are drawn again with replacement
    level
        coverage of the interval

    Returns
    -------
    an `Interval` of floats, or of `(L,)` arrays for `average="labels"`.
    """
    value = f2_score(y_true, y_pred, average)
    if average == "samples":
        draws = mean_draws(chip_f2(y_true, y_pred), replicates, seed)
    else:
        draws = label_draws(y_true, y_pred, replicates, seed)
    return percentile_interval(value, draws, level)


def paired_bootstrap(
    y_true: Array,
    pred_a: Array,
    pred_b: Array,
    average: Literal["samples", "labels"] = "samples",
    *,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """F2 of `pred_b` minus F2 of `pred_a`, with its interval; both on the same drawn chips."""
    value = f2_score(y_true, pred_b, average) - f2_score(y_true, pred_a, average)
    if average == "samples":
        draws = mean_draws(chip_f2(y_true, pred_b) - chip_f2(y_true, pred_a), replicates, seed)
    else:
        draws = label_draws(y_true, pred_b, replicates, seed)
        draws = draws - label_draws(y_true, pred_a, replicates, seed)
    return percentile_interval(value, draws, level)


def mean_interval(
    values: Array, *, replicates: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean over chips of `values` `(N,)` with its bootstrap percentile interval over chips."""
    return percentile_interval(float(np.mean(values)), mean_draws(values, replicates, seed), level)


def bootstrap_precision_recall(
    y_true: Array, y_pred: Array, *, replicates: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[Interval, Interval]:
    """Precision and recall of each label with their intervals over chips, arrays of `(L,)`.

    NaN where there is no such fraction: the precision of a label that no chip is given, the recall
    of one for which no chip is positive. Draws in which that happens are left out.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    columns = np.concatenate([y_true & y_pred, y_pred, y_true], axis=1).astype(np.float32)
    drawn = drawn_counts(len(columns), replicates, seed)
    sums = np.concatenate([columns.sum(0)[None], *(t.astype(np.float32) @ columns for t in drawn)])
    hits, predicted, true = np.split(sums, 3, axis=1)
    found = []
    for below in (predicted, true):
        with np.errstate(invalid="ignore"):
            share = hits / below
        ends = np.full((2, share.shape[1]), np.nan)
        known = ~np.isnan(share[0])
        ends[:, known] = np.nanquantile(
            share[1:, known], [(1 - level) / 2, (1 + level) / 2], axis=0
        )
        found.append(Interval(share[0].astype(float), *ends))
    return found[0], found[1]


def percentile_interval(value: float | Array, draws: Array, level: float = 0.95) -> Interval:
    """Percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    `draws` `(B,)` or `(B, L)` are the estimates of the replicates of `value`, a float or `(L,)`.
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    if draws.ndim == 1:
        return Interval(float(value), float(low), float(high))
    return Interval(value, low, high)


def drawn_counts(n: int, replicates: int, seed: int) -> Iterable[Array]:
    """How often each of N chips is drawn, blocks `(b, n)`: so that memory does not grow with N."""
    if n < 1 or replicates < 1:
        raise ValueError(f"replicates: 1 or more of 1 or more chips, not {replicates} of {n}")
    most = 20_000_000  # numbers kept, of two bytes each: a table asks for the same draws often
    return (_kept_counts if n * replicates <= most else _draw)(n, replicates, seed)


def _draw(n: int, replicates: int, seed: int) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    block = max(1, 2_000_000 // n)
    for start in range(0, replicates, block):
        drawn = rng.integers(0, n, (min(block, replicates - start), n), dtype=np.int32)
        yield np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.uint16)


@lru_cache(maxsize=2)
def _kept_counts(n: int, replicates: int, seed: int) -> tuple[Array, ...]:
    return tuple(_draw(n, replicates, seed))


def mean_draws(values: Array, replicates: int, seed: int) -> Array:
    """Bootstrap draws, `(R,)`, of the mean over chips of `values` `(N,)`."""
    n = len(values)
    return np.concatenate([t.astype(float) @ values / n for t in drawn_counts(n, replicates, seed)])


def label_draws(y_true: Array, y_pred: Array, replicates: int, seed: int) -> Array:
    """Bootstrap draws over chips, `(R, L)`, of each label's binary F2; equal seeds are paired.

    `ValueError` unless both are `(N, L)` of 0 and 1.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    n, count = y_true.shape
    # Per-label F2 needs three sums over the drawn chips; how often each chip was drawn gives them.
    columns = np.concatenate([y_true & y_pred, y_true, y_pred], axis=1).astype(np.float32)
    draws = []
    for times in drawn_counts(n, replicates, seed):
        sums = times.astype(np.float32) @ columns
        draws.append(_f2(sums[:, :count], sums[:, count : 2 * count], sums[:, 2 * count :]))
    return np.concatenate(draws)


# --- shared ---------------------------------------------------------------------------------------


def _f2(hits: Array, true: Array, predicted: Array) -> Array:
    """5·TP/(4·(TP + FN) + (TP + FP)), 0 where all three are 0."""
    return _ratio((1 + BETA_SQUARED) * hits, BETA_SQUARED * true + predicted)


def _ratio(above: Array, below: Array) -> Array:
    out = np.zeros(np.broadcast_shapes(np.shape(above), np.shape(below)))
    return np.divide(above, below, out=out, where=np.asarray(below) != 0)


def _binary(values: Array, name: str, like: Array | None = None) -> Array:
    """`values` as booleans; `ValueError` unless it is a non-empty `(N, L)` of 0 and 1."""
    values = np.asarray(values)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{name}: expected a non-empty (N, L) array, got shape {values.shape}")
    if like is not None and values.shape != like.shape:
        raise ValueError(f"{name}: expected shape {like.shape} as y_true, got {values.shape}")
    on = values.astype(bool)
    if values.dtype != bool and not (values == on).all():
        raise ValueError(f"{name}: expected only 0 and 1 (probabilities need a threshold first)")
    return on


def _pair(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    y_true = _binary(y_true, "y_true")
    return y_true, _binary(y_pred, "y_pred", like=y_true)


def _chips(y_true: Array, probability: Array) -> tuple[Array, Array]:
    y_true = _binary(y_true, "y_true")
    probability = np.asarray(probability, np.float64)
    if probability.shape != y_true.shape:
        raise ValueError(f"probability: expected shape {y_true.shape}, got {probability.shape}")
    if not np.isfinite(probability).all():
        raise ValueError("probability: holds NaN or infinite values")
    return y_true, probability
