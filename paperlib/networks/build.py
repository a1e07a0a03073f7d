"""VGG and its successors with the package's head, at any input size and width.

The five configurations of Simonyan & Zisserman (2015, table 1; the paper's figure 1) come out of
one table. The paper's network is configuration D (VGG-16). Its section 4.2 names, in this order:
mean of ImageNet removed, VGGNet-16, batch normalisation, flatten between convolutions and dense
layers, LeakyReLU; where exactly they stand, and the sizes, it does not say. Here the head is batch
normalisation, flatten, a dense layer with LeakyReLU of slope 0.1, and one sigmoid per label. The
convolutional parts that came after VGG are in `backbones`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from ..utils import backend
from . import backbones
from . import pretrained as ready_made
from .conversions import fold_batch_norm
from .pretrained import weights_file, weights_name

__all__ = [
    "CONFIGURATIONS",
    "NAMES",
    "NETWORKS",
    "VARIATIONS",
    "Design",
    "blocks",
    "build",
    "fold_batch_norm",
    "freeze",
    "original",
    "weights_file",
    "weights_name",
]

backend.settle()

#: Configuration -> kernel sides of the convolutions in each of the five blocks.
CONFIGURATIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
#: Channels of the five blocks at width 1.
CHANNELS: tuple[int, ...] = (64, 128, 256, 512, 512)
#: Name of a network -> its configuration.
NETWORKS: dict[str, str] = {"vgg11": "A", "vgg13": "B", "vgg16c": "C", "vgg16": "D", "vgg19": "E"}


@dataclass(frozen=True)
class Design:
    """A convolutional part in VGG's manner, block after block.

    kernels   sides of the convolutions in each block
    channels  of each block at width 1
    halved    whether a block ends with 2×2 pooling
    within    `""`: one convolution after the other; `"skips"`: a convolution that keeps the number
              of channels adds its input to its output (He et al. 2016, without a weight more);
              `"paths"`: each is half its channels of one 3×3, beside half of two 3×3 in a row
              (Szegedy et al. 2016)
    """

    kernels: tuple[tuple[int, ...], ...]
    channels: tuple[int, ...] = CHANNELS
    halved: tuple[bool, ...] = (True,) * 5
    within: str = ""


def _three(*counts: int) -> tuple[tuple[int, ...], ...]:
    return tuple((3,) * count for count in counts)


#: VGG-16 with one thing changed, for the comparisons of `design_rules`.
VARIATIONS: dict[str, Design] = {
    "vgg16-three-halvings": Design(_three(2, 2, 3, 3, 3), halved=(True, True, True, False, False)),
    "vgg16-lopsided": Design(_three(1, 1, 9, 1, 1)),
    "vgg16-flat": Design(_three(2, 2, 3, 3, 3), channels=(136,) * 5),
    "vgg16-paths": Design(_three(2, 2, 3, 3, 3), within="paths"),
    "vgg16-skips": Design(_three(2, 2, 3, 3, 3), within="skips"),
    "vgg11-three-halvings": Design(_three(1, 1, 2, 2, 2), halved=(True, True, True, False, False)),
    "vgg11-skips": Design(_three(1, 1, 2, 2, 2), within="skips"),
}
_DESIGNS = {name: Design(CONFIGURATIONS[letter]) for name, letter in NETWORKS.items()} | VARIATIONS
#: Every published network that `build` makes; it makes `VARIATIONS` too.
NAMES: tuple[str, ...] = (*NETWORKS, *backbones.BACKBONES)

#: Mean of ImageNet's training pictures, blue, green, red (the order Oxford's weights expect).
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
_MOMENTUM = 0.9  # of batch normalisation's moving means: settled within an epoch of few steps
_SCALE = 58.0  # the standard deviation of ImageNet's pixels; only for networks from scratch


@keras.saving.register_keras_serializable("paperlib")
class RemoveImageNetMean(layers.Layer):
    """`(N, H, W, 3)` RGB in 0…255 -> BGR minus ImageNet's mean, over `scale`, in float32.

    `scale` 1 is what weights trained by Oxford's recipe expect. A network from scratch learns
    faster from inputs near unit variance, so `build` gives it the pixels' standard deviation.
    """

    def __init__(self, scale: float = 1.0, **options):
        super().__init__(**{**options, "dtype": "float32"})
        self.scale = scale

    def call(self, images):
        images = ops.flip(ops.cast(images, "float32"), axis=-1)
        return (images - ops.convert_to_tensor(IMAGENET_MEAN_BGR, "float32")) / self.scale

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def build(
    network: str = "vgg16",
    *,
    size: int,
    width: float = 1.0,
    outputs: int = 17,
    weights: str | Path = "",
    batch_norm: str = "head",
    dropout: float = 0.0,
    dense: int = 512,
    precision: str = "float32",
    seed: int | None = 0,
    centred_only: bool | None = None,
    frozen_to: str = "",
) -> keras.Model:
    """The network with the package's head, initialised by `seed` (None: with zeros, for counting).

    network    one of `NAMES`, or of `VARIATIONS`
    size       height and width of the input in pixels, 32 or more (five halvings); a picture
               smaller than the Inception networks take (75) is enlarged twofold or threefold
    width      channels and dense units as a fraction of the published ones, up to 1
    outputs    number of labels
    weights    of the convolutional part: `""` (from scratch, He initialisation), `"imagenet"`
               (Keras's own, downloaded), or a file: see `weights_file`. A VGG of less `width`
               takes the channels with the largest kernels (sum of absolute values; Li et al. 2017)
    batch_norm `"head"`, once after the convolutional part, or `"all"`, also after
               every convolution, which a network from scratch needs to train in few epochs; the
               networks after VGG normalise every convolution under either
    dropout    fraction of the dense units dropped while training
    dense      units of the dense layer at width 1
    centred_only  the input is prepared as ready-made weights need it (ImageNet's mean removed and
               no more; for Inception and MobileNet scaled to −1…1); by default so with `weights`,
               and ImageNet's mean removed and scaled to unit variance from scratch
    frozen_to  `""`, or a block or layer (see `blocks`): it and all before it do not learn
    precision  Keras dtype policy; the input and the output are float32 under any

    Returns a model `(N, size, size, 3)` RGB in 0…255, uint8 or float -> `(N, outputs)` float32.
    Raises `ValueError` for arguments that do not fit together.
    """
    if network not in NAMES and network not in VARIATIONS:
        raise ValueError(f"network: one of {', '.join(NAMES)}, not {network!r}")
    if size < 32:
        raise ValueError(f"size: five halvings need 32 pixels or more, not {size}")
    if batch_norm not in ("head", "all"):
        raise ValueError(f"batch_norm: 'head' or 'all', not {batch_norm!r}")
    if not 0 < width <= 1:
        raise ValueError(f"width: above 0 and up to 1, not {width}")
    if network in backbones.BACKBONES:
        backbones.check(network, width, weights)

    if centred_only is None:
        centred_only = bool(weights)
    draw = _Initialisers(seed)
    policy = {"dtype": keras.DTypePolicy(precision)}
    images = keras.Input((size, size, 3), name="images")
    if network in _DESIGNS:
        x = RemoveImageNetMean(1.0 if centred_only else _SCALE, name="imagenet_mean")(images)
        x = _convolutional_part(x, _DESIGNS[network], width, batch_norm == "all", draw, policy)
    else:
        if centred_only and not backbones.BACKBONES[network].centred:
            x = layers.Rescaling(1 / 127.5, -1.0, name="imagenet_range", dtype="float32")(images)
        else:
            x = RemoveImageNetMean(1.0 if centred_only else _SCALE, name="imagenet_mean")(images)
        x = backbones.prepared(x, network, size, policy)
        x = backbones.convolutional_part(x, network, width, draw, policy, _MOMENTUM, weights)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name="batch_norm", **policy)(x)
    x = layers.Flatten(name="flatten", **policy)(x)
    x = layers.Dense(_share(dense, width), kernel_initializer=draw(), name="dense", **policy)(x)
    x = layers.LeakyReLU(negative_slope=0.1, name="leaky_relu", **policy)(x)
    if dropout:
        x = layers.Dropout(dropout, seed=draw.number(), name="dropout", **policy)(x)
    # float32: half a precision's sigmoid rounds rare labels' probabilities to 0 and 1
    x = layers.Dense(
        outputs,
        activation="sigmoid",
        kernel_initializer=keras.initializers.GlorotUniform(draw.number()),
        name="labels",
        dtype="float32",
    )(x)
    model = keras.Model(images, x, name=network)
    if weights and network in _DESIGNS:
        _load_convolutional_part(model, network, weights)
    if frozen_to:
        freeze(model, frozen_to)
    return model


def blocks(network: str) -> tuple[str, ...]:
    """Names by which `network` can be frozen, from the picture on; any layer's name does too."""
    if network in _DESIGNS:
        return tuple(f"block{b}" for b in range(1, 1 + len(CHANNELS)))
    return backbones.BACKBONES[network].blocks


def freeze(model: keras.Model, frozen_to: str) -> None:
    """Make a layer of the convolutional part, and all that it depends on, keep their weights.

    frozen_to  a layer's name or a block's: `"block4"` stands for the last layer called `block4_…`

    A frozen batch normalisation also keeps its moving means. Raises `ValueError` for other names.
    """
    below = keras.Model(model.input, model.get_layer("batch_norm").input).layers
    names = [
        layer.name
        for layer in below
        if layer.name == frozen_to or layer.name.startswith(f"{frozen_to}_")
    ]
    if not names:
        there = ", ".join(blocks(model.name)) if model.name in NAMES else "its layers"
        raise ValueError(f"frozen_to: of {model.name} one of {there}, not {frozen_to!r}")
    for layer in keras.Model(model.input, model.get_layer(names[-1]).output).layers:
        layer.trainable = False


def original(configuration: str, *, size: int = 224, classes: int = 1000) -> keras.Model:
    """VGG as first published: three dense layers (4096, 4096, classes) and a softmax.

    For counting parameters (Simonyan & Zisserman 2015, table 2: 133 to 144 million).
    """
    draw = _Initialisers(None)
    images = keras.Input((size, size, 3), name="images")
    design = Design(CONFIGURATIONS[configuration])
    x = _convolutional_part(images, design, 1.0, False, draw, {})
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", kernel_initializer="zeros", name=name)(x)
    x = layers.Dense(classes, activation="softmax", kernel_initializer="zeros", name="classes")(x)
    return keras.Model(images, x, name=f"vgg_{configuration}")


class _Initialisers:
    """A fresh seed for each layer, so that no two layers start alike and all follow one seed."""

    def __init__(self, seed: int | None):
        self.seed, self.drawn = seed, 0

    def number(self) -> int | None:
        self.drawn += 1
        if self.seed is None:
            return None
        return (self.seed * 1_000_003 + self.drawn) % 2**31

    def __call__(self):
        # He, Zhang, Ren & Sun (2015): keeps the variance through sixteen rectified layers
        return "zeros" if self.seed is None else keras.initializers.HeNormal(self.number())

    def depthwise(self, kernel: tuple[int, int]):
        """The same for a depthwise kernel: one channel feeds each output, which Keras' own rule
        takes for all of them."""
        if self.seed is None:
            return "zeros"
        spread = (2 / (kernel[0] * kernel[1])) ** 0.5
        return keras.initializers.TruncatedNormal(stddev=spread / 0.8796, seed=self.number())


def _share(channels: int, width: float) -> int:
    return max(4, round(channels * width))


def _convolutional_part(x, design: Design, width: float, normalise: bool, draw, policy):
    for b, (kernels, channels) in enumerate(
        zip(design.kernels, design.channels, strict=True), start=1
    ):
        share = _share(channels, width)
        for c, kernel in enumerate(kernels, start=1):
            name, given = f"block{b}_conv{c}", x
            if design.within == "paths":
                half = share // 2
                near = _convolution(x, kernel, half, f"{name}a", normalise, draw, policy)
                far = _convolution(x, kernel, half, f"{name}b", normalise, draw, policy)
                far = _convolution(far, kernel, half, f"{name}c", normalise, draw, policy)
                x = layers.Concatenate(name=f"{name}_join", **policy)([near, far])
            else:
                x = _convolution(x, kernel, share, name, normalise, draw, policy)
            if design.within == "skips" and given.shape[-1] == x.shape[-1]:
                x = layers.Add(name=f"{name}_sum", **policy)([given, x])
        if design.halved[b - 1]:
            x = layers.MaxPooling2D(2, name=f"block{b}_pool", **policy)(x)
    return x


def _convolution(x, kernel: int, channels: int, name: str, normalise: bool, draw, policy):
    x = layers.Conv2D(
        channels,
        kernel,
        padding="same",
        activation=None if normalise else "relu",
        use_bias=not normalise,
        kernel_initializer=draw(),
        name=name,
        **policy,
    )(x)
    if normalise:
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm", **policy)(x)
        x = layers.ReLU(name=f"{name}_relu", **policy)(x)
    return x


def _load_convolutional_part(model: keras.Model, network: str, weights: str | Path) -> None:
    maker = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}.get(network)
    if maker is None:
        raise ValueError(f"weights: ready-made ones are for vgg16 and vgg19, not {network}")
    made = ready_made.load(maker, weights, input_shape=(32, 32, 3))
    inputs = np.arange(3)
    for layer in made.layers:
        if not layer.weights:
            continue
        own = model.get_layer(layer.name)
        kernel, bias = layer.get_weights()
        kernel = kernel[:, :, inputs]
        largest = np.argsort(-np.abs(kernel).sum((0, 1, 2)), kind="stable")[: own.filters]
        inputs = np.sort(largest)
        own.set_weights([kernel[..., inputs], bias[inputs]][: len(own.weights)])
