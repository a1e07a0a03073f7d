"""Figure 1 in numbers: what the VGG configurations weigh, and why their kernels are small."""

from __future__ import annotations

import gc

import keras
import numpy as np
import pandas as pd

from ..networks import build

#: Millions of parameters as Simonyan & Zisserman (2015) print them in their table 2.
PUBLISHED_MILLIONS = {"A": 133, "B": 133, "C": 134, "D": 138, "E": 144}


def parameter_table(size: int = 224, classes: int = 1000) -> pd.DataFrame:
    """Parameters of each configuration, counted in the built Keras model.

    Returns one row per configuration: `configuration`, `weight_layers`, `convolutional`, `dense`,
    `total` (parameters), `published_millions`.

    Simonyan & Zisserman 2015, tables 1 and 2; Paper, figure 1.
    """
    rows = []
    for configuration in build.CONFIGURATIONS:
        model = build.original(configuration, size=size, classes=classes)
        weighty = [layer for layer in model.layers if layer.count_params()]
        kernels = [layer.kernel.shape for layer in weighty]
        convolutional = sum(
            layer.count_params()
            for layer, kernel in zip(weighty, kernels, strict=True)
            if len(kernel) == 4
        )
        rows.append(
            {
                "configuration": configuration,
                "weight_layers": len(weighty),
                "convolutional": convolutional,
                "dense": model.count_params() - convolutional,
                "total": model.count_params(),
                "published_millions": PUBLISHED_MILLIONS[configuration],
            }
        )
        del model, weighty
        gc.collect()  # half a gigabyte each
    return pd.DataFrame(rows)


def stack(kernel: int, layers: int, channels: int = 512, size: int = 32) -> dict[str, int | float]:
    """A stack of equal convolutions with C channels in and out, counted in the built Keras model.

    Returns `parameters` (without biases), `receptive_field` (side in pixels of what one output
    pixel sees, measured on the built model: the reach of one lit pixel), and `rectifiers`.
    """

    def build(channels: int) -> keras.Model:
        return keras.Sequential(
            [keras.Input((size, size, channels))]
            + [
                keras.layers.Conv2D(
                    channels,
                    kernel,
                    padding="same",
                    use_bias=False,
                    activation="relu",
                    kernel_initializer="ones",
                )
                for _ in range(layers)
            ]
        )

    spot = np.zeros((1, size, size, 1), np.float32)
    spot[0, size // 2, size // 2] = 1
    reached = keras.ops.convert_to_numpy(build(1)(spot))[0, :, :, 0] > 0
    return {
        "kernel": kernel,
        "layers": layers,
        "parameters": build(channels).count_params(),
        "receptive_field": int(reached.any(0).sum()),
        "rectifiers": layers,
    }
