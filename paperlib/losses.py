"""Three losses, those that the paper names, for `(N, L)` labels in {0, 1} and probabilities.

The paper prints no formula: LogLoss and Hard example loss are words in boxes of its figure 4,
F2Loss also in its section 3.2. The formulas are this package's readings.

All are `keras.losses.Loss`, written with `keras.ops`, computed in float32 whatever the network's
precision is, and free of NaN, in value and gradient, for labels that a batch does not hold.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

_TINY = 1e-7  # keeps log(p) finite in float32
_SLACK = 1e-3  # beyond 0 and 1, for the rounding of a teacher's answers
_MOST = 6e4  # a gradient that float16 holds; its largest number is 65504


def _elementwise(y_true, y_pred):
    """`(N, L)` log losses, −y·log p − (1 − y)·log(1 − p)."""
    p = ops.clip(y_pred, _TINY, 1.0 - _TINY)
    return -(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p))


@ops.custom_gradient
def _from_half(p):
    """float16 -> float32; the gradient goes back within ±6e4.

    At p near 0 it is up to 1e7 (1/p of the log loss, 1/ε of the soft F2 of an absent label). As
    float16 that is infinite, and NaN after the next product with 0.
    """

    def grad(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        return ops.cast(ops.clip(upstream, -_MOST, _MOST), "float16")

    return ops.cast(p, "float32"), grad


class _Loss(keras.losses.Loss):
    """A loss of `(N, L)` labels and probabilities of one shape, with finite gradients.

    `(N,)` is `(N, 1)`, as in Keras' own losses. Gradients are finite for probabilities of half
    precision too; bfloat16 has the range of float32 and needs nothing.

    Raises `ValueError` for other shapes, which NumPy's rules would broadcast, and for labels beyond
    0…1 (−1 or NaN for unknown, say). Inside a compiled graph, where labels have no values yet, such
    labels make the loss NaN, and training ends there.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        _check_values(y_true)
        mask = getattr(y_pred, "_keras_mask", None)
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if keras.backend.standardize_dtype(y_pred.dtype) == "float16":
            y_pred = _from_half(y_pred)
        y_true, y_pred = _same_shape(y_true, y_pred)
        if mask is not None:
            y_pred._keras_mask = mask
        loss = super().__call__(y_true, y_pred, sample_weight)
        wrong = ops.any(ops.logical_not((y_true >= -_SLACK) & (y_true <= 1 + _SLACK)))
        return ops.where(wrong, ops.full_like(loss, float("nan")), loss)


def _check_values(y_true) -> None:
    """`ValueError` for labels that are at hand and not in 0…1."""
    if isinstance(y_true, list | tuple | np.ndarray) or hasattr(y_true, "numpy"):
        values = np.asarray(keras.ops.convert_to_numpy(y_true), np.float64)
        if not ((values >= -_SLACK) & (values <= 1 + _SLACK)).all():
            raise ValueError(
                "y_true: expected labels of 0 and 1 (or between); leave out chips whose label is "
                "unknown, or give them sample_weight 0 and a label of 0"
            )


def _same_shape(y_true, y_pred):
    """Both as `(N, L)`; `ValueError` where they are not of one shape."""
    if len(y_pred.shape) == 1:
        y_pred = ops.expand_dims(y_pred, -1)
    if len(y_true.shape) == 1 and y_pred.shape[-1] == 1:
        y_true = ops.expand_dims(y_true, -1)
    pairs = zip(y_true.shape, y_pred.shape, strict=False)
    if (
        len(y_true.shape) != 2
        or len(y_pred.shape) != 2
        or any(None not in pair and pair[0] != pair[1] for pair in pairs)
    ):
        raise ValueError(
            f"y_true: expected the shape of y_pred, {tuple(y_pred.shape)}, got "
            f"{tuple(y_true.shape)}"
        )
    return ops.cast(y_true, "float32"), y_pred


class _BatchLoss(_Loss):
    """A loss of a whole batch: casts to float32, and says so where weights per chip are given."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            raise ValueError(f"{type(self).__name__} is of the whole batch: no sample_weight")
        if getattr(y_pred, "_keras_mask", None) is not None:
            raise ValueError(f"y_pred: {type(self).__name__} is of the whole batch: no Keras mask")
        return super().__call__(y_true, y_pred)

    def call(self, y_true, y_pred):
        return self.batch_loss(ops.cast(y_true, "float32"), ops.cast(y_pred, "float32"))


@keras.saving.register_keras_serializable("paperlib")
class LogLoss(_Loss):
    """Mean binary cross-entropy over chips and labels, for chips `(N, L)`.

    Labels are 0 and 1; probabilities are clipped to 1e-7…1 − 1e-7.
    """

    def __init__(self, name: str = "log_loss", **options):
        super().__init__(name=name, **options)

    def call(self, y_true, y_pred):
        losses = _elementwise(ops.cast(y_true, "float32"), ops.cast(y_pred, "float32"))
        return ops.mean(losses, axis=-1)


@keras.saving.register_keras_serializable("paperlib")
class F2Loss(_BatchLoss):
    """One minus the soft F2, (5·Σ p·y + ε)/(Σ p + 4·Σ y + ε).

    Parameters
    ----------
    per
        `"label"`: the sums run over the chips of the batch and the loss is the mean over labels
        (our reading of the paper's change towards each label's recall); `"chip"`: the sums run over
        a chip's labels and the loss is the mean over chips (the competition's score)
    epsilon
        ε, above 0

    Raises
    ------
    ValueError
        for another `per`, an `epsilon` that is not above 0, and for weights per chip: the loss is
        of the whole batch

    Notes
    -----
    For p in {0, 1} this is one minus the exact F2, except that a label (or chip) with nothing true
    and nothing predicted counts as F2 = 1. The gradient of an absent label (or empty chip) is
    ε/(Σ p + ε)² for each p: never negative, and next to nothing unless all its p are near ε. So
    absent labels teach nothing: only the batches that hold a label say where not to give it.
    """

    def __init__(self, per: str = "label", epsilon: float = 1e-7, name: str = "f2_loss", **options):
        if per not in ("label", "chip"):
            raise ValueError(f"per: 'label' or 'chip', not {per!r}")
        if not epsilon > 0:
            raise ValueError(f"epsilon: above 0, not {epsilon}")
        super().__init__(name=name, **options)
        self.per, self.epsilon = per, epsilon

    def batch_loss(self, y_true, y_pred):
        axis = 0 if self.per == "label" else -1
        hit = ops.sum(y_true * y_pred, axis=axis)
        total = ops.sum(y_pred, axis=axis) + 4.0 * ops.sum(y_true, axis=axis)
        return 1.0 - (5.0 * hit + self.epsilon) / (total + self.epsilon)

    def get_config(self):
        return {**super().get_config(), "per": self.per, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("paperlib")
class HardExampleLoss(_BatchLoss):
    """Mean of the largest fraction `keep` of the log losses, so that easy cases teach nothing.

    Parameters
    ----------
    keep
        fraction that counts, in (0, 1]; ⌈keep·n⌉ of n values;
        taken to four decimals
    per
        `"batch"`: of all N·L values together; `"chip"`: of each chip's L; `"label"`: of each
        label's N. The paper names the loss and does not define it: these are readings

    Raises
    ------
    ValueError
        for a fraction or `per` out of range, and for weights per chip
    """

    def __init__(
        self, keep: float = 0.25, per: str = "batch", name: str = "hard_example_loss", **options
    ):
        if not 0 < keep <= 1:
            raise ValueError(f"keep: a fraction in (0, 1], not {keep}")
        if per not in ("batch", "chip", "label"):
            raise ValueError(f"per: 'batch', 'chip' or 'label', not {per!r}")
        super().__init__(name=name, **options)
        self.keep, self.per = keep, per

    def batch_loss(self, y_true, y_pred):
        losses = _elementwise(y_true, y_pred)
        if self.per == "batch":
            losses = ops.reshape(losses, (-1, 1))
        if self.per == "chip":
            losses = ops.transpose(losses)
        count = ops.shape(losses)[0]
        # in whole ten-thousandths: a float32 product would round ⌈0.1·10⌉ up to 2 on some backends
        kept = (count * max(1, round(self.keep * 10_000)) + 9_999) // 10_000
        return ops.mean(ops.sort(losses, axis=0)[count - kept :])

    def get_config(self):
        return {**super().get_config(), "keep": self.keep, "per": self.per}


#: Name in a configuration -> a maker of the loss.
LOSSES = {
    "log": LogLoss,
    "f2": F2Loss,
    "hard": HardExampleLoss,
    "f2-chip": lambda: F2Loss(per="chip"),
    "hard-chip": lambda: HardExampleLoss(per="chip"),
    "hard-label": lambda: HardExampleLoss(per="label"),
}


def get(name: str) -> keras.losses.Loss:
    """The loss of that name; `ValueError` with the names there are otherwise."""
    if name not in LOSSES:
        raise ValueError(f"loss: one of {', '.join(LOSSES)}, not {name!r}")
    return LOSSES[name]()
