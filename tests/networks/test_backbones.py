"""The networks after VGG: those of keras.applications, to the number, with the package's head."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pytest

from paperlib.networks import backbones, build, conversions
from paperlib.utils.errors import PaperError

# the parameters that keras.applications states for the convolutional part
PUBLISHED = {"resnet50": 23_587_712, "mobilenet": 3_228_864, "mobilenet_v2": 2_257_984}
LARGE = "inception_resnet_v2"


def images(count=2, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.fixture(scope="module")
def narrow():
    """Each network once, an eighth as wide."""
    return {
        name: build.build(name, size=32, width=0.125, seed=1, outputs=3)
        for name in backbones.BACKBONES
        if name != LARGE
    }


def check(model):
    """It takes small pictures and gives probabilities, through the package's head."""
    out = np.asarray(model(images()))
    assert out.shape == (2, 3)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    names = [layer.name for layer in model.layers]
    assert names[-5:] == ["batch_norm", "flatten", "dense", "leaky_relu", "labels"]
    assert ("enlarged" in names) == model.name.startswith("inception")


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_convolutional_part_has_the_published_size(name):
    model = build.build(name, size=32, seed=None, dense=8, outputs=1)
    part = keras.Model(model.input, model.get_layer("batch_norm").input)
    assert part.count_params() == PUBLISHED[name]


def test_all_of_them_take_small_pictures_and_give_probabilities(narrow):
    for name, model in narrow.items():
        assert model.name == name
        check(model)


@pytest.mark.slow
def test_the_largest_too():
    """Eight hundred layers take a quarter of a minute to put together, at any width."""
    model = build.build(LARGE, size=32, width=0.125, seed=1, outputs=3)
    check(model)
    check_freezing(model)
    expected = np.asarray(model(images()))
    folded = conversions.fold_batch_norm(model)
    assert np.allclose(folded(images()), expected, atol=1e-5)
    sums = [layer for layer in folded.layers if isinstance(layer, backbones.ScaledSum)]
    first = keras.Model(folded.input, sums[0].output)  # the others are like it
    again = keras.models.model_from_json(first.to_json())  # the sum is known by its name
    again.set_weights(first.get_weights())
    assert np.array_equal(again(images()), first(images()))


def test_one_seed_makes_the_weights_and_the_names():
    def made(seed):
        model = build.build("mobilenet_v2", size=32, width=0.25, seed=seed)
        return [w.path for w in model.weights], np.concatenate(
            [w.ravel() for w in model.get_weights()]
        )

    names, first = made(3)
    keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(32, 32, 3))
    again, second = made(3)  # whatever else was built in between
    assert names == again
    assert np.array_equal(first, second)
    assert not np.array_equal(first, made(4)[1])


def test_signals_neither_fade_nor_grow_at_the_start():
    """He's variance, also through depthwise kernels: inputs of variance 1 leave as about 1."""
    model = build.build("mobilenet", size=64, width=0.5)
    layer = model.get_layer("conv_dw_3")
    seen = np.random.default_rng(0).normal(size=(4, 8, 8, layer.input.shape[-1])).astype("float32")
    assert 1.4 < np.asarray(layer(seen))[:, 1:-1, 1:-1].std() ** 2 < 2.6  # 2, for the rectifier


def check_freezing(model):
    """Each block holds the one before and more, and never the head."""
    frozen = []
    for block in build.blocks(model.name):
        for layer in model.layers:
            layer.trainable = True
        build.freeze(model, block)
        frozen.append({layer.name for layer in model.layers if not layer.trainable})
        assert not frozen[-1] & {"batch_norm", "dense", "labels"}
    assert all(a < b for a, b in pairwise(frozen)), model.name


def test_every_block_can_be_frozen(narrow):
    for model in narrow.values():
        check_freezing(model)


def test_a_frozen_block_keeps_its_weights():
    model = build.build("vgg16", size=32, width=0.0625, frozen_to="block4", outputs=2)
    assert not model.get_layer("block4_pool").trainable
    assert model.get_layer("block5_conv1").trainable
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    keras.utils.set_random_seed(0)  # `fit` shuffles; another test may have asked for determinism
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    model.fit(images(4), np.eye(4)[:, :2], epochs=1, verbose=0)
    for name, values in before.items():
        same = all(map(np.array_equal, values, model.get_layer(name).get_weights()))
        assert same == (name < "block5" and name.startswith("block")), name
    for wrong in ("labels", "block9", "flatten"):
        with pytest.raises(ValueError, match="block1, block2"):
            build.build(size=32, width=0.0625, frozen_to=wrong)


def test_folded_and_converted_they_give_the_same_numbers(narrow):
    for name in ("resnet50", "inception_v3", "mobilenet_v2"):
        model = narrow[name]
        rng = np.random.default_rng(0)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.set_weights([rng.uniform(0.8, 1.2, v.shape) for v in layer.get_weights()])
        expected = np.asarray(model(images()))
        folded = conversions.fold_batch_norm(model)
        assert folded.count_params() < model.count_params()
        assert np.allclose(folded(images()), expected, atol=1e-5)
        converted = conversions.as_convolutions(model)
        assert np.allclose(np.asarray(converted(images()))[:, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "maker", "module", "width"),
    [
        ("inception_v3", "InceptionV3", "inception_v3", 1.0),
        ("mobilenet_v2", "MobileNetV2", "mobilenet_v2", 0.35),
    ],
)
def test_weights_from_a_file(name, maker, module, width, tmp_path):
    """The features that keras.applications gives with the same file and its own preparation."""
    size = backbones.BACKBONES[name].least
    options = {"alpha": width} if width != 1 else {}
    library = getattr(keras.applications, maker)(
        include_top=False, weights=None, input_shape=(size, size, 3), **options
    )
    path = tmp_path / f"{name}.weights.h5"
    library.save_weights(path)
    model = build.build(name, size=size, width=width, weights=path, dense=8)
    inside = keras.Model(model.input, model.get_layer("batch_norm").input)
    given = images(2, size)
    prepare = getattr(keras.applications, module).preprocess_input
    expected = np.asarray(library(prepare(given.astype("float32"))))
    found = np.asarray(inside(given))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    for options, says in [
        ({"network": "inception_resnet_v2", "width": 0.3}, "multiple of 1/32"),
        ({"network": "resnet50", "width": 0.5, "weights": "imagenet"}, "width 1 only"),
        ({"network": "mobilenet", "width": 0.3, "weights": "imagenet"}, "0.25, 0.5, 0.75, 1"),
        ({"network": "mobilenet", "width": 1.4}, "up to 1"),
    ]:
        with pytest.raises(ValueError, match=says):
            build.build(**{"size": 32, **options})
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(PaperError, match="cannot be loaded"):
        build.build("mobilenet", size=32, weights=tmp_path / "text.h5")
