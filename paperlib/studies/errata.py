"""What the code can check of the errata: the rows of `errata.csv`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import dehaze
from . import counted

Array = np.ndarray


def checks(chip_scores: Array) -> pd.DataFrame:
    """What the code can check of the errata: `erratum`, `what`, `value`.

    chip_scores  `(N,)` F2 of each chip, for the standard error
    """
    with_j, with_i = equation5()
    squared, plain = ridge_objectives()
    channels, stacks = counted.vgg_channels(), counted.vgg_stacks()
    white, black = recovered((0.9, 0.7))
    resnet, pooled = resnet_as_printed()
    facts = [
        ("equation-5", "largest gap of the two sides, with J", with_j),
        ("equation-5", "smallest gap of the two sides, as printed", with_i),
        ("small-transmission", "recovered from I = 0.9", white),
        ("small-transmission", "recovered from I = 0.7", black),
        ("l2-norm", "ridge's weights from the minimum of the squared norm's objective", squared),
        ("l2-norm", "ridge's weights from the minimum of the norm's objective", plain),
        ("batch-norm-normal", "skewness after batch normalisation", normalised_skewness()),
        ("flatten", "values into the dense layer after flattening", 7 * 7 * 512),
        ("flatten", "values into the dense layer after global pooling", 512),
        ("convolutions-per-stack", "fewest of configuration A", min(stacks["A"])),
        ("convolutions-per-stack", "most of configuration E", max(stacks["E"])),
        ("fifth-decimal", "standard error at 8,096 chips", chip_scores.std() / np.sqrt(8096)),
        (
            "article-batch-normalisation",
            "fraction outside 0 … 1",
            1 - counted.normalised_within_unit(),
        ),
        ("article-channels", "channels of stack 4", channels[3]),
        ("article-channels", "channels of stack 5", channels[4]),
        ("article-lost-signs", "50·4·4", 50 * 4 * 4),
        ("article-lost-signs", "7·7·512", 7 * 7 * 512),
        ("article-resnet-code", "channels after stage 3", resnet),
        ("article-resnet-code", "side after the pooling without padding", pooled),
    ]
    return pd.DataFrame(facts, columns=["erratum", "what", "value"])


def recovered(values: tuple[float, ...], t: float = 0.02, light: float = 0.8) -> list[float]:
    """What equation 9 without a threshold makes of a pixel's value at a small transmission."""
    return [(value - light) / t + light for value in values]


def normalised_skewness(seed: int = 0, count: int = 4096) -> float:
    """Skewness of an exponential sample after batch normalisation; of a normal one it is 0."""
    import keras

    values = np.random.default_rng(seed).exponential(size=(count, 1)).astype("float32")
    out = np.asarray(keras.layers.BatchNormalization()(values, training=True)).ravel()
    return float((((out - out.mean()) / out.std()) ** 3).mean())


def resnet_as_printed(size: int = 224) -> tuple[int, int]:
    """Channels after stage 3 of the article's ResNet-50 code, and the side after its pooling.

    Its first convolution (7, stride 2, padded by 3) and its pooling (3, stride 2, no padding) are
    built; stage 2 keeps the side, stage 3 ends with its `filters[2]`, 512 channels.
    """
    import keras
    from keras import layers

    images = keras.Input((size, size, 3))
    x = layers.Conv2D(64, 7, strides=2)(layers.ZeroPadding2D(3)(images))
    x = layers.MaxPooling2D(3, strides=2)(x)
    side = int(x.shape[1])
    for channels, strides in ((256, 1), (512, 2)):
        x = layers.Conv2D(channels, 1, strides=strides)(x)
    return int(x.shape[-1]), side


def equation5(seed: int = 0) -> tuple[float, float]:
    """Largest gap between the sides of equation 5 with J, and smallest as printed (with I)."""
    rng = np.random.default_rng(seed)
    scene, light = rng.uniform(0.15, 0.8, (64, 64, 3)), np.array([0.8, 0.85, 0.9])
    t = np.full(scene.shape[:2], 0.6)
    hazy = dehaze.add_haze(scene, t, light)
    left = _dark(hazy / light)
    right, printed = (t * _dark(x / light) + 1 - t for x in (scene, hazy))
    return float(np.abs(left - right).max()), float(np.abs(left - printed).min())


def _dark(values: Array) -> Array:
    return dehaze.dark_channel(np.clip(values, 0, 1), patch=5)


def ridge_objectives(seed: int = 0) -> tuple[float, float]:
    """How far scikit-learn's ridge weights are from the minimum with ‖w‖², and with ‖w‖."""
    from scipy.optimize import minimize
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, 5))
    y = x @ np.array([1.0, -2, 0.5, 0, 3]) + rng.normal(size=80)
    ridge = Ridge(alpha=20.0, fit_intercept=False).fit(x, y).coef_
    gaps = []
    for power in (2, 1):
        best = minimize(
            lambda w, power=power: ((y - x @ w) ** 2).sum() + 20.0 * np.linalg.norm(w) ** power,
            np.ones(5),
            tol=1e-12,
        )
        gaps.append(float(np.abs(best.x - ridge).max()))
    return gaps[0], gaps[1]
