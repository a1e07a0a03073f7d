"""Transforms: the eight symmetries exactly, draws from a seed, test-time averaging."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from paperlib import augment


def chips(count=4, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def test_the_eight_symmetries_are_all_different_and_closed():
    chip = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    views = {v.tobytes() for v in augment.symmetries(chip)[:, 0]}
    assert len(views) == 8
    for view in augment.symmetries(chip):  # the symmetries of a symmetry are the same eight
        assert {v.tobytes() for v in augment.symmetries(view)[:, 0]} == views


def test_symmetries_keep_the_chip_first_and_refuse_oblongs():
    images = chips()
    assert np.array_equal(augment.symmetries(images)[0], images)
    with pytest.raises(ValueError, match="square"):
        augment.symmetries(np.zeros((1, 3, 4, 3), np.uint8))


def test_random_symmetry_draws_every_symmetry_evenly_and_moves_no_value():
    chip = chips(1)
    layer = augment.RandomSymmetry(seed=1)
    out = np.asarray(layer(np.repeat(chip, 4000, axis=0), training=True))
    kinds = [v.tobytes() for v in augment.symmetries(chip)[:, 0]]
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
        any(np.allclose(a, v, atol=1) for v in augment.symmetries(b[None])[:, 0])
        for a, b in zip(x, smooth, strict=True)
    ]
    assert not any(still)
    assert abs(x.mean() - smooth.mean()) < 8  # moved, not recoloured


def test_unknown_transforms_are_refused():
    with pytest.raises(ValueError, match="symmetries"):
        augment.random_transforms("mixup")
    with pytest.raises(ValueError, match="1 to 8"):
        augment.predict(None, chips(), views=9)


def test_test_time_prediction_is_the_mean_over_views():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "sigmoid")]
    )
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 0.01)
    images = chips(7)
    by_hand = np.mean([model.predict(v, verbose=0) for v in augment.symmetries(images)], axis=0)
    assert np.allclose(augment.predict(model, images, views=8, batch=3), by_hand, atol=1e-6)
    once = augment.predict(model, images)
    assert np.allclose(once, model.predict(images, verbose=0), atol=1e-6)
    assert not np.allclose(once, by_hand, atol=1e-4)


def test_each_transform_shows_what_training_draws():
    chip = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    made = augment.each_transform(chip, draws=2)
    assert list(made) == ["mirror", "transpose", "rotation", "resize", "elastic", "all"]
    views = augment.symmetries(chip[None])[:, 0]
    for name in ("mirror", "transpose"):
        assert any((made[name][0] == view).all() for view in views)
    for name in ("rotation", "resize", "elastic", "all"):
        first, second = made[name].astype(int)
        assert np.abs(first - chip).mean() > 1, f"{name} leaves the chip as it is"
        assert np.abs(first - second).mean() > 1, f"{name} draws the same twice"
    again = augment.each_transform(chip, draws=2)
    assert all((made[name] == again[name]).all() for name in made)
