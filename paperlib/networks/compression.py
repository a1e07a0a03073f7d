"""A trained network made smaller without training: half precision, 8-bit weights, fewer channels.

All work on the network with its batch normalisation folded in, which is what a release stores. The
small numbers are put back into a float32 network, so that what is measured is the accuracy; the
bytes are those that a file with the small numbers needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from .complexity import cost
from .conversions import fold_batch_norm, rebuild

Array = np.ndarray
_BATCH = 256  # chips predicted at once


@dataclass(frozen=True, eq=False)
class Compressed:
    """A network made smaller: how, the float32 network that predicts as it does, and its costs."""

    how: str
    model: keras.Model
    bytes: int
    multiply_adds: int


def int8(weights: Array, axis: int = -1) -> tuple[Array, Array]:
    """Whole numbers from −127 to 127 and one scale for each channel, so that w ≈ number·scale.

    weights  any shape; axis: that of the channels. Symmetric, to the nearest: no weight moves by
    more than scale/2, with scale = max|w| of its channel ÷ 127 (Krishnamoorthi 2018, section 2).

    Returns numbers (int8, the shape of `weights`) and scale (float32, 1 along all but `axis`).
    """
    others = tuple(a for a in range(weights.ndim) if a != axis % weights.ndim)
    largest = np.abs(weights).max(others, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(weights / scale).clip(-127, 127).astype(np.int8), scale


def half_precision(model: keras.Model) -> Compressed:
    """Every weight rounded to half precision: 2 bytes each."""
    small = fold_batch_norm(model)
    small.set_weights([w.astype(np.float16).astype(np.float32) for w in small.get_weights()])
    return Compressed("half precision", small, 2 * small.count_params(), _work(small))


def eight_bits(model: keras.Model) -> Compressed:
    """Kernels as `int8` with a scale per output channel; the rest (a few per channel) stays."""
    small, size = fold_batch_norm(model), 0
    for layer in small.layers:
        values = layer.get_weights()
        if _has_kernel(layer):
            # a depthwise kernel is (h, w, channels, 1): its channels are the third axis
            axis = 2 if isinstance(layer, layers.DepthwiseConv2D) else -1
            numbers, scale = int8(values[0], axis)
            size += numbers.nbytes + scale.nbytes + sum(v.nbytes for v in values[1:])
            layer.set_weights([numbers * scale, *values[1:]])
        else:
            size += sum(v.nbytes for v in values)
    return Compressed("8-bit weights", small, size, _work(small))


def prune(model: keras.Model, keep: float) -> Compressed:
    """Keep a fraction of every convolution's channels, those with the largest kernels.

    model  whose convolutions stand in one row (VGG): no branches, no shortcuts
    keep   fraction of the channels of each convolution, above 0 and up to 1; ⌈keep·n⌉ of n

    A channel's weight is Σ|k| + |b| of its folded kernel and bias (Li et al. 2017): a dead channel
    goes first, and the function stays the same while only such go. Raises `ValueError` for a graph
    that branches.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep: a fraction in (0, 1], not {keep}")
    whole = fold_batch_norm(model)
    _check_chain(whole)
    values: dict[str, list[Array]] = {}
    stay: list[Array] = [np.arange(model.input_shape[-1])]  # of the last convolution's channels
    places = [1]

    def step(layer, given):
        config, weights = layer.get_config(), layer.get_weights()
        if isinstance(layer, layers.Conv2D):
            kernel, bias = weights if len(weights) == 2 else (*weights, np.zeros(layer.filters))
            weight = np.abs(kernel).sum((0, 1, 2)) + np.abs(bias)
            count = int(np.ceil(round(keep * layer.filters, 6)))
            chosen = np.sort(np.argsort(-weight, kind="stable")[:count])
            values[layer.name] = [kernel[:, :, stay[0]][..., chosen], bias[chosen]]
            config |= {"filters": len(chosen), "use_bias": True}
            stay[0] = chosen
        elif isinstance(layer, layers.BatchNormalization):
            values[layer.name] = [w[stay[0]] for w in weights]
        elif isinstance(layer, layers.Flatten):
            shape = layer.input.shape
            places[0] = shape[1] * shape[2]
            stay[0] = (np.arange(places[0])[:, None] * shape[3] + stay[0]).ravel()
        elif isinstance(layer, layers.Dense):
            values[layer.name] = [weights[0][stay[0]], *weights[1:]]
            stay[0] = np.arange(layer.units)
        elif weights:
            raise ValueError(f"{layer.name}: cannot be pruned")
        return type(layer).from_config(config)(given)

    images = keras.Input(whole.input_shape[1:], name="images")
    small = rebuild(whole, images, step, values, whole.name)
    how = f"{1 - keep:.0%} of the channels pruned"
    return Compressed(how, small, 4 * small.count_params(), _work(small))


def folded(model: keras.Model) -> Compressed:
    """The network as it is, its batch normalisation folded in: what the others are compared
    with."""
    same = fold_batch_norm(model)
    return Compressed("as trained", same, 4 * same.count_params(), _work(same))


#: What is tried on a trained network, in order.
WAYS: tuple[Callable[[keras.Model], Compressed], ...] = (
    folded,
    half_precision,
    eight_bits,
    *((lambda model, keep=keep: prune(model, keep)) for keep in (0.9, 0.75, 0.5)),
)


def _work(model: keras.Model) -> int:
    return cost(model)["multiply_adds"]


def _has_kernel(layer) -> bool:
    return isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense)


def _check_chain(model: keras.Model) -> None:
    read: set[int] = set()
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        if isinstance(layer.input, list) or id(layer.input) in read:
            raise ValueError(f"model: {model.name} branches at {layer.name}; it is no chain")
        read.add(id(layer.input))
