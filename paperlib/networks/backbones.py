"""The convolutional parts after VGG, taken from `keras.applications` and made to fit here.

Each is rebuilt layer by layer from Keras' own graph, so that it can be narrower, starts from our
seed, and stands in one flat model with the package's head.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from . import pretrained as ready_made
from .conversions import replay


@dataclass(frozen=True)
class Backbone:
    """One network of `keras.applications`.

    maker     its name there
    least     side in pixels of the smallest picture it takes; smaller ones are enlarged
    centred   True where its ready-made weights expect BGR minus ImageNet's mean, as VGG's do; else
              they expect RGB scaled to −1…1
    widths    widths that have ready-made weights
    scaled    True where `keras.applications` builds it at any width (its `alpha`)
    blocks    names by which it can be frozen, from the picture on
    """

    maker: str
    least: int
    centred: bool
    widths: tuple[float, ...]
    scaled: bool
    blocks: tuple[str, ...]


BACKBONES: dict[str, Backbone] = {
    "resnet50": Backbone("ResNet50", 32, True, (1,), False, tuple(f"conv{i}" for i in range(1, 6))),
    "inception_v3": Backbone(
        "InceptionV3", 75, False, (1,), False, tuple(f"mixed{i}" for i in range(11))
    ),
    "inception_resnet_v2": Backbone(
        "InceptionResNetV2",
        75,
        False,
        (1,),
        False,
        ("mixed_5b", "block35", "mixed_6a", "block17", "mixed_7a", "block8", "conv_7b"),
    ),
    "mobilenet": Backbone(
        "MobileNet",
        32,
        False,
        (0.25, 0.5, 0.75, 1),
        True,
        ("conv1", *(f"conv_pw_{i}" for i in range(1, 14))),
    ),
    "mobilenet_v2": Backbone(
        "MobileNetV2",
        32,
        False,
        (0.35, 0.5, 0.75, 1),
        True,
        ("Conv1", "expanded_conv", *(f"block_{i}" for i in range(1, 17)), "Conv_1"),
    ),
}


@keras.saving.register_keras_serializable("paperlib")
class ScaledSum(layers.Layer):
    """`[x, r]` -> x + scale·r: the residual of Inception-ResNet, damped so that it trains stably.

    Szegedy, Ioffe, Vanhoucke & Alemi 2017, section 3.3.
    """

    def __init__(self, scale: float, **options):
        super().__init__(**options)
        self.scale = scale

    def call(self, inputs):
        return inputs[0] + inputs[1] * self.scale

    def compute_output_shape(self, shapes):
        return shapes[0]

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def check(network: str, width: float, weights: object) -> None:
    """Raises `ValueError` for a width that the network, or its ready-made weights, do not have."""
    backbone = BACKBONES[network]
    if weights and width not in backbone.widths:
        given = ", ".join(f"{w:g}" for w in backbone.widths)
        raise ValueError(f"weights: ready-made weights of {network} fit width {given} only")
    if network == "inception_resnet_v2" and (width < 1 / 8 or (width * 32) % 1):
        # its sums need branches that add up to the trunk exactly
        raise ValueError(f"width: of {network} a multiple of 1/32 from 1/8 on, not {width}")


def prepared(x, network: str, size: int, policy: dict):
    """The picture as the network needs it: enlarged by a whole factor where it is too small.

    A whole factor, and not a fixed size, keeps the network one that takes pictures of any size.
    """
    factor = -(-BACKBONES[network].least // size)
    if factor == 1:
        return x
    return layers.UpSampling2D(factor, interpolation="bilinear", name="enlarged", **policy)(x)


def convolutional_part(
    x, network: str, width: float, draw, policy: dict, momentum: float, weights: object = ""
):
    """The network's layers on the tensor `x` `(N, H, W, 3)` -> its last feature map.

    width     channels as a fraction of the published ones
    draw      a source of seeded initialisers: `build._Initialisers`
    momentum  of batch normalisation's moving means
    weights   `""`, `"imagenet"` or a file; raises `PaperError` where they cannot be had
    """
    backbone = BACKBONES[network]
    options = {"input_shape": (max(backbone.least, 32), max(backbone.least, 32), 3)}
    if backbone.scaled:
        options["alpha"] = width
    maker = getattr(keras.applications, backbone.maker)
    if weights:
        template = ready_made.load(maker, weights, **options)
    else:
        template = maker(include_top=False, weights=None, **options)
    share = 1.0 if backbone.scaled else width
    count: dict[str, int] = {}
    made: dict[str, keras.layers.Layer] = {}

    def step(layer, given):
        layer_made = _like(layer, share, draw, policy, momentum, count)
        made[layer.name] = layer_made
        return layer_made(given)

    new = replay(template, x, step)
    if weights:
        for layer in template.layers:
            if layer.weights:
                made[layer.name].set_weights(layer.get_weights())
    return new[id(template.outputs[0])]


def _like(layer, share: float, draw, policy: dict, momentum: float, count: dict[str, int]):
    """A layer like this one, narrower, seeded, and with a name that no other model changes."""
    config = {**layer.get_config(), **policy}
    if "dtype" not in policy:
        config.pop("dtype", None)
    if isinstance(layer, layers.DepthwiseConv2D):
        config["depthwise_initializer"] = draw.depthwise(layer.kernel_size)
    elif isinstance(layer, layers.Conv2D):
        config["filters"] = max(4, round(layer.filters * share)) if share != 1 else layer.filters
        config["kernel_initializer"] = draw()
    elif isinstance(layer, layers.BatchNormalization):
        config["momentum"] = momentum
    kind = ScaledSum if type(layer).__name__ == "CustomScaleLayer" else type(layer)
    automatic = layer.name.rstrip("0123456789").rstrip("_")
    if automatic in _AUTOMATIC:  # Keras counts these over all models of the process
        count[automatic] = count.get(automatic, 0) + 1
        config["name"] = f"{automatic}_{count[automatic]}"
    return kind.from_config(config)


_AUTOMATIC = {
    "activation",
    "add",
    "average_pooling2d",
    "batch_normalization",
    "concatenate",
    "conv2d",
    "custom_scale_layer",
    "max_pooling2d",
}
