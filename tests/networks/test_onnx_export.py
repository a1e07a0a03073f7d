"""Every network that `build` makes predicts the same in Keras and, as ONNX, in ONNX Runtime."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from paperlib.networks import build, conversions, onnx_export


def shaken(model):
    """The model with every weight away from its start, so that no layer is the identity."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        values = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            *scale, beta, mean, variance = values  # Inception has no scale
            layer.set_weights(
                [
                    *(gamma * rng.uniform(0.8, 1.2, gamma.shape) for gamma in scale),
                    beta + rng.normal(0, 0.1, beta.shape),
                    mean + rng.normal(0, 0.1, mean.shape),
                    variance * rng.uniform(0.8, 1.25, variance.shape),
                ]
            )
        elif len(values) == 2:
            layer.set_weights([values[0], values[1] + rng.normal(0, 0.05, values[1].shape)])
    return model


def answers(graph, images):
    session = onnxruntime.InferenceSession(
        onnx_export.to_bytes(graph), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {onnx_export.INPUT: images})[0]


def chips(size, count=3):
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)


CASES = [
    *[(name, 32, 0.0625) for name in (*build.NETWORKS, *build.VARIATIONS)],
    ("resnet50", 32, 0.125),
    ("mobilenet", 32, 0.25),
    ("mobilenet_v2", 32, 0.35),
    ("inception_v3", 32, 0.125),
    ("inception_resnet_v2", 32, 0.125),
    ("vgg16", 47, 0.0625),  # no multiple of 32: the last rows are left out at every halving
    ("resnet50", 45, 0.125),
    ("mobilenet_v2", 45, 0.35),  # "same" pads unevenly
]


@pytest.mark.parametrize(("name", "size", "width"), CASES)
def test_a_network_gives_the_same_probabilities(name, size, width):
    model = shaken(build.build(name, size=size, width=width, batch_norm="all", seed=1, dropout=0.1))
    images = chips(size)
    expected = model.predict(images, verbose=0)
    assert np.ptp(expected) > 0.01  # else nothing is compared
    for network in (model, conversions.fold_batch_norm(model)):
        graph = onnx_export.to_onnx(network)
        onnx.checker.check_model(graph, full_check=True)
        assert np.abs(answers(graph, images) - expected).max() < 1e-4


@pytest.mark.parametrize("name", ["vgg16", "mobilenet"])
@pytest.mark.parametrize("centred_only", [True, False])
def test_each_way_of_preparing_the_images(name, centred_only):
    model = build.build(name, size=32, width=0.25, seed=2, centred_only=centred_only)
    images = chips(32)
    expected = model.predict(images, verbose=0)
    assert np.abs(answers(onnx_export.to_onnx(model), images) - expected).max() < 1e-4


def test_every_published_network_is_a_case():
    assert {name for name, _, _ in CASES} == {*build.NAMES, *build.VARIATIONS}


def test_equal_networks_give_equal_bytes():
    written = [
        onnx_export.to_bytes(
            onnx_export.to_onnx(build.build("vgg11", size=32, width=0.0625, seed=3))
        )
        for _ in range(2)
    ]
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (layers.Conv2DTranspose(3, 3, name="odd"), "odd: a Conv2DTranspose is not written"),
        (layers.Activation("gelu", name="odd"), "odd: the activation gelu"),
        (layers.ReLU(negative_slope=0.2, name="odd"), "odd: only a plain ReLU"),
    ],
)
def test_what_has_no_counterpart_is_named(layer, says):
    images = keras.Input((32, 32, 3))
    x = layers.Flatten()(layer(images))
    model = keras.Model(images, layers.Dense(2)(x))
    with pytest.raises(ValueError, match=says):
        onnx_export.to_onnx(model)
