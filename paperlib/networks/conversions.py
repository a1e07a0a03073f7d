"""The same function as another network: batch norm folded in, dense layers as convolutions.

Both walk a built graph layer by layer and make a new one; neither knows which network it is.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers


def replay(model: keras.Model, x, step: Callable) -> dict[int, object]:
    """Go through a functional graph in order and make it anew on the tensor `x`.

    model  of one input, each layer used once
    step   `step(layer, given)` -> the new tensor for `layer.output`; `given` is the new tensor for
           the layer's input, or a list of them

    Returns id of each old tensor -> new tensor.
    """
    new = {id(model.inputs[0]): x}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        read = layer.input
        several = isinstance(read, list)
        given = [new[id(tensor)] for tensor in read] if several else new[id(read)]
        new[id(layer.output)] = step(layer, given)
    return new


def rebuild(
    model: keras.Model, images, step: Callable, values: dict[str, list[np.ndarray]], name: str
) -> keras.Model:
    """The graph of `model` made anew on the input `images` by `replay`, and its weights set.

    values  name of a new layer -> its weights, as `set_weights` takes them; filled by `step`
    """
    new = replay(model, images, step)
    made = keras.Model(images, new[id(model.outputs[0])], name=name)
    for layer in made.layers:
        if layer.name in values:
            layer.set_weights(values[layer.name])
    return made


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """The same function with each convolution's batch normalisation folded into its kernel.

    For a model of `networks.build`; a normalised network has a layer less to go through for each
    convolution. The result is float32. With s = γ/√(σ² + ε): kernel·s, and β − μ·s (and the bias·s)
    as the bias. A normalisation that does not directly follow a convolution stays.
    """
    readers: dict[int, list] = {}
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
                readers.setdefault(id(tensor), []).append(layer)

    def only_reader(layer):
        found = readers.get(id(layer.output), [])
        return found[0] if len(found) == 1 else None

    gone: set[str] = set()
    values: dict[str, list] = {}

    def step(layer, given):
        if layer.name in gone:
            return given
        options = {**layer.get_config(), "dtype": "float32"}
        values[layer.name] = layer.get_weights()
        norm = only_reader(layer)
        # a depthwise convolution is no Conv2D in Keras
        kinds = layers.Conv2D | layers.DepthwiseConv2D
        linear = isinstance(layer, kinds) and layer.activation is keras.activations.linear
        if linear and isinstance(norm, layers.BatchNormalization):
            values[layer.name] = _folded(layer, norm)
            options["use_bias"] = True
            gone.add(norm.name)
            if _is_relu(following := only_reader(norm)):
                options["activation"] = "relu"
                gone.add(following.name)
        return type(layer).from_config(options)(given)

    images = keras.Input(model.input_shape[1:], name="images")
    return rebuild(model, images, step, values, model.name)


def as_convolutions(model: keras.Model) -> keras.Model:
    """The same network with its dense layers turned into convolutions, for pictures of any size.

    A dense layer with n units that reads a flattened h×w×C map is a convolution with n kernels of
    h×w×C, without padding: the same numbers, one by one, are multiplied and added. A dense layer
    that reads a vector is a 1×1 convolution.

    model  of `networks.build` or `build.original`, trained or not; its weights are taken over

    Returns `(N, H, W, 3)` -> `(N, H', W', outputs)`: at the model's own size H' = W' = 1 and the
    numbers are the model's; larger pictures give one prediction for each place of the h×w window,
    2⁵ pixels apart. Raises `ValueError` for a model without `Flatten`.

    Article, "fully connected layers as convolutions"; Long, Shelhamer & Darrell 2015.
    """
    if not any(isinstance(layer, layers.Flatten) for layer in model.layers):
        raise ValueError(f"model: {model.name} does not flatten, so it needs no conversion")
    side: dict[str, tuple[int, int]] = {}  # of the map that was flattened, until a dense reads it
    values: dict[str, list] = {}

    def step(layer, given):
        if isinstance(layer, layers.Flatten):
            side["map"] = tuple(layer.input.shape[1:3])
            return given
        values[layer.name] = layer.get_weights()
        if not isinstance(layer, layers.Dense):
            return type(layer).from_config(layer.get_config())(given)
        kernel = side.pop("map", (1, 1))
        values[layer.name][0] = values[layer.name][0].reshape(*kernel, -1, layer.units)
        config = layer.get_config()
        same = ("name", "dtype", "activation", "use_bias", "kernel_initializer", "bias_initializer")
        return layers.Conv2D(layer.units, kernel, **{key: config[key] for key in same})(given)

    images = keras.Input((None, None, model.input_shape[-1]), name="images")
    return rebuild(model, images, step, values, f"{model.name}_convolutions")


def _folded(layer, norm: layers.BatchNormalization) -> list[np.ndarray]:
    kernel, *bias = layer.get_weights()
    given = dict(zip([w.name for w in norm.weights], norm.get_weights(), strict=True))
    mean, variance = given["moving_mean"], given["moving_variance"]
    by = given.get("gamma", 1.0) / np.sqrt(variance + norm.epsilon)
    # a depthwise kernel is (h, w, channels, 1): its channels stand one place earlier
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    scaled = kernel * (by.reshape(-1, kernel.shape[3]) if depthwise else by)
    shift = given.get("beta", 0.0) - mean * by
    return [scaled, shift + bias[0] * by if bias else shift]


def _is_relu(layer) -> bool:
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return isinstance(layer, layers.Activation) and layer.activation is keras.activations.relu
