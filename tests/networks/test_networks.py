"""Networks: parameter counts as published, preprocessing, weights from a file, seeds."""

from __future__ import annotations

import h5py
import keras
import numpy as np
import pytest

from paperlib.networks import build
from paperlib.networks import pretrained as weights_module
from paperlib.profiles import profile
from paperlib.training.config import Config
from paperlib.utils.errors import PaperError


def images(count=2, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "layers", "parameters", "million"),
    # convolutions and their parameters by hand (Σ k²·in·out + out); with the three dense layers
    # the millions of Simonyan & Zisserman 2015, table 2
    [
        ("vgg11", 8, 9_220_480, 133),
        ("vgg13", 10, 9_404_992, 133),
        ("vgg16c", 13, 9_404_992 + (256**2 + 256) + 2 * (512**2 + 512), 134),
        ("vgg16", 13, 14_714_688, 138),
        ("vgg19", 16, 20_024_384, 144),
    ],
)
def test_convolutional_part_has_the_published_size(name, layers, parameters, million):
    model = build.build(name, size=32)
    parts = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(parts) == layers
    assert sum(layer.count_params() for layer in parts) == parameters
    dense = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert round((parameters + dense) / 1e6) == million


def test_original_vgg_is_built_with_its_three_dense_layers():
    small = build.original("A", size=32, classes=10)
    shapes = [tuple(layer.kernel.shape) for layer in small.layers[-3:]]
    assert shapes == [(512, 4096), (4096, 4096), (4096, 10)]


def test_the_papers_head():
    names = [layer.name for layer in build.build(size=64, width=0.125).layers]
    assert names[:2] == ["images", "imagenet_mean"]
    assert names[-5:] == ["batch_norm", "flatten", "dense", "leaky_relu", "labels"]


def test_preprocessing_is_that_of_keras_applications():
    made = build.RemoveImageNetMean()
    expected = keras.applications.vgg16.preprocess_input(images().astype("float32"))
    assert np.allclose(made(images()), expected, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_output_is_float32_probability_whatever_the_precision(precision):
    model = build.build(size=32, width=0.0625, precision=precision, outputs=3)
    out = model(images())
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    assert np.all((np.asarray(out) > 0) & (np.asarray(out) < 1))
    assert np.allclose(out, model(images().astype("float32")))


def test_one_seed_makes_the_weights():
    def weights(seed):
        model = build.build(size=32, width=0.0625, seed=seed)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    assert np.array_equal(weights(3), weights(3))
    assert not np.array_equal(weights(3), weights(4))


def test_the_order_of_the_draws_stays():
    """Shipped runs began from these weights: one seed per layer, counted through the network."""
    model = build.build("vgg16", size=32, width=0.0625, batch_norm="all", dropout=0.2, seed=7)
    numbers = iter(7 * 1_000_003 + k for k in range(1, 99))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            assert layer.seed == next(numbers)
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            kind = "GlorotUniform" if layer.name == "labels" else "HeNormal"
            drawn = getattr(keras.initializers, kind)(next(numbers))(layer.kernel.shape)
            assert np.array_equal(layer.get_weights()[0], drawn), layer.name
    assert next(numbers) == 7 * 1_000_003 + 17  # 13 convolutions, dense, dropout, labels
    assert [w.path for w in model.weights][:5] == [
        "block1_conv1/kernel",
        "block1_conv1_norm/gamma",
        "block1_conv1_norm/beta",
        "block1_conv1_norm/moving_mean",
        "block1_conv1_norm/moving_variance",
    ]


def test_no_two_layers_start_alike():
    model = build.build(size=32, width=0.25)
    a, b = (model.get_layer(f"block5_conv{i}").get_weights()[0] for i in (2, 3))
    assert a.shape == b.shape
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("size", [32, 48, 128])
def test_any_input_size(size):
    model = build.build(size=size, width=0.0625)
    assert model(images(1, size)).shape == (1, 17)


def test_arguments_that_do_not_fit_are_refused():
    for options, says in [
        ({"network": "vgg17"}, "vgg16"),
        ({"size": 31}, "32 pixels"),
        ({"batch_norm": "some"}, "batch_norm"),
    ]:
        with pytest.raises(ValueError, match=says):
            build.build(**{"size": 32, **options})


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A file in the layout of keras.applications, of random weights."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vgg16_notop.h5"
    maker = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name for layer in maker.layers]
        for layer in maker.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}_{i}" for i in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value
    return path, maker


def test_weights_from_a_file(stand_in, tmp_path, monkeypatch):
    path, maker = stand_in
    name = build.weights_name(path)
    assert name.startswith("vgg16_notop.h5@")
    assert build.weights_name(name) == name
    model = build.build(size=32, weights=name)
    inside = keras.Model(model.input, model.get_layer("block5_pool").output)
    expected = maker(keras.applications.vgg16.preprocess_input(images().astype("float32")))
    assert np.allclose(inside(images()), expected, rtol=1e-4, atol=1e-4)

    weights_module.GIVEN.clear()  # as in another process: by name, from a known folder
    monkeypatch.setenv("PAPER_CACHE", str(tmp_path))
    with pytest.raises(PaperError, match="PAPER_WEIGHTS"):
        build.build(size=32, weights=name)
    monkeypatch.setenv("PAPER_WEIGHTS", str(path.parent))
    assert build.weights_file(name) == path
    with pytest.raises(PaperError, match="another sha256"):
        build.weights_file("vgg16_notop.h5@00000000")


def test_a_file_takes_the_place_of_what_keras_would_download(stand_in, tmp_path, monkeypatch):
    path, _ = stand_in
    assert Config.of(profile("paper")).weights == "imagenet"
    monkeypatch.setenv("PAPER_IMAGENET", str(path))
    monkeypatch.setenv("PAPER_CACHE", str(tmp_path))
    config = Config.of(profile("paper"))
    assert config.weights == build.weights_name(path)
    assert Config.of(profile("sample")).weights == ""

    weights_module.GIVEN.clear()  # as in another process
    assert build.weights_file(config.weights) == path
    monkeypatch.setenv("PAPER_IMAGENET", str(path.parent / "no.h5"))
    with pytest.raises(PaperError, match=r"no\.h5 is not there"):
        Config.of(profile("paper"))


def test_a_narrower_network_takes_the_largest_kernels(stand_in):
    path, maker = stand_in
    first, bias = maker.get_layer("block1_conv1").get_weights()
    second, _ = maker.get_layer("block1_conv2").get_weights()
    size = [sum(abs(float(v)) for v in first[..., c].ravel()) for c in range(64)]
    kept = sorted(sorted(range(64), key=lambda c: -size[c])[:16])

    for batch_norm in ("head", "all"):
        model = build.build(size=32, width=0.25, weights=path, batch_norm=batch_norm)
        found = model.get_layer("block1_conv1").get_weights()
        assert np.array_equal(found[0], first[..., kept])
        if batch_norm == "head":
            assert np.array_equal(found[1], bias[kept])
        after = model.get_layer("block1_conv2").get_weights()[0]
        assert after.shape == (3, 3, 16, 16)
        whole = {second[:, :, kept, c].tobytes() for c in range(64)}
        assert {after[..., c].tobytes() for c in range(16)} < whole


def test_files_that_are_no_weights(tmp_path):
    with pytest.raises(PaperError, match="is not there"):
        build.weights_name(tmp_path / "nothing.h5")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(PaperError, match="cannot be loaded"):
        build.build(size=32, weights=tmp_path / "text.h5")


@pytest.mark.data
def test_the_shared_imagenet_weights_load(shared):
    path = shared / "weights" / "vgg16_imagenet_torchvision_notop.h5"
    if not path.is_file():
        pytest.skip("no ImageNet weights in the shared folder")
    name = build.weights_name(path)
    assert name.endswith("@acf0d53fbfa8")
    model = build.build(size=32, weights=name)
    maker = keras.applications.VGG16(include_top=False, weights=str(path), input_shape=(32, 32, 3))
    inside = keras.Model(model.input, model.get_layer("block5_pool").output)
    expected = maker(keras.applications.vgg16.preprocess_input(images().astype("float32")))
    assert np.allclose(inside(images()), expected, rtol=1e-3, atol=1e-3)
    assert float(np.abs(expected).mean()) > 0.01
