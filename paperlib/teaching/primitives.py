"""What the layers compute, written out: a convolution is a sum of matrix products, and so on.

Each function is the definition, in a few lines of `keras.ops`, for reading and for checking; the
networks use Keras' own layers, and the tests hold the two against each other, weight for weight.
Maps are `(N, H, W, C)`; "same" padding is TensorFlow's: as even as it can be, the odd pixel below
and at the right.
"""

from __future__ import annotations

import numpy as np
from keras import ops


def _windows(x, kernel: tuple[int, int], stride: int, padding: str, fill: float = 0.0):
    """For each place (i, j) of the kernel: the pixels that it lies on, `(N, H', W', C)`."""
    height, width = x.shape[1:3]
    if padding == "same":
        pads = []
        for size, k in ((height, kernel[0]), (width, kernel[1])):
            out = -(-size // stride)
            missing = max((out - 1) * stride + k - size, 0)
            pads.append((missing // 2, missing - missing // 2))
        x = ops.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
        height, width = x.shape[1:3]
    rows, columns = ((s - k) // stride + 1 for s, k in zip((height, width), kernel, strict=True))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            below = slice(i, i + (rows - 1) * stride + 1, stride)
            right = slice(j, j + (columns - 1) * stride + 1, stride)
            yield i, j, x[:, below, right]


def convolution(x, kernel, bias=None, *, stride: int = 1, padding: str = "same"):
    r"""$y_{hwd} = b_d + \sum_{ijc} k_{ijcd}\, x_{h+i,\,w+j,\,c}$: one matrix product per place.

    x  `(N, H, W, C)`; kernel `(h, w, C, D)`; bias `(D,)`

    Returns `(N, H', W', D)`. Dumoulin & Visin 2016, chapter 2.
    """
    kernel = ops.convert_to_tensor(kernel)
    y = sum(
        ops.matmul(seen, kernel[i, j])
        for i, j, seen in _windows(x, tuple(kernel.shape[:2]), stride, padding)
    )
    return y if bias is None else y + bias


def pointwise(x, kernel, bias=None):
    """A 1×1 convolution: the same dense layer at every pixel. kernel `(C, D)`."""
    y = ops.matmul(x, kernel)
    return y if bias is None else y + bias


def depthwise(x, kernel, *, stride: int = 1, padding: str = "same"):
    """One kernel per channel, none mixed: `(N, H, W, C)` with kernel `(h, w, C)`."""
    kernel = ops.convert_to_tensor(kernel)
    places = _windows(x, tuple(kernel.shape[:2]), stride, padding)
    return sum(seen * kernel[i, j] for i, j, seen in places)


def separable(x, depth_kernel, point_kernel, *, stride: int = 1, padding: str = "same"):
    """Depthwise, then pointwise (Howard et al. 2017, figure 2)."""
    return pointwise(depthwise(x, depth_kernel, stride=stride, padding=padding), point_kernel)


def max_pooling(x, side: int, *, stride: int, padding: str = "valid"):
    """The largest of each window, channel by channel."""
    places = _windows(x, (side, side), stride, padding, fill=-np.inf)
    return ops.max(ops.stack([seen for _, _, seen in places]), axis=0)


def average_pooling(x, side: int, *, stride: int, padding: str = "same"):
    """The mean of each window over the pixels inside the picture."""
    total = sum(seen for _, _, seen in _windows(x, (side, side), stride, padding))
    count = sum(seen for _, _, seen in _windows(ops.ones_like(x), (side, side), stride, padding))
    return total / count


def dense(x, kernel, bias=None):
    """A fully connected layer: `(N, C)` with kernel `(C, D)`."""
    y = ops.matmul(x, kernel)
    return y if bias is None else y + bias


def dense_as_convolution(x, kernel, bias=None):
    """The dense layer on a flattened map, as a convolution as large as the map.

    x  `(N, h, w, C)`; kernel `(h·w·C, D)` of the dense layer

    Returns `(N, 1, 1, D)`: flattening only wrote the map row by row, so the same weights, folded
    back to `(h, w, C, D)`, meet the same values.
    """
    kernel = ops.reshape(ops.convert_to_tensor(kernel), (*x.shape[1:], -1))
    return convolution(x, kernel, bias, padding="valid")


def batch_statistics(x):
    """Mean and variance of each channel over the batch and all pixels: `(C,)`, `(C,)`."""
    mean = ops.mean(x, axis=(0, 1, 2))
    return mean, ops.mean(ops.square(x - mean), axis=(0, 1, 2))


def batch_norm(x, gamma, beta, mean, variance, *, epsilon: float = 1e-3):
    r"""$y = \gamma\,(x - \mu)/\sqrt{\sigma^2 + \varepsilon} + \beta$, channel by channel.

    mean, variance  of the batch while training (`batch_statistics`), moving means afterwards

    Ioffe & Szegedy 2015, algorithm 1.
    """
    return gamma * (x - mean) / ops.sqrt(variance + epsilon) + beta


def relu(x):
    """max(x, 0)."""
    return ops.maximum(x, 0.0)
