"""A Keras network written as an ONNX graph, which ONNX Runtime predicts with.

Keras' own export goes by way of tf2onnx, whose last release does not import under NumPy 2 unless
Keras patches it, and cannot write the networks' own layers. The layers that `build` uses are few.

ONNX keeps channels before rows and columns: the graph turns the images once, and the last map back
before it is flattened, so that a dense layer's weights stay in Keras' order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from .backbones import ScaledSum
from .build import IMAGENET_MEAN_BGR, RemoveImageNetMean

if TYPE_CHECKING:
    import onnx

OPSET, IR = 18, 9  # what every ONNX Runtime from 1.17 on reads
INPUT, OUTPUT = "images", "probability"
_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax", "tanh": "Tanh"}
_NHWC_TO_NCHW, _NCHW_TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def to_onnx(model: keras.Model) -> onnx.ModelProto:
    """The same function as an ONNX graph.

    Parameters
    ----------
    model : keras.Model
        Of `networks.build`: one input `(N, S, S, 3)` RGB in 0…255, one output `(N, L)`. Convert
        the folded network (`conversions.fold_batch_norm`), which has fewer layers.

    Returns
    -------
    onnx.ModelProto
        Input `images` `(N, S, S, 3)` uint8, output `probability` `(N, L)` float32. Equal networks
        give equal graphs.

    Raises
    ------
    ValueError
        For a layer, or a setting of one, that has no counterpart here, naming it.
    """
    return _Graph(model).model()


def to_bytes(graph: onnx.ModelProto) -> bytes:
    """What a `.onnx` file holds; equal graphs give equal bytes."""
    return graph.SerializeToString(deterministic=True)


class _Graph:
    """The graph while it is made: nodes and weights in order, and each tensor's name."""

    def __init__(self, model: keras.Model):
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self.keras, self.nodes, self.weights = model, [], []

    def model(self) -> onnx.ModelProto:
        from onnx import TensorProto

        from .conversions import replay

        if len(self.keras.inputs) != 1 or len(self.keras.outputs) != 1:
            raise ValueError(f"model: {self.keras.name} has not one input and one output")
        value = self.node("Cast", [INPUT], INPUT, to=TensorProto.FLOAT)
        value = self.node("Transpose", [value], INPUT, perm=_NHWC_TO_NCHW)
        new = replay(self.keras, value, self.layer)
        self.nodes.append(
            self._helper.make_node(
                "Identity", [new[id(self.keras.outputs[0])]], [OUTPUT], name=OUTPUT
            )
        )
        count = self.keras.output_shape[-1]
        sides = ["N", *self.keras.input_shape[1:]]
        graph = self._helper.make_graph(
            self.nodes,
            self.keras.name,
            [self._helper.make_tensor_value_info(INPUT, TensorProto.UINT8, sides)],
            [self._helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", count])],
            self.weights,
        )
        return self._helper.make_model(
            graph,
            producer_name="paperlib",
            ir_version=IR,
            opset_imports=[self._helper.make_opsetid("", OPSET)],
        )

    def node(self, kind: str, given: Sequence[str], name: str, **options) -> str:
        """Append a node; returns the name of what it gives."""
        made = f"{name}/{kind.lower()}"
        self.nodes.append(self._helper.make_node(kind, list(given), [made], name=made, **options))
        return made

    def weight(self, name: str, value) -> str:
        array = np.ascontiguousarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        self.weights.append(self._numpy.from_array(array, name))
        return name

    def layer(self, layer: layers.Layer, given) -> str:
        for kind, write in _WRITERS.items():
            if isinstance(layer, kind):
                if getattr(layer, "data_format", "channels_last") != "channels_last":
                    raise ValueError(f"{layer.name}: channels_first is not written as ONNX")
                return write(self, layer, given)
        raise ValueError(f"{layer.name}: a {type(layer).__name__} is not written as ONNX")

    def activation(self, layer: layers.Layer, given: str) -> str:
        name = layer.activation.__name__
        if name == "linear":
            return given
        if name == "relu6":
            return self.clipped(layer, given, 0.0, 6.0)
        if name not in _ACTIVATIONS:
            raise ValueError(f"{layer.name}: the activation {name} is not written as ONNX")
        return self.node(_ACTIVATIONS[name], [given], layer.name)

    def clipped(self, layer: layers.Layer, given: str, low: float, high: float) -> str:
        ends = [
            self.weight(f"{layer.name}/{end}", np.float32(value))
            for end, value in (("low", low), ("high", high))
        ]
        return self.node("Clip", [given, *ends], layer.name)


# ---- one function for each kind of layer: (graph, layer, name of what it reads) -> name ----------


def _same(graph, layer, given):
    return given


def _mean(graph, layer, given):
    """Red, green, blue minus the mean, then turned around: the same as Keras' other order."""
    mean = np.float32(IMAGENET_MEAN_BGR)[::-1].reshape(1, 3, 1, 1)
    given = graph.node("Sub", [given, graph.weight(f"{layer.name}/mean", mean)], layer.name)
    if layer.scale != 1:
        scale = graph.weight(f"{layer.name}/scale", np.float32(layer.scale))
        given = graph.node("Div", [given, scale], layer.name)
    order = graph.weight(f"{layer.name}/bgr", np.int64([2, 1, 0]))
    return graph.node("Gather", [given, order], layer.name, axis=1)


def _rescaling(graph, layer, given):
    scale = graph.weight(f"{layer.name}/scale", np.float32(layer.scale))
    offset = graph.weight(f"{layer.name}/offset", np.float32(layer.offset))
    return graph.node("Add", [graph.node("Mul", [given, scale], layer.name), offset], layer.name)


def _enlarged(graph, layer, given):
    if layer.interpolation != "bilinear":
        raise ValueError(f"{layer.name}: only bilinear enlarging is written as ONNX")
    scales = graph.weight(f"{layer.name}/scales", np.float32([1, 1, *layer.size]))
    return graph.node(
        "Resize",
        [given, "", scales],
        layer.name,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _convolution(graph, layer, given):
    kernel, *bias = layer.get_weights()
    if isinstance(layer, layers.DepthwiseConv2D):  # (h, w, channels, multiplier)
        height, width, groups, more = kernel.shape  # each channel is a group
        kernel = kernel.reshape(height, width, 1, groups * more)
    else:
        groups = layer.groups
    reads = [given, graph.weight(f"{layer.name}/kernel", kernel.transpose(3, 2, 0, 1))]
    if bias:
        reads.append(graph.weight(f"{layer.name}/bias", bias[0]))
    made = graph.node(
        "Conv",
        reads,
        layer.name,
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=groups,
        pads=_pads(layer, layer.kernel_size, layer.dilation_rate),
    )
    return graph.activation(layer, made)


def _batch_norm(graph, layer, given):
    named = dict(zip([w.name for w in layer.weights], layer.get_weights(), strict=True))
    mean = named["moving_mean"]
    values = {
        "gamma": named.get("gamma", np.ones_like(mean)),
        "beta": named.get("beta", np.zeros_like(mean)),
        "mean": mean,
        "variance": named["moving_variance"],
    }
    reads = [given, *(graph.weight(f"{layer.name}/{name}", v) for name, v in values.items())]
    return graph.node("BatchNormalization", reads, layer.name, epsilon=layer.epsilon)


def _relu(graph, layer, given):
    if layer.negative_slope or layer.threshold:
        raise ValueError(f"{layer.name}: only a plain ReLU is written as ONNX")
    if layer.max_value is not None:
        return graph.clipped(layer, given, 0.0, float(layer.max_value))
    return graph.node("Relu", [given], layer.name)


def _leaky_relu(graph, layer, given):
    return graph.node("LeakyRelu", [given], layer.name, alpha=float(layer.negative_slope))


def _activation(graph, layer, given):
    return graph.activation(layer, given)


def _pool(graph, layer, given):
    kind, options = "MaxPool", {}
    if isinstance(layer, layers.AveragePooling2D):
        kind, options = "AveragePool", {"count_include_pad": 0}
    return graph.node(
        kind,
        [given],
        layer.name,
        kernel_shape=layer.pool_size,
        strides=layer.strides,
        pads=_pads(layer, layer.pool_size, (1, 1)),
        **options,
    )


def _zero_padding(graph, layer, given):
    (top, bottom), (left, right) = layer.padding
    ends = np.int64([0, 0, top, left, 0, 0, bottom, right])
    return graph.node("Pad", [given, graph.weight(f"{layer.name}/pads", ends)], layer.name)


def _concatenation(graph, layer, given):
    if layer.axis not in (-1, 3):
        raise ValueError(f"{layer.name}: only channels are joined in ONNX")
    return graph.node("Concat", given, layer.name, axis=1)


def _sum(graph, layer, given):
    total = given[0]
    for number, other in enumerate(given[1:], start=1):
        name = layer.name if number == 1 else f"{layer.name}/{number}"
        total = graph.node("Add", [total, other], name)
    return total


def _scaled_sum(graph, layer, given):
    scale = graph.weight(f"{layer.name}/scale", np.float32(layer.scale))
    return _sum(graph, layer, [given[0], graph.node("Mul", [given[1], scale], layer.name)])


def _flatten(graph, layer, given):
    if len(layer.input.shape) == 4:
        given = graph.node("Transpose", [given], layer.name, perm=_NCHW_TO_NHWC)
    return graph.node("Flatten", [given], layer.name, axis=1)


def _dense(graph, layer, given):
    if len(layer.input.shape) != 2:
        raise ValueError(f"{layer.name}: only a dense layer that reads vectors is written as ONNX")
    kernel, *bias = layer.get_weights()
    reads = [given, graph.weight(f"{layer.name}/kernel", kernel)]
    if bias:
        reads.append(graph.weight(f"{layer.name}/bias", bias[0]))
    return graph.activation(layer, graph.node("Gemm", reads, layer.name))


def _pads(layer, kernel: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """Rows above, columns to the left, rows below, columns to the right, as TensorFlow pads.

    "same" gives ⌈side/stride⌉ places; of an odd number of missing rows the larger half is below.
    """
    if layer.padding == "valid":
        return [0, 0, 0, 0]
    before, after = [], []
    for side, k, stride, d in zip(
        layer.input.shape[1:3], kernel, layer.strides, dilation, strict=True
    ):
        if side is None:
            raise ValueError(f"{layer.name}: the image's size must be fixed for ONNX")
        missing = max((-(-side // stride) - 1) * stride + (k - 1) * d + 1 - side, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return [*before, *after]


_WRITERS: dict[type[layers.Layer], Callable[[_Graph, layers.Layer, str], str]] = {
    layers.Dropout: _same,  # acts only while training
    RemoveImageNetMean: _mean,
    layers.Rescaling: _rescaling,
    layers.UpSampling2D: _enlarged,
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.BatchNormalization: _batch_norm,
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.Activation: _activation,
    layers.MaxPooling2D: _pool,
    layers.AveragePooling2D: _pool,
    layers.ZeroPadding2D: _zero_padding,
    layers.Concatenate: _concatenation,
    layers.Add: _sum,
    ScaledSum: _scaled_sum,
    layers.Flatten: _flatten,
    layers.Dense: _dense,
}
