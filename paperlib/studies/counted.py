"""Claims that need no training: counted in built layers, or in the shipped label sets.

`rows` gives theirs of `small_claims.csv`; each row belongs to a claim of `published.toml`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import f2
from ..chips import scenes
from ..f2 import Interval
from ..labels import COMMON, INDEX, RARE, WEATHER, encode_many

Array = np.ndarray
Row = dict[str, Any]
HUNDREDS = 1000  # "some hundreds" ends here
#: Pairs of labels of which the paper says that they appear together.
TOGETHER = (("habitation", "agriculture"), ("road", "habitation"), ("road", "agriculture"),
            ("water", "primary"))  # fmt: skip
CROSSING = (("agriculture", "cultivation"), ("conventional_mine", "artisinal_mine"))
PRINTED_CHANNELS = [64, 128, 256, 512, 512]


def rows() -> list[Row]:
    """Every claim of this module, a row or more for each."""
    count = convolutions()
    dense, kernel, apart = dense_as_convolution()
    weights, biases = dense_example()
    leaky, plain = leaky_gradient()
    stacks = vgg_stacks()
    differ = sum(a != b for a, b in zip(vgg_channels(), PRINTED_CHANNELS, strict=True))
    return [
        row("recall-twice", recall_to_precision()),
        row("flatten-saves-parameters", values_left_out()),
        row("vgg-2-to-3-convolutions", min(stacks["D"]), "fewest, D"),
        row("vgg-2-to-3-convolutions", max(stacks["D"]), "most, D"),
        row("vgg-channels", differ),
        row("leaky-relu-no-dead-units", leaky, "LeakyReLU"),
        row("leaky-relu-no-dead-units", plain, "ReLU"),
        row("separable-parameters", count["separable 3×3, 16 to 32"]),
        row("plain-parameters", count["3×3, 16 to 32"]),
        row("five-by-five", count["5×5"] / count["one 3×3"]),
        row("dense-as-convolution", apart, "outputs"),
        row("dense-as-convolution", kernel - dense, "weights"),
        row("dense-example", weights, "weights"),
        row("dense-example", biases, "biases"),
        row("pooling-keeps-channels", pooled_channels()),
        row("batch-normalisation-bounds", normalised_within_unit()),
        *label_table(),
    ]


def row(claim: str, value: float | Interval, item: str = "", **seeds: float) -> Row:
    """One row of `small_claims.csv`; a plain number has no interval."""
    if isinstance(value, Interval):
        ends = {"value": value.value, "low": value.low, "high": value.high}
    else:
        ends = {"value": value, "low": np.nan, "high": np.nan}
    return {"claim": claim, "item": item or claim, **ends, **seeds}


# ---- the label sets ------------------------------------------------------------------------------


def label_table(replicates: int = 2000) -> list[Row]:
    """What the label sets of the 32,351 real chips say: exclusions, lifts, and how rare is rare.

    A lift is the number of chips with both labels ÷ the number that chance would give; intervals
    are of a bootstrap over chips.
    """
    sets, chips = scenes.label_sets()
    there = encode_many(sets).astype(bool)
    count = chips @ there
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(chips.sum(), chips / chips.sum(), replicates)

    def both(one: str, *others: str) -> Array:
        return there[:, INDEX[one]] & there[:, [INDEX[tag] for tag in others]].any(1)

    def lift(one: str, other: str) -> Interval:
        def of(weights: Array) -> Array:
            a, b = weights @ there[:, INDEX[one]], weights @ there[:, INDEX[other]]
            return (weights @ both(one, other)) * weights.sum(-1) / np.maximum(a * b, 1)

        return f2.percentile_interval(of(chips), of(drawn))

    def beside(weights: Array) -> Array:
        return (weights @ both("water", "primary")) / (weights @ there[:, INDEX["water"]])

    rare = count[[INDEX[tag] for tag in RARE]]
    others = count[[INDEX[tag] for tag in (*WEATHER, *COMMON)]]
    clear = chips @ both("clear", "cloudy", "partly_cloudy", "haze")
    return [
        row("clear-excludes-cloud-and-haze", int(clear)),
        row("cloudy-excludes-haze", int(chips @ both("cloudy", "haze"))),
        *(row("labels-together", lift(*pair), " × ".join(pair)) for pair in TOGETHER),
        row("rivers-often-in-rainforest", f2.percentile_interval(beside(chips), beside(drawn))),
        *(row("crossing-labels-together", lift(*pair), " × ".join(pair)) for pair in CROSSING),
        row("rare-labels-hundreds", int((rare >= HUNDREDS).sum())),
        row("uncommon-labels", int((rare[:, None] >= others).sum())),
    ]


# ---- arithmetic and built layers -----------------------------------------------------------------


def recall_to_precision(step: float = 1e-6) -> float:
    """Recall ÷ precision at which a small gain of either raises F2 by as much.

    By definition that is β (van Rijsbergen 1979, chapter 7).
    """
    from scipy.optimize import brentq

    def score(precision: float, recall: float) -> float:
        weight = f2.BETA_SQUARED  # β²
        return (1 + weight) * precision * recall / (weight * precision + recall)

    def gain(ratio: float) -> float:
        p, r = 0.3, 0.3 * ratio
        return score(p, r + step) - score(p + step, r)

    return float(brentq(gain, 0.5, 3.3, xtol=1e-9))


def values_left_out(size: int = 7, channels: int = 512) -> float:
    """Fraction of a feature map's values that flattening leaves out, from the built layer."""
    import keras

    flat = keras.Sequential([keras.Input((size, size, channels)), keras.layers.Flatten()])
    return 1 - flat.output_shape[-1] / (size * size * channels)


def convolutions() -> dict[str, int]:
    """Weights without biases of the convolutions that the teaching article compares."""
    from keras import layers

    def count(channels: int, *stack: Any) -> int:
        import keras

        return keras.Sequential([keras.Input((16, 16, channels)), *stack]).count_params()

    def plain(kernel: int, filters: int = 64) -> Any:
        return layers.Conv2D(filters, kernel, padding="same", use_bias=False)

    return {
        "3×3, 16 to 32": count(16, plain(3, 32)),
        "separable 3×3, 16 to 32": count(16, layers.SeparableConv2D(32, 3, use_bias=False)),
        "5×5": count(64, plain(5)),
        "one 3×3": count(64, plain(3)),
        "two 3×3": count(64, plain(3), plain(3)),
    }


def normalised_within_unit(seed: int = 0) -> float:
    """Fraction of a batch-normalised layer's outputs that lie within 0 … 1, for normal inputs."""
    import keras

    values = np.random.default_rng(seed).normal(3, 2, (256, 64)).astype("float32")
    normalised = np.asarray(keras.layers.BatchNormalization()(values, training=True))
    return float(((normalised >= 0) & (normalised <= 1)).mean())


def dense_as_convolution(channels: int = 512, units: int = 16) -> tuple[int, int, float]:
    """Weights of a dense layer on 7 × 7 × `channels` and of the same 7×7 convolution, and how far
    their outputs are apart."""
    import keras

    values = np.random.default_rng(0).normal(size=(1, 7, 7, channels)).astype("float32")
    dense = keras.Sequential(
        [keras.Input((7, 7, channels)), keras.layers.Flatten(), keras.layers.Dense(units)]
    )
    kernel = keras.Sequential([keras.Input((7, 7, channels)), keras.layers.Conv2D(units, 7)])
    weight, bias = dense.get_weights()
    kernel.set_weights([weight.reshape(7, 7, channels, units), bias])
    a, b = (np.asarray(model(values)).ravel() for model in (dense, kernel))
    return dense.count_params(), kernel.count_params(), float(np.abs(a - b).max().round(3))


def dense_example() -> tuple[int, int]:
    """Weights and biases of a dense layer from 50·4·4 values to 500, from the built layer."""
    import keras

    layer = keras.layers.Dense(500)
    layer.build((None, 50 * 4 * 4))
    return int(np.prod(layer.kernel.shape)), int(np.prod(layer.bias.shape))


def pooled_channels(channels: int = 24) -> int:
    """Channels that the pooling layers add or take away, from the built layers."""
    from keras import layers

    kinds = (layers.MaxPooling2D(2), layers.AveragePooling2D(2), layers.MaxPooling2D(3, strides=2))
    shapes = [kind.compute_output_shape((1, 16, 16, channels)) for kind in kinds]
    return max(abs(shape[-1] - channels) for shape in shapes)


def leaky_gradient(at: float = -1.0, step: float = 1e-3) -> tuple[float, float]:
    """Slope of LeakyReLU and of ReLU at `at`, from the built layers."""
    from keras import layers

    slopes = []
    for kind in (layers.LeakyReLU(negative_slope=0.1), layers.ReLU()):
        a, b = (np.asarray(kind(np.array([[x]], np.float32))).item() for x in (at, at + step))
        slopes.append(round((b - a) / step, 3))
    return slopes[0], slopes[1]


def vgg_stacks() -> dict[str, list[int]]:
    """Convolutions of each of the five stacks, by configuration A … E of figure 1."""
    from ..networks import build

    found = {}
    for configuration in build.CONFIGURATIONS:
        model = build.original(configuration, size=32, classes=2)
        names = [layer.name for layer in model.layers if "_conv" in layer.name]
        found[configuration] = [
            sum(name.startswith(f"block{stack}_") for name in names) for stack in range(1, 6)
        ]
        del model
        gc.collect()
    return found


def vgg_channels() -> list[int]:
    """Channels of the five stacks of VGG-16, from the built network."""
    import keras

    from ..networks import build

    model = build.original("D", size=32, classes=2)
    found: Iterable[int] = [
        layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    channels = list(found)
    del model
    gc.collect()
    return [channels[i] for i in (0, 2, 4, 7, 10)]
