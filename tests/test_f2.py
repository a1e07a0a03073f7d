"""F2 against hand-computed cases, scikit-learn, and exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import fbeta_score

from paperlib import f2
from paperlib.teaching import f2_score

quick = settings(deadline=None, max_examples=60, derandomize=True)

# 4 chips, 3 labels; chip F2 by hand: 1 (all right), 5/(4·2+1) (one of two found),
# 5/(4·1+2) (one false alarm), 0 (nothing true, nothing said).
TRUE = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 0]])
PRED = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]])


def random_chips(n: int, labels: int, seed: int = 0, sharpness: float = 1.5):
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.02, 0.9, labels)
    truth = (rng.random((n, labels)) < rate).astype(np.uint8)
    logit = np.log(rate / (1 - rate)) + sharpness * (truth - 0.5) + rng.normal(size=(n, labels))
    return truth, 1 / (1 + np.exp(-logit))


def cases(labels: int = 3, chips: int = 8):
    """Truth and coarse probabilities, so that ties are common."""
    shape = st.tuples(st.integers(1, chips), st.integers(1, labels))
    return shape.flatmap(
        lambda s: st.tuples(
            hnp.arrays(np.uint8, s, elements=st.integers(0, 1)),
            hnp.arrays(np.float64, s, elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.75, 1])),
        )
    )


def test_by_hand():
    np.testing.assert_allclose(f2.chip_f2(TRUE, PRED), [1, 5 / 9, 5 / 6, 0])
    assert f2.f2_score(TRUE, PRED) == pytest.approx((1 + 5 / 9 + 5 / 6) / 4)
    # label 0: 2 hits, 1 false alarm; label 1: perfect; label 2: one miss, nothing said.
    np.testing.assert_allclose(f2.f2_score(TRUE, PRED, "labels"), [10 / 11, 1, 0])
    precision, recall = f2.precision_recall(TRUE, PRED)
    np.testing.assert_allclose(precision, [2 / 3, 1, 0])
    np.testing.assert_allclose(recall, [1, 1, 0])


def test_a_miss_costs_four_false_alarms():
    """With one hit, a miss and four false alarms give the same F2: β² = 4, not β = 2."""
    miss = f2.f2_score([[1, 1, 0, 0, 0, 0]], [[1, 0, 0, 0, 0, 0]])
    four = f2.f2_score([[1, 0, 0, 0, 0, 0]], [[1, 1, 1, 1, 1, 0]])
    two = f2.f2_score([[1, 0, 0, 0, 0, 0]], [[1, 1, 1, 0, 0, 0]])
    assert miss == four == 5 / 9
    assert two > miss


@pytest.mark.parametrize("seed", range(20))
def test_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random((2, rng.integers(1, 30), rng.integers(2, 9))) < 0.25
    wanted = fbeta_score(truth, predicted, beta=2, average="samples", zero_division=0)
    assert f2.f2_score(truth, predicted) == pytest.approx(wanted)
    wanted = fbeta_score(truth, predicted, beta=2, average=None, zero_division=0)
    np.testing.assert_allclose(f2.f2_score(truth, predicted, "labels"), wanted)


@quick
@given(cases(labels=2))
def test_label_thresholds_are_exact(case):
    truth, probability = case
    found = f2.f2_score(truth, probability > f2.label_thresholds(truth, probability), "labels")
    every = np.stack([f2.f2_score(truth, probability > t, "labels") for t in _every_cut()])
    np.testing.assert_allclose(found, every.max(0))


@quick
@given(cases())
def test_coordinate_ascent_ends_where_no_single_threshold_helps(case):
    truth, probability = case
    thresholds = f2.best_thresholds(truth, probability)
    best = f2.f2_score(truth, probability > thresholds)
    start = f2.f2_score(truth, probability > f2.label_thresholds(truth, probability))
    assert best >= start - 1e-12
    for label, other in itertools.product(range(truth.shape[1]), _every_cut()):
        moved = thresholds.copy()
        moved[label] = other
        assert f2.f2_score(truth, probability > moved) <= best + 1e-8


@quick
@given(cases(chips=10), st.randoms(use_true_random=False))
def test_thresholds_do_not_depend_on_the_order_of_chips(case, random):
    truth, probability = case
    order = list(range(len(truth)))
    random.shuffle(order)
    for search in (f2.label_thresholds, f2.best_thresholds):
        np.testing.assert_array_equal(
            search(truth, probability), search(truth[order], probability[order])
        )


def _every_cut() -> list[float]:
    return [-1, 0.05, 0.2, 0.3, 0.6, 0.9, 2]


def test_thresholds_lie_midway_between_neighbours():
    truth = np.array([[1], [1], [0], [0]])
    probability = np.array([[0.9], [0.5], [0.1], [0.1]])
    np.testing.assert_allclose(f2.label_thresholds(truth, probability), [0.3])
    np.testing.assert_allclose(f2.best_thresholds(truth, probability), [0.3])


def test_thresholds_of_a_label_that_all_or_no_chip_carries():
    probability = np.array([[0.2, 0.2], [1.0, 0.0]])
    never, always = f2.label_thresholds(np.array([[0, 1], [0, 1]]), probability)
    assert never > 1
    assert always < 0
    adjacent = np.array([[0.5], [np.nextafter(0.5, 0)]])
    cut = f2.label_thresholds(np.array([[1], [0]]), adjacent)
    np.testing.assert_array_equal(adjacent > cut, [[True], [False]])


@quick
@given(cases(labels=5))
def test_best_constant_is_the_best_of_all_sets(case):
    truth, _ = case
    constant, score = f2.best_constant(truth)
    sets = itertools.product([0, 1], repeat=truth.shape[1])
    every = [f2.f2_score(truth, np.tile(np.array(s), (len(truth), 1))) for s in sets]
    assert score == pytest.approx(max(every))
    assert f2.f2_score(truth, np.tile(constant, (len(truth), 1))) == pytest.approx(score)


def test_bootstrap_matches_the_standard_error():
    truth, p = random_chips(3000, 6)
    predicted = p > 0.3
    interval = f2.bootstrap(truth, predicted)
    error = f2.chip_f2(truth, predicted).std() / np.sqrt(len(truth))
    assert interval.value == f2.f2_score(truth, predicted)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert interval == f2.bootstrap(truth, predicted)
    assert interval.holds(interval.value)
    assert str(interval).count(".") == 3


def test_bootstrap_by_label_matches_drawing_chips_again():
    truth, p = random_chips(400, 3)
    predicted = p > 0.3
    interval = f2.bootstrap(truth, predicted, "labels", replicates=600, seed=3)
    rng = np.random.default_rng(9)
    draws = [rng.integers(0, 400, 400) for _ in range(600)]
    scores = np.stack([f2.f2_score(truth[d], predicted[d], "labels") for d in draws])
    np.testing.assert_allclose(interval.low, np.quantile(scores, 0.025, axis=0), atol=0.02)
    np.testing.assert_allclose(interval.high, np.quantile(scores, 0.975, axis=0), atol=0.02)
    np.testing.assert_allclose(interval.value, f2.f2_score(truth, predicted, "labels"))


def test_pairing_takes_out_what_both_predictions_share():
    truth, p = random_chips(2000, 6)
    a, b = p > 0.3, p > 0.31
    for average in ("samples", "labels"):
        difference = f2.paired_bootstrap(truth, a, b, average)
        alone = f2.bootstrap(truth, a, average)
        width = np.mean(difference.high) - np.mean(difference.low)
        assert width < 0.5 * (np.mean(alone.high) - np.mean(alone.low))
        same = f2.paired_bootstrap(truth, a, a, average)
        assert np.all(np.asarray(same) == 0)
        np.testing.assert_allclose(
            difference.value, f2.f2_score(truth, b, average) - f2.f2_score(truth, a, average)
        )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: f2.f2_score(TRUE, PRED[:3]), "y_pred: expected shape"),
        (lambda: f2.f2_score(TRUE, PRED * 0.4), "only 0 and 1"),
        (lambda: f2.f2_score(TRUE[:0], PRED[:0]), "non-empty"),
        (lambda: f2.f2_score(TRUE, PRED, "macro"), "average"),
        (lambda: f2.best_thresholds(TRUE, PRED * np.nan), "NaN"),
        (lambda: f2.best_thresholds(TRUE, PRED[:, :2]), "probability: expected shape"),
    ],
)
def test_bad_arguments_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        bad()


def test_the_band_of_a_curve_is_the_bootstrap_at_each_threshold():
    rng = np.random.default_rng(0)
    truth = (rng.random((80, 2)) < 0.3).astype(np.uint8)
    p = rng.random((80, 2))
    grid = np.array([0.0, 0.3, 0.9, 1.0])
    low, high = f2_score.threshold_band(truth, p, grid, replicates=200)
    for at, threshold in enumerate(grid):
        wanted = f2.bootstrap(truth, p > threshold, "labels", replicates=200)
        np.testing.assert_allclose(low[at], wanted.low, rtol=1e-6)
        np.testing.assert_allclose(high[at], wanted.high, rtol=1e-6)
    assert (high[-1] == 0).all()
