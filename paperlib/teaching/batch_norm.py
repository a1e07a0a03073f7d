"""What batch normalisation does to the numbers inside a network before any training."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
from keras import layers

from ..networks import build


def deviation_by_depth(
    images: np.ndarray, gains: tuple[float, ...], *, width: float = 0.125, seed: int = 0
) -> pd.DataFrame:
    """Standard deviation of each convolution's output in an untrained VGG-16, by depth.

    images  `(N, S, S, 3)` uint8: one batch, whose statistics the normalisation uses
    gains   factors on the initial weights (He's): 1 is the right one

    Returns one row per gain, network (`plain` or `normalised`) and convolution: `gain`, `network`,
    `layer` (1…13), `deviation`. Normalised: after the normalisation. He et al. 2015, section 2.2.
    """
    rows = []
    for kind, batch_norm in (("plain", "head"), ("normalised", "all")):
        model, start = _prepared(images, batch_norm, width, seed)
        for gain in gains:
            _scale(model, start, gain)
            for depth, values in enumerate(_seen(model, images), start=1):
                rows.append((float(gain), kind, depth, float(values.std())))
    return pd.DataFrame(rows, columns=["gain", "network", "layer", "deviation"])


def channels_before_and_after(
    images: np.ndarray, *, layer: str = "block3_conv2", count: int = 6, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Values of some channels as a convolution gives them, and after batch normalisation.

    Returns two `(count, M)` arrays: M pixels of the batch, for the channels of widest and narrowest
    spread and evenly between.
    """
    model, _ = _prepared(images, "all", 0.125, seed)
    inside = keras.Model(
        model.input, [model.get_layer(layer).output, model.get_layer(f"{layer}_norm").output]
    )
    before, after = (
        np.asarray(v).reshape(-1, v.shape[-1]).T for v in inside(images, training=True)
    )
    order = np.argsort(before.std(1))
    chosen = order[np.linspace(0, len(order) - 1, count).round().astype(int)]
    return before[chosen], after[chosen]


def _prepared(images: np.ndarray, batch_norm: str, width: float, seed: int):
    model = build.build(
        "vgg16", size=images.shape[1], width=width, batch_norm=batch_norm, dense=8, seed=seed
    )
    return model, {c.name: c.get_weights()[0] for c in _convolutions(model)}


def _scale(model: keras.Model, start: dict[str, np.ndarray], gain: float) -> None:
    for layer in _convolutions(model):
        layer.kernel.assign(start[layer.name] * gain)


def _seen(model: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    """What each convolution passes on: rectified if plain, normalised else."""
    names = {layer.name for layer in model.layers}
    ends = [f"{c.name}_norm" if f"{c.name}_norm" in names else c.name for c in _convolutions(model)]
    inside = keras.Model(model.input, [model.get_layer(name).output for name in ends])
    return [np.asarray(values) for values in inside(images, training=True)]


def _convolutions(model: keras.Model) -> list[layers.Conv2D]:
    return [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
