"""GoogLeNet whole, as the teaching article counts it; and how Inception v3's shapes go down.

Article, sections 5.4 and 5.11; Szegedy et al. 2015, table 1; Szegedy et al. 2016, table 1.
"""

from __future__ import annotations

import keras
import pandas as pd
from keras import layers

from .networks import conv, inception_v1

#: Channels of the nine modules, as `inception_v1` takes them; "pool" halves the side.
MODULES: tuple[tuple[int, int, int, int, int, int] | str, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    "pool",
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    "pool",
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
AUXILIARY_AFTER = (2, 5)  # modules, counted from 0, whose output an auxiliary softmax reads


def googlenet(size: int = 224, classes: int = 1000) -> keras.Model:
    """GoogLeNet with its two auxiliary outputs: `(N, S, S, 3)` -> three `(N, classes)`."""
    images = keras.Input((size, size, 3))
    x = layers.Conv2D(64, 7, strides=2, padding="same", activation="relu")(images)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = conv(conv(x, 64, 1), 192, 3)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    outputs, number = [], 0
    for filters in MODULES:
        if isinstance(filters, str):
            x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
            continue
        x = inception_v1(x, filters)
        if number in AUXILIARY_AFTER:
            outputs.append(_auxiliary(x, classes))
        number += 1
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, [layers.Dense(classes, activation="softmax")(x), *outputs])


def _auxiliary(x, classes: int):
    x = conv(layers.AveragePooling2D(5, strides=3)(x), 128, 1)
    x = layers.Dense(1024, activation="relu")(layers.Flatten()(x))
    return layers.Dense(classes, activation="softmax")(layers.Dropout(0.7)(x))


def counted(size: int = 224) -> pd.DataFrame:
    """What the article says of GoogLeNet, counted in the built graph: `what`, `count`.

    Layers are those with weights on the longest way from the pictures to the main output.
    """
    model = googlenet(size)
    joins = [layer for layer in model.layers if isinstance(layer, layers.Concatenate)]
    rows = [
        ("Inception modules", len(joins)),
        ("layers with weights", deepest(model.outputs[0])),
        ("auxiliary outputs", len(model.outputs) - 1),
        ("parameters", model.count_params()),
    ]
    return pd.DataFrame(rows, columns=["what", "count"])


def deepest(tensor) -> int:
    """Most layers with weights on any way from an input to a Keras tensor."""
    known: dict[int, int] = {}

    def depth(one) -> int:
        layer = one._keras_history.operation
        if id(layer) not in known:
            before = layer.input if isinstance(layer.input, list) else [layer.input]
            own = isinstance(layer, keras.layers.Layer) and layer.count_params() > 0
            first = isinstance(layer, layers.InputLayer)
            known[id(layer)] = 0 if first else own + max(depth(each) for each in before)
        return known[id(layer)]

    return depth(tensor)


def inception_v3_shapes() -> pd.DataFrame:
    """Height, width and channels after each block of Inception v3 on 299-pixel pictures.

    Columns `after` (the article's names: `mixed0` … `mixed10`) and `output`, from the built graph.
    """
    model = keras.applications.InceptionV3(
        weights=None, include_top=False, input_shape=(299,) * 2 + (3,)
    )
    rows = []
    for layer in model.layers:
        if layer.name.startswith("mixed") and "_" not in layer.name:
            rows.append((layer.name, "×".join(str(n) for n in layer.output.shape[1:])))
    return pd.DataFrame(rows, columns=["after", "output"])
