"""Transforms: the eight symmetries exactly, draws from a seed, test-time averaging."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from training_stand_ins import CONFIG
from training_stand_ins import chips as labelled_chips

from paperlib.networks import augment
from paperlib.networks.views import symmetries
from paperlib.teaching import preparation
from paperlib.training import loop


def chips(count=4, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def test_the_eight_symmetries_are_all_different_and_closed():
    chip = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    views = {v.tobytes() for v in symmetries(chip)[:, 0]}
    assert len(views) == 8
    for view in symmetries(chip):  # the symmetries of a symmetry are the same eight
        assert {v.tobytes() for v in symmetries(view)[:, 0]} == views


def test_symmetries_keep_the_chip_first_and_refuse_oblongs():
    images = chips()
    assert np.array_equal(symmetries(images)[0], images)
    with pytest.raises(ValueError, match="square"):
        symmetries(np.zeros((1, 3, 4, 3), np.uint8))


def test_random_symmetry_draws_every_symmetry_evenly_and_moves_no_value():
    chip = chips(1)
    layer = augment.RandomSymmetry(seed=1)
    out = np.asarray(layer(np.repeat(chip, 4000, axis=0), training=True))
    kinds = [v.tobytes() for v in symmetries(chip)[:, 0]]
    seen = np.array([kinds.index(image.tobytes()) for image in out])  # fails on any other image
    count = np.bincount(seen, minlength=8)
    assert count.min() > 400  # 500 expected, standard deviation 21
    assert out.dtype == np.uint8


def test_random_layers_do_nothing_outside_training():
    images = chips(3, 32)
    for name in augment.AUGMENTATIONS:
        x = images
        for layer in augment.random_transforms(name):
            x = layer(x, training=False)
        assert np.array_equal(np.asarray(x), images)


def test_the_papers_transforms_change_the_pixels_and_stay_in_range():
    images = chips(8, 32)
    smooth = np.repeat(np.repeat(images[:, ::8, ::8], 8, 1), 8, 2)
    x = smooth
    for layer in augment.random_transforms("paper", seed=2):
        x = layer(x, training=True)
    x = np.asarray(x)
    assert x.shape == smooth.shape
    assert x.min() >= -0.5
    assert x.max() <= 255.5
    still = [
        any(np.allclose(a, v, atol=1) for v in symmetries(b[None])[:, 0])
        for a, b in zip(x, smooth, strict=True)
    ]
    assert not any(still)
    assert abs(x.mean() - smooth.mean()) < 8  # moved, not recoloured


def ramps(count=1, size=32):
    """Chips whose three channels are the row, the column and 0: a copy says where it was read."""
    row, column = np.indices((size, size)).astype(np.float32)
    return np.repeat(np.stack([row, column, 0 * row], -1)[None], count, axis=0)


def fields(count=64, size=32, seed=0):
    noise = np.random.default_rng(seed).standard_normal(
        (count, 2, *augment._noise_shape(size, augment.SMOOTHING))
    )
    return np.asarray(augment.smooth(noise.astype(np.float32), size))


def test_a_copy_takes_each_value_from_as_far_as_the_field_says():
    images = chips(2, 8).astype(np.float32)
    by = np.zeros((2, 8, 8, 2), np.float32)
    assert np.array_equal(np.asarray(augment.displaced(images, by)), images)
    by[..., 0], by[..., 1] = 1, 2  # down one, two to the right
    moved = np.asarray(augment.displaced(images, by))
    assert np.array_equal(moved[:, :-1, :-2], images[:, 1:, 2:])
    assert np.array_equal(moved[:, -1, :-2], images[:, -2, 2:])  # mirrored at the last row
    by[:] = 0.5  # between four pixels: their mean
    moved = np.asarray(augment.displaced(images, by))
    four = images[:, :-1, :-1] + images[:, 1:, :-1] + images[:, :-1, 1:] + images[:, 1:, 1:]
    assert np.allclose(moved[:, :-1, :-1], four / 4, atol=1e-3)
    by[:] = 30 * np.random.default_rng(0).standard_normal(by.shape)  # far out on every side
    assert np.isfinite(np.asarray(augment.displaced(images, by))).all()


@pytest.mark.parametrize("size", [32, 64])
def test_the_elastic_field_is_smooth_and_of_its_amplitude(size):
    """Known answers of white noise under a Gaussian of s pixels.

    Neighbours k pixels apart correlate as exp(-k²/4s²), the axes not at all; the variance is 1, at
    the border as in the middle.
    """
    field = fields(size=size)
    pixels = augment.SMOOTHING * size
    for apart in (1, round(2 * pixels)):
        found = (field[:, apart:] * field[:, :-apart]).mean() / (field**2).mean()
        # the Gaussian is cut at three standard deviations; 64 fields of few independent places
        assert found == pytest.approx(np.exp(-(apart**2) / (4 * pixels**2)), abs=0.06)
    assert abs((field[..., 0] * field[..., 1]).mean()) < 0.06  # dx is not dy
    for part in (field, field[:, 0], field[:, -1], field[:, :, 0]):
        assert part.std() == pytest.approx(1, abs=0.08)


def test_the_elastic_layer_moves_as_far_as_it_says_and_each_chip_its_own_way():
    layer = augment.RandomElastic(amplitude=(0.03, 0.03), seed=4)
    inside = slice(8, -8)  # no point there is read from beyond the border
    by = (np.asarray(layer(ramps(64), training=True)) - ramps(64))[:, inside, inside]
    assert not by[..., 2].any()
    assert by[..., :2].std() == pytest.approx(0.03 * 32, rel=0.1)
    assert abs(np.corrcoef(by[..., 0].ravel(), by[..., 1].ravel())[0, 1]) < 0.1
    assert np.abs(by[0] - by[1]).max() > 0.5
    still = augment.RandomElastic(amplitude=(0, 0), seed=4)
    assert np.array_equal(np.asarray(still(ramps(), training=True)), ramps())


def test_the_elastic_layer_repeats_its_draws_from_a_seed_and_is_saved_with_it():
    def draw(layer):
        return np.asarray(layer(ramps(3), training=True))

    layer = augment.RandomElastic(seed=5)
    first, second = draw(layer), draw(layer)
    assert np.abs(first - second).max() > 0.1  # drawn anew
    assert np.array_equal(draw(augment.RandomElastic.from_config(layer.get_config())), first)


def test_the_papers_transforms_take_any_number_of_chips():
    """Where the batch size is left open, each chip still gives a copy of its own."""
    images = keras.Input((16, 16, 3))
    x = images
    for layer in augment.random_transforms("paper", seed=1):
        x = keras.layers.Lambda(lambda seen, layer=layer: layer(seen, training=True))(x)
    grey = np.ones((5, 16, 16, 3), np.float32) * np.arange(5)[:, None, None, None]
    copies = keras.Model(images, x).predict(grey, batch_size=2, verbose=0)
    assert np.allclose(copies, grey, atol=1e-4)


def test_a_network_trains_with_the_papers_transforms(tmp_path):
    config = replace(CONFIG, augment="paper", epochs=1)
    run = loop.Training(config, labelled_chips(), tmp_path, progress=False)
    run.run()
    moved = {"random_symmetry", "random_rotation", "random_resize", "random_elastic"}
    assert moved <= {layer.name for layer in run.model.layers}
    assert len(run.history) == 1
    assert np.isfinite(run.history[0]["loss"])


# XLA optimises for most of the time this takes; the numbers stay the same to float32's precision.
_QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
_ON_JAX = """
import sys
import keras, numpy as np
from paperlib.networks import augment
images = keras.Input((16, 16, 3))
x = images
for layer in augment.random_transforms("paper"):
    x = layer(x)
model = keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
model.compile(loss="mse")
assert model.jit_compile, "JAX would run the network step by step"
rng = np.random.default_rng(0)
chips = rng.integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
model.fit(chips, np.zeros((4, 1)), verbose=0)
np.save(sys.argv[1], augment.elastic_copy(chips, np.random.default_rng(1)))
"""


@pytest.mark.slow
def test_the_papers_transforms_are_compiled_on_jax(tmp_path):
    pytest.importorskip("jax")
    subprocess.run(
        [sys.executable, "-c", _ON_JAX, str(tmp_path / "copies.npy")],
        cwd=Path(__file__).parent,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": _QUICK},
        check=True,
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
    here = augment.elastic_copy(images, np.random.default_rng(1))
    assert np.allclose(np.load(tmp_path / "copies.npy"), here, atol=1e-2)


def test_unknown_transforms_are_refused():
    with pytest.raises(ValueError, match="symmetries"):
        augment.random_transforms("mixup")
    with pytest.raises(ValueError, match="1 to 8"):
        augment.predict(None, chips(), views=9)
    with pytest.raises(ValueError, match="elastic"):
        augment.predict(None, chips(), elastic=-1)


def test_test_time_prediction_is_the_mean_over_views():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "sigmoid")]
    )
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 0.01)
    images = chips(7)
    by_hand = np.mean([model.predict(v, verbose=0) for v in symmetries(images)], axis=0)
    assert np.allclose(augment.predict(model, images, views=8, batch=3), by_hand, atol=1e-6)
    once = augment.predict(model, images)
    assert np.allclose(once, model.predict(images, verbose=0), atol=1e-6)
    assert not np.allclose(once, by_hand, atol=1e-4)


def test_elastic_copies_count_as_much_as_views_and_depend_on_the_seed_alone():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "sigmoid")]
    )
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 0.01)
    images = chips(7)
    copies = [augment.elastic_copy(images, np.random.default_rng([3, k])) for k in range(2)]
    assert np.abs(copies[0] - copies[1]).mean() > 1
    seen = np.stack([*symmetries(images, 4), *copies])
    each = model.predict(seen.reshape(-1, 8, 8, 3), verbose=0).reshape(6, 7, 2)
    asked = {"views": 4, "elastic": 2, "batch": 3}  # fields do not depend on the batches
    assert np.allclose(augment.predict(model, images, **asked, seed=3), each.mean(0), atol=1e-5)
    other = augment.predict(model, images, **asked, seed=4)
    assert not np.allclose(other, each.mean(0), atol=1e-4)


def test_each_transform_shows_what_training_draws():
    chip = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    made = preparation.each_transform(chip, draws=2)
    assert list(made) == ["mirror", "transpose", "rotation", "resize", "elastic", "all"]
    views = symmetries(chip[None])[:, 0]
    for name in ("mirror", "transpose"):
        assert any((made[name][0] == view).all() for view in views)
    for name in ("rotation", "resize", "elastic", "all"):
        first, second = made[name].astype(int)
        assert np.abs(first - chip).mean() > 1, f"{name} leaves the chip as it is"
        assert np.abs(first - second).mean() > 1, f"{name} draws the same twice"
    again = preparation.each_transform(chip, draws=2)
    assert all((made[name] == again[name]).all() for name in made)


def test_the_motion_of_a_symmetry_is_its_turn_and_mirror():
    """View v turns by v mod 4 quarters, from view 4 on after a mirror; nothing else moves."""
    views = symmetries(preparation.coordinates(64)[None])[:, 0]
    for view, moved in enumerate(views):
        did = preparation.motion(moved)
        assert did.mirrored == (view >= 4)
        assert np.cos(np.radians(did.turn - 90 * view)) > 0.999
        assert abs(did.growth) < 0.005
        assert did.bend < 0.002


def test_motion_reads_the_draw_off_a_warped_chip():
    """A chip turned by 20° counterclockwise and grown by a tenth, sampled by hand."""
    size, angle = 96, np.radians(20)
    at = np.linspace(-1, 1, size)
    x, y = np.meshgrid(at, at)
    taken_x = (x * np.cos(angle) - y * np.sin(angle)) / 1.1  # from where; y points down
    taken_y = (x * np.sin(angle) + y * np.cos(angle)) / 1.1
    moved = np.stack([taken_x, taken_y, 0 * x], axis=-1) * 127.5 + 127.5
    did = preparation.motion(moved)
    assert did.turn == pytest.approx(20, abs=0.2)
    assert did.growth == pytest.approx(0.1, abs=0.005)
    assert not did.mirrored
    assert did.bend < 0.002


def test_extremes_lie_within_what_is_drawn_and_far_apart():
    chip = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    made = preparation.extremes(chip, draws=8)
    assert list(made) == list(preparation.each_transform(chip))
    turns = [one.motion.turn for one in made["rotation"]]
    assert -23 < turns[0] < turns[1] < 23
    assert turns[1] - turns[0] > 15
    growths = [one.motion.growth for one in made["resize"]]
    assert -0.11 < growths[0] < growths[1] < 0.12
    bends = [one.motion.bend for one in made["elastic"]]
    low, high = augment.AMPLITUDE
    assert 0.3 * low < bends[0] < bends[1] < 1.5 * high
    assert made["mirror"][0].motion.mirrored
    assert abs(made["rotation"][0].motion.growth) < 0.01
