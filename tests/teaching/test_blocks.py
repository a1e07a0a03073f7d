"""Written-out layers against Keras'; hand-built blocks against those of keras.applications."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from paperlib.networks import complexity
from paperlib.teaching import networks, primitives


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(found, expected, tolerance=1e-5):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.ptp(expected) > 0.1
    assert np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


def weights_of(layer, x):
    layer.build(x.shape)
    layer.set_weights([normal(*w.shape, seed=i + 1) for i, w in enumerate(layer.weights)])
    return layer.get_weights()


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 5), (1, 7), (2, 3)])
def test_convolution(kernel, stride, padding):
    x = normal(2, 9, 8, 3)
    layer = layers.Conv2D(4, kernel, strides=stride, padding=padding)
    k, b = weights_of(layer, x)
    close(primitives.convolution(x, k, b, stride=stride, padding=padding), layer(x))
    if kernel == (1, 1) and stride == 1:
        close(primitives.pointwise(x, k[0, 0], b), layer(x))


@pytest.mark.parametrize(("stride", "padding"), [(1, "same"), (2, "same"), (2, "valid")])
def test_depthwise_and_separable(stride, padding):
    x = normal(2, 9, 8, 3)
    layer = layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False)
    (k,) = weights_of(layer, x)
    close(primitives.depthwise(x, k[..., 0], stride=stride, padding=padding), layer(x))
    both = layers.SeparableConv2D(5, 3, strides=stride, padding=padding, use_bias=False)
    deep, point = weights_of(both, x)
    found = primitives.separable(x, deep[..., 0], point[0, 0], stride=stride, padding=padding)
    close(found, both(x))


def test_a_separable_convolution_is_a_convolution_with_a_kernel_of_rank_one():
    """What it can do, a full one can: kernel[i, j, c, d] = deep[i, j, c] · point[c, d]."""
    x, deep, point = normal(1, 6, 6, 3), normal(3, 3, 3), normal(3, 4, seed=1)
    full = deep[..., None] * point
    close(primitives.separable(x, deep, point), primitives.convolution(x, full))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_pooling(stride, padding):
    x = normal(2, 9, 8, 3)
    largest = layers.MaxPooling2D(3, strides=stride, padding=padding)
    close(primitives.max_pooling(x, 3, stride=stride, padding=padding), largest(x))
    mean = layers.AveragePooling2D(3, strides=stride, padding=padding)
    close(primitives.average_pooling(x, 3, stride=stride, padding=padding), mean(x))


def test_a_dense_layer_is_a_convolution():
    x = normal(2, 3, 4, 5)
    layer = layers.Dense(6)
    flat = layers.Flatten()(x)
    k, b = weights_of(layer, flat)
    expected = np.asarray(layer(flat))
    close(primitives.dense(np.asarray(flat), k, b), expected)
    close(primitives.dense_as_convolution(x, k, b)[:, 0, 0], expected)
    kernel = layers.Conv2D(6, (3, 4))
    kernel.build(x.shape)
    kernel.set_weights([k.reshape(3, 4, 5, 6), b])
    close(kernel(x)[:, 0, 0], expected)


def test_batch_normalisation_while_training_and_afterwards():
    x = normal(4, 5, 5, 3) * [1, 5, 0.2] + [0, 3, -1]
    x = x.astype(np.float32)
    layer = layers.BatchNormalization(momentum=0.9)
    gamma, beta, mean, variance = weights_of(layer, x)
    variance = np.abs(variance) + 0.1
    layer.set_weights([gamma, beta, mean, variance])
    close(primitives.batch_norm(x, gamma, beta, mean, variance), layer(x, training=False))
    now = primitives.batch_statistics(x)
    close(primitives.batch_norm(x, gamma, beta, *now), layer(x, training=True))
    moved = layer.get_weights()[2:]
    close(0.9 * mean + 0.1 * np.asarray(now[0]), moved[0])
    plain = np.asarray(primitives.batch_norm(x, 1.0, 0.0, *now, epsilon=0.0))
    assert np.allclose(plain.mean((0, 1, 2)), 0, atol=1e-5)
    assert np.allclose(plain.std((0, 1, 2)), 1, atol=1e-5)


# ── blocks ──────────────────────────────────────────────────────────────────────────────────────


def build_library(name):
    side = {"InceptionV3": 75, "InceptionResNetV2": 75}.get(name, 64)
    maker = getattr(keras.applications, name)
    return maker(weights=None, include_top=False, input_shape=(side, side, 3))


@pytest.fixture(scope="module")
def library():
    built = {}

    def get(name):
        if name not in built:
            built[name] = build_library(name)
        return built[name]

    return get


def weighty(model):
    return [layer for layer in model.layers if layer.weights]


def check_equal(ours: keras.Model, theirs: keras.Model, tolerance=1e-5):
    """Fill the library's block with random weights, copy them one by one, compare the outputs."""
    for i, layer in enumerate(weighty(theirs)):
        drawn = [normal(*w.shape, seed=100 * i + k) for k, w in enumerate(layer.weights)]
        if isinstance(layer, layers.BatchNormalization):
            drawn = [np.abs(w) + 0.5 for w in drawn]
        else:
            drawn = [w / np.sqrt(np.prod(w.shape[:-1])) for w in drawn]
        layer.set_weights(drawn)
    assert ours.count_params() == theirs.count_params()
    assert complexity.cost(ours)["weight_layers"] == complexity.cost(theirs)["weight_layers"]
    assert complexity.cost(ours)["multiply_adds"] == complexity.cost(theirs)["multiply_adds"]
    for mine, its in zip(weighty(ours), weighty(theirs), strict=True):
        assert type(mine) is type(its)
        mine.set_weights(its.get_weights())
    x = normal(2, *ours.input_shape[1:], seed=7)
    close(ours(x), theirs(x), tolerance)


def between(model, first, last):
    """The library's own block: from the output of layer `first` to the output of `last`."""
    start, end = model.get_layer(first), model.get_layer(last)
    return keras.Model(start.output, end.output), start.output.shape[1:]


@pytest.mark.parametrize(
    ("name", "first", "last", "ours", "options"),
    [
        ("ResNet50", "conv3_block1_out", "conv3_block2_out", "identity_block", {"filters": 128}),
        ("ResNet50", "conv3_block4_out", "conv4_block1_out", "conv_block", {"filters": 256}),
        ("ResNet50", "pool1_pool", "conv2_block1_out", "conv_block", {"filters": 64, "stride": 1}),
        ("InceptionV3", "mixed0", "mixed1", "inception_5", {"pool": 64}),
        ("InceptionV3", "mixed2", "mixed3", "reduction", {}),
        ("InceptionV3", "mixed3", "mixed4", "inception_7", {"inner": 128}),
        ("InceptionV3", "mixed9", "mixed10", "inception_wide", {}),
        ("MobileNet", "conv_pw_2_relu", "conv_pw_3_relu", "mobilenet_block", {"filters": 128}),
        ("MobileNetV2", "block_4_add", "block_5_add", "inverted_residual", {}),
        ("InceptionResNetV2", "mixed_5b", "block35_1_ac", "inception_resnet_a", {}),
        ("InceptionResNetV2", "mixed_6a", "block17_1_ac", "inception_resnet_b", {}),
        (
            "InceptionResNetV2",
            "block35_10_ac",
            "mixed_6a",
            "reduction",
            {"threes": (256, 256, 384)},
        ),
    ],
)
def test_a_block_is_the_librarys(library, name, first, last, ours, options):
    theirs, shape = between(library(name), first, last)
    check_equal(networks.block(getattr(networks, ours), shape, **options), theirs, 1e-4)


def test_the_first_module_of_inception_resnet_is_the_librarys(library):
    model = library("InceptionResNetV2")
    entry = [layer for layer in model.layers if isinstance(layer, layers.MaxPooling2D)][1]
    theirs, shape = between(model, entry.name, "mixed_5b")
    ours = networks.block(networks.inception_5, shape, one=96, pool=64)
    check_equal(ours, theirs, 1e-4)


def test_inception_v4s_module_a_weighs_what_its_figure_says():
    """Szegedy et al. 2017, figure 4: no 5×5 (seen failing: the module above was shown for it)."""
    model = networks.block(networks.inception_v4_a, (35, 35, 384))
    kernels = sorted(tuple(c.kernel.shape) for c in model.layers if hasattr(c, "kernel"))
    assert kernels == [(1, 1, 384, 64)] * 2 + [(1, 1, 384, 96)] * 2 + [
        (3, 3, 64, 96), (3, 3, 64, 96), (3, 3, 96, 96),
    ]  # fmt: skip
    assert model.output_shape == (None, 35, 35, 384)


def branches_by_hand(x, model):
    """GoogLeNet's modules are not in keras.applications: Keras' weights, written-out layers."""
    convolutions = {tuple(c.kernel.shape): c.get_weights() for c in weighty(model)}
    assert len(convolutions) == len(weighty(model)), "kernels of the same shape would be mixed up"
    return lambda given, *shape: primitives.relu(
        primitives.convolution(given, *convolutions[shape])
    )


def test_inception_v1_naive_and_reduced():
    x = normal(2, 8, 8, 12)
    naive = networks.block(networks.inception_naive, (8, 8, 12), filters=(4, 6, 2))
    by = branches_by_hand(x, naive)
    pooled = primitives.max_pooling(x, 3, stride=1, padding="same")
    expected = [by(x, 1, 1, 12, 4), by(x, 3, 3, 12, 6), by(x, 5, 5, 12, 2), pooled]
    close(naive(x), np.concatenate(expected, -1))

    reduced = networks.block(networks.inception_v1, (8, 8, 12), filters=(4, 3, 6, 2, 5, 7))
    by = branches_by_hand(x, reduced)
    expected = [
        by(x, 1, 1, 12, 4),
        by(by(x, 1, 1, 12, 3), 3, 3, 3, 6),
        by(by(x, 1, 1, 12, 2), 5, 5, 2, 5),
        by(pooled, 1, 1, 12, 7),
    ]
    close(reduced(x), np.concatenate(expected, -1))


def test_the_articles_example_of_a_separable_convolution():
    plain = networks.block(networks.conv, (10, 10, 16), filters=32, kernel=3, bias=False)
    separable = networks.block(networks.separable_conv, (10, 10, 16), filters=32)
    assert plain.count_params() == 3 * 3 * 16 * 32 == 4608
    assert separable.count_params() == 3 * 3 * 16 + 16 * 32 == 656
    ratio = complexity.cost(separable)["multiply_adds"] / complexity.cost(plain)["multiply_adds"]
    assert ratio == pytest.approx(1 / 32 + 1 / 9)  # Howard et al. 2017, section 3.1
    x = normal(2, 10, 10, 16)
    deep, point = separable.get_weights()
    close(primitives.separable(x, deep[..., 0], point[0, 0]), separable(x))


def test_factorised_kernels_weigh_what_the_articles_say():
    def weights(function, **options):
        model = networks.block(function, (17, 17, 64), **options)
        return sum(np.prod(c.kernel.shape) for c in model.layers if hasattr(c, "kernel"))

    five = weights(networks.conv_norm, filters=64, kernel=5)
    assert five / weights(networks.two_threes, filters=(64, 64)) == 25 / 18
    seven = weights(networks.conv_norm, filters=64, kernel=7)
    assert seven / weights(networks.one_by_n, filters=(64, 64)) == 49 / 14


# ── costs ───────────────────────────────────────────────────────────────────────────────────────


def test_multiply_adds_by_hand():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, strides=2, padding="valid", use_bias=True)(x)  # 3×3 places
    y = layers.BatchNormalization()(y)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = layers.Dense(5)(layers.Flatten()(y))
    model = keras.Model(x, y)
    table = complexity.layer_table(model).set_index("kind")
    assert table.loc["Conv2D", "multiply_adds"] == 9 * 27 * 4
    assert table.loc["DepthwiseConv2D", "multiply_adds"] == 9 * 9 * 4
    assert table.loc["Dense", "multiply_adds"] == 36 * 5
    assert table.loc["BatchNormalization", "multiply_adds"] == 0
    assert table.loc["Conv2D", "output"] == "3×3×4"
    cost = complexity.cost(model)
    assert cost["parameters"] == (27 * 4 + 4) + 16 + 36 + (36 * 5 + 5)
    assert cost["trainable"] == cost["parameters"] - 8  # two moving means and variances of four
    assert cost["bytes"] == 4 * cost["parameters"]
    assert cost["weight_layers"] == 3
    assert cost["multiply_adds"] == table["multiply_adds"].sum()


def test_multiply_adds_are_those_that_are_done():
    """Counted in the arithmetic itself: ones through kernels of ones add up the products."""
    x = keras.Input((6, 7, 3))
    model = keras.Model(x, layers.Conv2D(4, 3, padding="valid", kernel_initializer="ones")(x))
    done = float(np.sum(np.asarray(model(np.ones((1, 6, 7, 3), np.float32)))))
    assert complexity.cost(model)["multiply_adds"] == done


def test_an_open_size_has_no_cost():
    x = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="picture size"):
        complexity.cost(keras.Model(x, layers.Conv2D(4, 3)(x)))
