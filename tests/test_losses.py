"""Losses: against hand-computed values, numerical gradients and exact F2.

That other backends give the same values is tested in test_backends.py.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperlib import f2, losses

EVERY = {
    "log": losses.LogLoss(),
    "f2": losses.F2Loss(),
    "f2-chip": losses.F2Loss(per="chip"),
    "hard": losses.HardExampleLoss(),
    "hard-chip": losses.HardExampleLoss(per="chip"),
    "hard-label": losses.HardExampleLoss(per="label"),
}


def value(loss, y, p) -> float:
    return float(keras.ops.convert_to_numpy(loss(np.asarray(y, "float32"), p)))


def case(seed: int, chips: int = 9, labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random((chips, labels)) < 0.3).astype("float32")
    y[:, 0] = 0  # a label that the batch does not hold
    return y, rng.uniform(0.02, 0.98, (chips, labels)).astype("float32")


def test_log_loss_by_hand():
    y, p = [[1, 0], [0, 1]], np.array([[0.5, 0.25], [0.2, 1.0]], "float32")
    expected = -(np.log(0.5) + np.log(0.75) + np.log(0.8) + np.log(1 - 1e-7)) / 4
    assert value(losses.LogLoss(), y, p) == pytest.approx(expected, abs=1e-6)


def test_f2_loss_by_hand():
    y, p = [[1, 0], [1, 1]], np.array([[0.5, 0.5], [1.0, 0.25]], "float32")
    # label 0: 5·1.5/(1.5 + 8), label 1: 5·0.25/(0.75 + 4); chip 0: 5·0.5/(1 + 4), chip 1: 6.25/9.25
    per_label = 1 - (7.5 / 9.5 + 1.25 / 4.75) / 2
    per_chip = 1 - (2.5 / 5 + 6.25 / 9.25) / 2
    assert value(losses.F2Loss(), y, p) == pytest.approx(per_label, abs=1e-6)
    assert value(losses.F2Loss(per="chip"), y, p) == pytest.approx(per_chip, abs=1e-6)


def test_hard_example_loss_by_hand():
    y = np.zeros((2, 4), "float32")
    p = 1 - np.exp(-np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]], "float32"))
    for keep, per, expected in [
        (0.25, "batch", 0.75),  # the two largest of eight
        (0.3, "batch", 0.7),  # ⌈2.4⌉ = 3
        (1.0, "batch", 0.45),
        (0.25, "chip", 0.6),  # the largest of each chip: 0.4 and 0.8
        (0.5, "label", 0.65),  # the larger of each label: the second chip's
    ]:
        assert value(losses.HardExampleLoss(keep, per=per), y, p) == pytest.approx(
            expected, abs=1e-6
        )


@pytest.mark.parametrize("count", [10, 100, 1000, 2176])
@pytest.mark.parametrize("keep", [0.1, 0.2, 0.25, 0.7])
def test_hard_examples_are_counted_exactly(count, keep):
    """⌈0.1·10⌉ is 1, not the 2 that a float32 product gives."""
    losing = np.arange(1, count + 1, dtype="float64") / count
    kept = -(-round(keep * 10_000) * count // 10_000)
    p = (1 - np.exp(-losing)).astype("float32")[:, None]
    got = value(losses.HardExampleLoss(keep), np.zeros_like(p), p)
    assert got == pytest.approx(losing[-kept:].mean(), rel=1e-5)
    hardest = value(losses.HardExampleLoss(1e-6), np.zeros_like(p), p)  # never none at all
    assert hardest == pytest.approx(losing[-1], rel=1e-5)


@given(seed=st.integers(0, 10_000), density=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_f2_loss_is_the_exact_f2_for_hard_predictions(seed, density):
    rng = np.random.default_rng(seed)
    y = (rng.random((8, 6)) < density).astype(np.uint8)
    p = (rng.random((8, 6)) < 0.5).astype(np.uint8)
    for per, average in (("label", "labels"), ("chip", "samples")):
        axis = 0 if per == "label" else 1
        empty = (y.sum(axis) + p.sum(axis)) == 0
        if average == "labels":
            exact = np.where(empty, 1.0, f2.f2_score(y, p, average="labels"))
        else:
            exact = np.where(empty, 1.0, f2.chip_f2(y, p))
        got = value(losses.F2Loss(per=per), y, p.astype("float32"))
        assert got == pytest.approx(1 - exact.mean(), abs=2e-6)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_are_the_numerical_ones(name, seed):
    y, p = case(seed)
    grad = gradient(EVERY[name], y, p)
    step = 1e-3
    for i, j in [(0, 0), (1, 1), (2, 3), (8, 4), (5, 0)]:
        up, down = p.copy(), p.copy()
        up[i, j] += step
        down[i, j] -= step
        numerical = (value(EVERY[name], y, up) - value(EVERY[name], y, down)) / (2 * step)
        assert grad[i, j] == pytest.approx(numerical, abs=3e-3, rel=2e-2)


def gradient(loss, y, p, dtype: str = "float32") -> np.ndarray:
    """dL/dp by the backend, through a one-weight-per-value layer.

    dtype  precision of the probabilities that the loss is given, and of their gradients
    """

    class Hold(keras.layers.Layer):
        def build(self, shape):
            self.p = self.add_weight(shape=p.shape, initializer="zeros")

        def call(self, x):
            return keras.ops.cast(self.p + 0.0 * x, dtype)

    model = keras.Sequential([keras.Input(p.shape[1:]), Hold()])
    model.layers[0].p.assign(p)
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True)
    model.fit(np.zeros_like(p), y, batch_size=len(p), epochs=1, verbose=0, shuffle=False)
    return p - np.asarray(model.layers[0].p)


@pytest.mark.parametrize("name", EVERY)
def test_no_nan_at_the_ends_and_without_labels(name):
    loss = EVERY[name]
    for y in (np.zeros((4, 3), "float32"), np.ones((4, 3), "float32")):
        for p in (np.zeros((4, 3), "float32"), np.ones((4, 3), "float32")):
            assert np.isfinite(value(loss, y, p))
            assert np.isfinite(gradient(loss, y, p)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", EVERY)
def test_half_precision_probabilities_are_safe(name, dtype):
    """256 chips × 17 labels: sums that overflow or stall in half precision."""
    y, p = case(3, chips=256, labels=17)
    p[:4] = 0.0
    p[4:8] = 1.0
    rounded = keras.ops.cast(p, dtype)
    exact = value(EVERY[name], y, np.asarray(keras.ops.convert_to_numpy(rounded), "float32"))
    got = value(EVERY[name], y, rounded)
    direct = keras.ops.convert_to_numpy(EVERY[name].call(keras.ops.cast(y, dtype), rounded)).mean()
    assert got == pytest.approx(exact, rel=1e-6)
    assert float(direct) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", EVERY)
def test_gradients_of_half_precision_probabilities_are_finite_and_true(name, dtype):
    """At p = 0, at the smallest p there is, and at 1; with labels and chips that hold nothing."""
    y, p = case(4)
    p[:, 0] = 0.0
    y[:, 1], p[:, 1] = 0, 6e-8  # float16's smallest number
    p[:, 2] = 1.0
    y[0, 2], p[0, 3], y[0, 3] = 0, 6e-8, 1
    y[3], p[3] = 0, 0.0  # a chip that holds nothing
    rounded = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(p, dtype)), "float32")
    exact = gradient(EVERY[name], y, rounded)
    got = gradient(EVERY[name], y, rounded, dtype)
    assert np.isfinite(got).all()
    limit = 6e4 if dtype == "float16" else np.inf
    # rounded to eleven (eight) bits; below float16's smallest number nothing is left
    np.testing.assert_allclose(got, exact.clip(-limit, limit), rtol=2e-2, atol=1e-5)


@pytest.mark.parametrize("per", ["label", "chip"])
def test_an_absent_label_never_pulls_up_and_hardly_down(per):
    """Its gradient is ε/(Σ p + ε)², as the docstring says."""
    axis = 0 if per == "label" else 1
    p = np.full((4, 4), 0.25, "float32")
    p[0], p[:, 0] = 0.0, 0.0
    p[0, 0] = 1e-6
    grad = gradient(losses.F2Loss(per=per), np.zeros_like(p), p)
    total = p.sum(axis, keepdims=True) + 1e-7
    expected = np.broadcast_to(1e-7 / total**2 / 4, p.shape)
    np.testing.assert_allclose(grad, expected, rtol=1e-2, atol=2e-7)
    assert (grad >= 0).all()


def test_f2_loss_leans_on_recall():
    """A missed label costs more than a false one: the reason to use it."""
    y = np.array([[1.0], [0.0]], "float32")
    missed = value(losses.F2Loss(), y, np.array([[0.4], [0.4]], "float32"))
    false = value(losses.F2Loss(), y, np.array([[0.6], [0.6]], "float32"))
    assert missed > false


def test_losses_survive_serialisation():
    y, p = case(5)
    for loss in EVERY.values():
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert value(again, y, p) == value(loss, y, p)


def test_bad_arguments_are_refused():
    for make in (
        lambda: losses.get("mse"),
        lambda: losses.F2Loss(per="pixel"),
        lambda: losses.F2Loss(epsilon=0),
        lambda: losses.F2Loss(epsilon=float("nan")),
        lambda: losses.HardExampleLoss(0),
        lambda: losses.HardExampleLoss(per="pixel"),
    ):
        with pytest.raises(ValueError, match=r"one of|per:|keep:|epsilon: above 0"):
            make()
    with pytest.raises(ValueError, match="sample_weight"):
        losses.F2Loss()(np.ones((2, 2)), np.ones((2, 2)), np.ones(2))


# ---- shapes, masks and unknown labels, as Keras has them or refused by name --------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", ["uint8", "bool", "int8", ">f8", "float32"])
def test_labels_of_one_axis_are_one_column(name, dtype):
    """Seen failing: (N,) was broadcast against (N, 1) to (N, N), in the loss and in fit."""
    y, p = case(3, labels=2)
    y, p = y[:, 1], p[:, 1:]
    one = y.astype(dtype)
    one.flags.writeable = False
    assert value(EVERY[name], y[:, None], p) == pytest.approx(
        float(keras.ops.convert_to_numpy(EVERY[name](one, p)))
    )
    if name == "log":
        whole = keras.losses.BinaryCrossentropy()(y[:, None], p)
        assert value(EVERY[name], y, p) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_fit_takes_labels_of_one_axis(name):
    y, p = case(4, labels=1, chips=32)
    y = (p[:, 0] > 0.5).astype("float32")
    histories = []
    for labels in (y, y[:, None]):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "sigmoid")])
        model.compile("sgd", loss=EVERY[name])
        histories.append(model.fit(p, labels, epochs=1, shuffle=False, verbose=0).history["loss"])
    assert histories[0] == pytest.approx(histories[1])


@pytest.mark.parametrize("name", EVERY)
def test_other_shapes_masks_and_unknown_labels_are_refused_by_name(name):
    y, p = case(5)
    for wrong in (y[:, 0], y[:, :1], y[:-1], y[None]):
        with pytest.raises(ValueError, match=r"y_true: expected the shape of y_pred"):
            EVERY[name](wrong, p)
    for unknown in (-1.0, np.nan, 2.0):
        labels = y.copy()
        labels[0, 0] = unknown
        with pytest.raises(ValueError, match=r"y_true: expected labels of 0 and 1"):
            EVERY[name](labels, p)
    masked = keras.ops.convert_to_tensor(p)
    masked._keras_mask = keras.ops.convert_to_tensor(np.arange(len(p)) < 4)
    if name == "log":  # as Keras' own: the chips that the mask leaves
        found = float(keras.ops.convert_to_numpy(EVERY[name](y, masked)))
        own = float(keras.losses.BinaryCrossentropy()(y, masked))
        assert found == pytest.approx(own, rel=1e-5)
    else:
        with pytest.raises(ValueError, match=r"y_pred: .*no Keras mask"):
            EVERY[name](y, masked)


def test_in_a_graph_unknown_labels_make_the_loss_nan():
    y, p = case(6, labels=1)
    y[0] = -1
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", loss=losses.LogLoss())
    assert np.isnan(model.fit(p, y, verbose=0).history["loss"][0])
