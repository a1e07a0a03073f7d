"""A built block as boxes and arrows, read from its graph: what a diagram shows."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers


@dataclass(frozen=True)
class Box:
    """One box of a diagram: a layer with the normalisation and rectifier that follow it.

    name    of its first layer; text: one or two short lines
    kind    input, pointwise, convolution, depthwise, pooling, join, dense or other
    inputs  names of the boxes it reads, in order
    """

    name: str
    text: str
    kind: str
    inputs: tuple[str, ...]


def outline(model: keras.Model) -> list[Box]:
    """The boxes of a functional model, inputs before the boxes that read them."""
    boxes: dict[str, Box] = {}
    within: dict[int, str] = {}  # tensor -> the box whose output it is
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            height, width, channels = layer.output.shape[1:]
            text = f"{height}×{width}, {channels}"
            boxes[layer.name] = Box(layer.name, text, "input", ())
            within[id(layer.output)] = layer.name
            continue
        read = layer.input if isinstance(layer.input, list) else [layer.input]
        sources = tuple(within[id(tensor)] for tensor in read)
        follows = isinstance(
            layer, layers.BatchNormalization | layers.ReLU | layers.Activation | layers.Rescaling
        )
        if follows and boxes[sources[0]].kind != "input":  # written into the box before it
            before = boxes[sources[0]]
            text = before.text
            if isinstance(layer, layers.Rescaling):
                text += f"\n× {layer.scale:g}"
            elif isinstance(layer, layers.BatchNormalization):
                text += "\nnorm"
            else:
                text += " · ReLU" if "\n" in text else "\nReLU"
            boxes[before.name] = Box(before.name, text, before.kind, before.inputs)
            within[id(layer.output)] = before.name
            continue
        kind, text = _words(layer)
        boxes[layer.name] = Box(layer.name, text, kind, sources)
        within[id(layer.output)] = layer.name
    return list(boxes.values())


def _words(layer) -> tuple[str, str]:
    if isinstance(layer, layers.DepthwiseConv2D):
        return "depthwise", f"depthwise {_kernel(layer)}"
    if isinstance(layer, layers.Conv2D):
        kind = "pointwise" if layer.kernel_size == (1, 1) else "convolution"
        stride = f" /{layer.strides[0]}" if layer.strides[0] > 1 else ""
        rectified = layer.activation is keras.activations.relu
        return kind, f"{_kernel(layer)}, {layer.filters}{stride}" + ("\nReLU" if rectified else "")
    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        what = "max" if isinstance(layer, layers.MaxPooling2D) else "mean"
        side = layer.pool_size[0]
        stride = f" /{layer.strides[0]}" if layer.strides[0] > 1 else ""
        return "pooling", f"{what} {side}×{side}{stride}"
    if isinstance(layer, layers.Concatenate):
        return "join", f"join, {layer.output.shape[-1]}"
    if isinstance(layer, layers.Add):
        return "join", "sum"
    if isinstance(layer, layers.Dense):
        return "dense", f"dense {layer.units}"
    return "other", type(layer).__name__


def _kernel(layer) -> str:
    return "×".join(map(str, layer.kernel_size))
