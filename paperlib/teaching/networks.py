"""The building blocks of ResNet, Inception and MobileNet, put together by hand.

Each function takes a Keras tensor `(N, H, W, C)` and returns the block's output; filters are given
as the papers give them. Layers are made in the papers' order, branch by branch, so that weights can
be copied one by one to and from the same block of `keras.applications`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras import layers


def block(function: Callable, shape: tuple[int, int, int], **options) -> keras.Model:
    """One block as a model of its own: `block(identity_block, (56, 56, 256), filters=64)`."""
    x = keras.Input(shape)
    return keras.Model(x, function(x, **options), name=function.__name__)


def conv(x, filters: int, kernel: int | tuple[int, int], *, bias: bool = True, relu: bool = True):
    """A convolution with its bias and rectifier: VGG's and GoogLeNet's only layer."""
    activation = "relu" if relu else None
    return layers.Conv2D(filters, kernel, padding="same", use_bias=bias, activation=activation)(x)


def conv_norm(
    x,
    filters: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: str = "same",
    bias: bool = False,
    scale: bool = False,
    epsilon: float = 1e-3,
    relu: bool = True,
):
    """Convolution, batch normalisation, rectifier: the unit of everything after VGG."""
    x = layers.Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=bias)(x)
    x = layers.BatchNormalization(scale=scale, epsilon=epsilon)(x)
    return layers.ReLU()(x) if relu else x


# ── ResNet-50: He, Zhang, Ren & Sun 2016, figure 5 ──────────────────────────────────────────────

_RESNET = {"bias": True, "scale": True, "epsilon": 1.001e-5}


def identity_block(x, filters: int):
    """1×1 down, 3×3, 1×1 up, and the input added: the block that learns a difference.

    filters  of the first two convolutions; the input has four times as many channels
    """
    y = conv_norm(x, filters, 1, **_RESNET)
    y = conv_norm(y, filters, 3, **_RESNET)
    y = conv_norm(y, 4 * filters, 1, relu=False, **_RESNET)
    return layers.ReLU()(layers.Add()([x, y]))


def conv_block(x, filters: int, stride: int = 2):
    """The same with a 1×1 convolution on the shortcut, where size or channels change."""
    shortcut = conv_norm(x, 4 * filters, 1, stride=stride, relu=False, **_RESNET)
    y = conv_norm(x, filters, 1, stride=stride, **_RESNET)
    y = conv_norm(y, filters, 3, **_RESNET)
    y = conv_norm(y, 4 * filters, 1, relu=False, **_RESNET)
    return layers.ReLU()(layers.Add()([shortcut, y]))


# ── Inception v1: Szegedy et al. 2015, figure 2 ─────────────────────────────────────────────────


def inception_naive(x, filters: tuple[int, int, int]):
    """1×1, 3×3 and 5×5 side by side, and a pooling: the network need not choose.

    filters  of the three convolutions; the pooling passes all channels on, so they only grow
    """
    one, three, five = filters
    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    return layers.Concatenate()([conv(x, one, 1), conv(x, three, 3), conv(x, five, 5), pooled])


def inception_v1(x, filters: tuple[int, int, int, int, int, int]):
    """The same behind 1×1 reductions.

    filters  1×1 · before 3×3, 3×3 · before 5×5, 5×5 · after the pooling
    """
    one, less3, three, less5, five, after = filters
    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    branches = [
        conv(x, one, 1),
        conv(conv(x, less3, 1), three, 3),
        conv(conv(x, less5, 1), five, 5),
        conv(pooled, after, 1),
    ]
    return layers.Concatenate()(branches)


# ── Inception v2 and v3: Szegedy et al. 2016 ────────────────────────────────────────────────────


def two_threes(x, filters: Sequence[int]):
    """Two 3×3 in place of one 5×5: the same 5×5 pixels seen, 18 weights instead of 25."""
    for channels in filters:
        x = conv_norm(x, channels, 3)
    return x


def one_by_n(x, filters: Sequence[int], n: int = 7, *, upright_first: bool = False):
    """1×n and n×1 in turn, in place of n×n: 2n weights instead of n²."""
    for k, channels in enumerate(filters):
        x = conv_norm(x, channels, (n, 1) if (k % 2 == 0) == upright_first else (1, n))
    return x


def inception_5(x, pool: int, *, one: int = 64, five: tuple = (48, 64), threes: tuple = (64, 96)):
    """Figure 5's module at 35×35: 1×1, 5×5, two 3×3, pooling.

    threes  channels of the 1×1 and of both 3×3; pool: after the average pooling
    """
    averaged = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branches = [
        conv_norm(x, one, 1),
        conv_norm(conv_norm(x, five[0], 1), five[1], 5),
        two_threes(conv_norm(x, threes[0], 1), (threes[1], threes[1])),
        conv_norm(averaged, pool, 1),
    ]
    return layers.Concatenate()(branches)


def inception_7(x, inner: int, *, outer: int = 192):
    """Figure 6's module at 17×17: every 7×7 as 1×7 and 7×1."""
    averaged = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    twice = (inner, inner, inner, outer)
    branches = [
        conv_norm(x, outer, 1),
        one_by_n(conv_norm(x, inner, 1), (inner, outer)),
        one_by_n(conv_norm(x, inner, 1), twice, upright_first=True),
        conv_norm(averaged, outer, 1),
    ]
    return layers.Concatenate()(branches)


def inception_wide(x):
    """Figure 7's module at 8×8: 1×3 and 3×1 side by side instead of one after the other."""
    averaged = layers.AveragePooling2D(3, strides=1, padding="same")(x)

    def spread(y):
        return layers.Concatenate()([conv_norm(y, 384, (1, 3)), conv_norm(y, 384, (3, 1))])

    branches = [
        conv_norm(x, 320, 1),
        spread(conv_norm(x, 384, 1)),
        spread(conv_norm(conv_norm(x, 448, 1), 384, 3)),
        conv_norm(averaged, 192, 1),
    ]
    return layers.Concatenate()(branches)


def inception_v4_a(x):
    """Inception v4's module A at 35×35: 1×1, one and two 3×3, pooling (Szegedy 2017, figure 4)."""
    averaged = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branches = [
        conv_norm(averaged, 96, 1),
        conv_norm(x, 96, 1),
        conv_norm(conv_norm(x, 64, 1), 96, 3),
        two_threes(conv_norm(x, 64, 1), (96, 96)),
    ]
    return layers.Concatenate()(branches)


def inception_v4_b(x):
    """Inception v4's module B at 17×17: 1×7 and 7×1 (Szegedy et al. 2017, figure 5)."""
    averaged = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    branches = [
        conv_norm(x, 384, 1),
        one_by_n(conv_norm(x, 192, 1), (224, 256)),
        one_by_n(conv_norm(x, 192, 1), (192, 224, 224, 256), upright_first=True),
        conv_norm(averaged, 128, 1),
    ]
    return layers.Concatenate()(branches)


def inception_v4_c(x):
    """Inception v4's module C at 8×8: every 3×3 as 1×3 beside 3×1 (Szegedy 2017, figure 6)."""
    averaged = layers.AveragePooling2D(3, strides=1, padding="same")(x)

    def side_by_side(y):
        return layers.Concatenate()([conv_norm(y, 256, (1, 3)), conv_norm(y, 256, (3, 1))])

    long = one_by_n(conv_norm(x, 384, 1), (448, 512), n=3)
    branches = [
        conv_norm(x, 256, 1),
        side_by_side(conv_norm(x, 384, 1)),
        side_by_side(long),
        conv_norm(averaged, 256, 1),
    ]
    return layers.Concatenate()(branches)


def reduction(x, filters: int = 384, *, threes: tuple[int, int, int] = (64, 96, 96)):
    """Figure 10's module: halves the side without a bottleneck. Also Inception v4's reduction A.

    filters  of the direct 3×3; threes: of the 1×1 and the two 3×3
    """
    branches = [
        conv_norm(x, filters, 3, stride=2, padding="valid"),
        conv_norm(
            conv_norm(conv_norm(x, threes[0], 1), threes[1], 3),
            threes[2],
            3,
            stride=2,
            padding="valid",
        ),
        layers.MaxPooling2D(3, strides=2)(x),
    ]
    return layers.Concatenate()(branches)


# ── Inception v4's generation, with residuals: Szegedy, Ioffe, Vanhoucke & Alemi 2017 ───────────


def _residual(x, branches: list, scale: float):
    """x + scale · (a 1×1 back to x's channels, without rectifier), then the rectifier."""
    joined = layers.Concatenate()(branches)
    up = layers.Conv2D(x.shape[-1], 1, padding="same")(joined)
    return layers.ReLU()(layers.Add()([x, layers.Rescaling(scale)(up)]))


def inception_resnet_a(x, scale: float = 0.17):
    """Figure 16's block at 35×35."""
    branches = [
        conv_norm(x, 32, 1),
        conv_norm(conv_norm(x, 32, 1), 32, 3),
        conv_norm(conv_norm(conv_norm(x, 32, 1), 48, 3), 64, 3),
    ]
    return _residual(x, branches, scale)


def inception_resnet_b(x, scale: float = 0.1):
    """Figure 17's block at 17×17."""
    return _residual(x, [conv_norm(x, 192, 1), one_by_n(conv_norm(x, 128, 1), (160, 192))], scale)


# ── MobileNet: Howard et al. 2017; Sandler et al. 2018 ──────────────────────────────────────────


def separable_conv(x, filters: int, *, kernel: int = 3):
    """Depthwise, then pointwise, without biases: the article's example."""
    x = layers.DepthwiseConv2D(kernel, padding="same", use_bias=False)(x)
    return layers.Conv2D(filters, 1, use_bias=False)(x)


def mobilenet_block(x, filters: int):
    """Depthwise 3×3 and pointwise 1×1, each normalised and rectified (at 6)."""
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False)(x)
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


def inverted_residual(x, *, expansion: int = 6):
    """MobileNet v2's block: 1×1 up, depthwise, 1×1 down without rectifier, and the input added."""
    norm = {"epsilon": 1e-3, "momentum": 0.999}
    channels = x.shape[-1]
    y = layers.Conv2D(expansion * channels, 1, padding="same", use_bias=False)(x)
    y = layers.ReLU(6.0)(layers.BatchNormalization(**norm)(y))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = layers.ReLU(6.0)(layers.BatchNormalization(**norm)(y))
    y = layers.Conv2D(channels, 1, padding="same", use_bias=False)(y)
    return layers.Add()([x, layers.BatchNormalization(**norm)(y)])
