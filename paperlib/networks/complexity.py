"""What a network costs: parameters, bytes and multiply-adds, counted from its built graph."""

from __future__ import annotations

import math

import keras
import pandas as pd
from keras import layers


def multiply_adds(layer: keras.layers.Layer) -> int:
    """Multiplications (each with an addition) of one layer for one picture.

    Only layers with kernels count, as in the papers: normalisation folds into the kernel before
    it, and rectifiers, sums and pooling multiply nothing.

    Convolution: H'·W'·h·w·C·D; depthwise: H'·W'·h·w·C; dense: C·D. `ValueError` for a layer whose
    output size is open.
    """
    if not isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
        return 0
    places = layer.output.shape[1:-1]
    if None in places:
        raise ValueError(f"{layer.name}: its size is open; build the network for a picture size")
    return math.prod(places) * math.prod(layer.kernel.shape)


def layer_table(model: keras.Model) -> pd.DataFrame:
    """One row per layer: `layer`, `kind`, `output` (H×W×C), `parameters`, `multiply_adds`."""
    rows = []
    for layer in model.layers:
        shape = layer.output.shape[1:]
        rows.append(
            {
                "layer": layer.name,
                "kind": type(layer).__name__,
                "output": "×".join(map(str, shape)),
                "parameters": layer.count_params(),
                "multiply_adds": multiply_adds(layer),
            }
        )
    return pd.DataFrame(rows)


def cost(model: keras.Model) -> dict[str, int]:
    """Of a whole model: `parameters`, of them `trainable`; `weight_layers` (with kernels);
    `bytes` (4 a parameter); `multiply_adds` for one picture."""
    kernels = [
        layer
        for layer in model.layers
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense)
    ]
    parameters = model.count_params()
    return {
        "weight_layers": len(kernels),
        "parameters": parameters,
        "trainable": sum(math.prod(w.shape) for w in model.trainable_weights),
        "bytes": 4 * parameters,
        "multiply_adds": sum(multiply_adds(layer) for layer in kernels),
    }


#: Name -> maker in `keras.applications`, side in pixels, and the millions of parameters that
#: Keras' own table of its networks prints (keras.io/api/applications).
ORIGINALS: dict[str, tuple[str, int, float]] = {
    "vgg16": ("", 224, 138.4),
    "vgg19": ("", 224, 143.7),
    "resnet50": ("ResNet50", 224, 25.6),
    "inception_v3": ("InceptionV3", 299, 23.9),
    "inception_resnet_v2": ("InceptionResNetV2", 299, 55.9),
    "mobilenet": ("MobileNet", 224, 4.3),
    "mobilenet_v2": ("MobileNetV2", 224, 3.5),
}


def original(name: str) -> keras.Model:
    """A network as published, for ImageNet's 1,000 classes at its own picture size, untrained."""
    from . import build

    maker, size, _ = ORIGINALS[name]
    if not maker:
        return build.original(build.NETWORKS[name], size=size)
    return getattr(keras.applications, maker)(weights=None)


def words(model: keras.Model) -> str:
    """What a model costs, in two short lines for a diagram."""
    counted = cost(model)
    return (
        f"{counted['parameters']:,} parameters\n"
        f"{counted['multiply_adds'] / 1e6:,.1f} M multiply-adds"
    )


def network_table(names: tuple[str, ...], size: int, width: float = 1.0) -> pd.DataFrame:
    """Two rows per network: `as published`, and `with this head` at `size` and `width`.

    names  of `build.NAMES`; one that Keras' table does not have gets the second row only

    Returns `network`, `version`, `size`, `width`, the columns of `cost`, `published_millions`
    (NaN in the second rows). Large models are dropped as soon as they are counted.
    """
    import gc

    from . import build

    rows = []
    for name in names:
        if name in ORIGINALS:
            _, side, millions = ORIGINALS[name]
            row = {"network": name, "version": "as published", "size": side, "width": 1.0}
            rows.append({**row, **cost(original(name)), "published_millions": millions})
        model = build.build(name, size=size, width=width, batch_norm="all", seed=None)
        row = {"network": name, "version": "with this head", "size": size, "width": width}
        rows.append({**row, **cost(model), "published_millions": math.nan})
        del model
        gc.collect()  # half a gigabyte each
    return pd.DataFrame(rows)
