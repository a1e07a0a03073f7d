"""Folding and dense layers as convolutions: the same numbers, from trained weights, at any size."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from paperlib.networks import build, conversions
from paperlib.profiles import profile
from paperlib.training.config import Config
from paperlib.training.runs import find


def images(count=2, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def trained(size, network="vgg16", **options):
    """A network after a few steps: its biases and moving means are no longer where they began."""
    keras.utils.set_random_seed(0)
    model = build.build(
        network, size=size, **{"width": 0.0625, "outputs": 3, "batch_norm": "all", **options}
    )
    before = [np.array(w) for w in model.get_weights()]
    # XLA would take longer to compile than all the rest takes
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", jit_compile=False)
    model.fit(images(4, size), np.arange(12).reshape(4, 3) % 2, batch_size=2, verbose=0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(moved)
    return model


@pytest.mark.parametrize("size", [224, 96])
def test_dense_layers_as_convolutions_give_the_same_numbers(size):
    model = trained(size)
    converted = conversions.as_convolutions(model)
    assert not [layer for layer in converted.layers if isinstance(layer, layers.Dense)]
    assert converted.count_params() == model.count_params()
    found = np.asarray(converted(images(3, size, seed=1)))
    expected = np.asarray(model(images(3, size, seed=1)))
    assert found.shape == (3, 1, 1, 3)
    assert np.ptp(expected) > 1e-3
    assert np.abs(found[:, 0, 0] - expected).max() < 1e-5


def test_a_larger_picture_gives_the_head_at_every_place():
    """Each number of the map is the dense head's answer to its own window of the feature map."""
    model = trained(64)
    converted = conversions.as_convolutions(model)
    picture = images(1, 160, seed=2)
    found = np.asarray(converted(picture))
    assert found.shape == (1, 4, 4, 3)  # 5 × 5 places of the feature map, windows of 2 × 2
    trunk = keras.Model(converted.input, converted.get_layer("batch_norm").output)
    seen = np.asarray(trunk(picture))
    head_in = keras.Input(model.get_layer("flatten").input.shape[1:])
    x = head_in
    for name in ("flatten", "dense", "leaky_relu", "labels"):
        x = model.get_layer(name)(x)
    head = keras.Model(head_in, x)
    for i, j in ((0, 0), (1, 3), (3, 2)):
        window = seen[:, i : i + 2, j : j + 2]
        assert np.abs(np.asarray(head(window))[0] - found[0, i, j]).max() < 1e-5


def test_vgg_as_published_becomes_convolutional_with_the_same_parameters():
    dense = build.original("A", size=64, classes=5)
    rng = np.random.default_rng(0)
    for layer in dense.layers:
        layer.set_weights([rng.normal(0, 0.02, w.shape) for w in layer.get_weights()])
    converted = conversions.as_convolutions(dense)
    assert tuple(converted.get_layer("fc1").kernel.shape) == (2, 2, 512, 4096)
    assert converted.count_params() == dense.count_params()
    x = images(1, 64).astype("float32")
    expected = np.asarray(dense(x))
    assert np.allclose(np.asarray(converted(x))[:, 0, 0], expected, rtol=1e-5, atol=1e-6)


def test_the_kept_run_converts(root):
    run = find(Config.of(profile("planet32")), root / "results" / "planet32" / "runs")
    if run is None or not run.weights_file.is_file():
        pytest.skip("the weights of the profile's network are not in this machine's cache")
    model = run.model()
    converted = conversions.as_convolutions(model)
    expected = np.asarray(model(images(16)))
    assert np.ptp(expected) > 0.5
    assert np.abs(np.asarray(converted(images(16)))[:, 0, 0] - expected).max() < 1e-5
    assert converted(images(1, 96)).shape == (1, 3, 3, 17)


def test_a_network_that_does_not_flatten_is_refused():
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, layers.GlobalAveragePooling2D()(x))
    with pytest.raises(ValueError, match="does not flatten"):
        conversions.as_convolutions(model)


def test_folding_a_graph_with_branches():
    """Convolutions with and without bias, depthwise ones, and one whose output is read twice."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, name="plain", kernel_initializer="he_normal")(inputs)
    x = layers.BatchNormalization(name="n1", scale=False)(x)
    x = layers.Activation("relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="deep")(x)
    y = layers.BatchNormalization(name="n2")(y)
    y = layers.ReLU(6.0)(y)
    z = layers.Conv2D(6, 1, name="twice")(x)
    w = layers.BatchNormalization(name="n3")(z)
    out = layers.Add()([y, z, w])
    model = keras.Model(inputs, out)
    rng = np.random.default_rng(0)
    for name in ("n1", "n2", "n3"):
        norm = model.get_layer(name)
        norm.set_weights([rng.uniform(0.5, 2, v.shape) for v in norm.get_weights()])
    folded = conversions.fold_batch_norm(model)
    kept = [n.name for n in folded.layers if isinstance(n, layers.BatchNormalization)]
    assert kept == ["n3"]  # the convolution before it is read by the sum as well
    assert any(isinstance(layer, layers.ReLU) for layer in folded.layers)  # at 6: no plain one
    given = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    assert np.allclose(folded(given), model(given), rtol=1e-4, atol=1e-4)
