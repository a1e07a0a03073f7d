"""A third of the pictures hazy: by their names, with the transmission and the labels it says."""

from __future__ import annotations

import numpy as np
import pytest

from paperlib import dehaze
from paperlib.chips import Chips, added_haze, partly_hazy, variants

NAMES = np.array([f"picture{n}" for n in range(24)])


@pytest.fixture(scope="module")
def clear():
    images = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    labels = (np.arange(24)[:, None] % 2 == [0, 1]).astype(np.uint8)
    return Chips(NAMES, images, labels, "planted", ("a", "b"))


def test_a_third_of_many_names_is_hazy_and_evenly_thick():
    means = np.array([partly_hazy.transmission_of(f"n{i}") for i in range(6000)])
    thin = means[means < 1]
    assert len(thin) / len(means) == pytest.approx(1 / 3, abs=0.02)
    assert 0.2 <= thin.min() < 0.21
    assert 0.79 < thin.max() <= 0.8
    assert thin.mean() == pytest.approx(0.5, abs=0.02)


def test_the_haze_has_the_transmission_of_the_name_and_the_others_are_untouched(clear):
    made = partly_hazy.chips(clear, 64)
    means = [partly_hazy.transmission_of(name) for name in NAMES.tolist()]
    assert 0 < sum(mean < 1 for mean in means) < 24
    for name, before, after, mean in zip(NAMES, clear.images, made.images, means, strict=True):
        if mean == 1:
            np.testing.assert_array_equal(after, before)
            continue
        haze = added_haze.haze_of(str(name))
        t = haze.transmission(mean, 64)
        assert t.mean() == pytest.approx(mean)
        expected = before / 255 * t[..., None] + haze.light * (1 - t[..., None])  # equation 3
        assert np.abs(after / 255 - expected).max() <= 0.5 / 255 + 1e-6


def test_the_weather_labels_say_what_was_added(clear):
    made = partly_hazy.chips(clear, 64)
    assert made.tags == ("a", "b", "haze", "clear")
    np.testing.assert_array_equal(made.labels[:, :2], clear.labels)
    hazy = [partly_hazy.transmission_of(name) < 1 for name in NAMES.tolist()]
    np.testing.assert_array_equal(made.labels[:, 2], hazy)
    np.testing.assert_array_equal(made.labels[:, 3], np.logical_not(hazy))


def test_the_dehazed_set_is_the_hazy_one_dehazed_at_full_size_and_then_shrunk(clear):
    hazy = partly_hazy.chips(clear, 64)
    made = partly_hazy.chips(clear, 64, "dehazed")
    one = dehaze.dehaze(hazy.images[3], **variants.scaled(64))
    np.testing.assert_array_equal(made.images[3], one)
    assert partly_hazy.chips(clear, 32, "dehazed").images.shape == (24, 32, 32, 3)
    np.testing.assert_array_equal(made.labels, hazy.labels)


def test_another_variant_is_an_error(clear):
    with pytest.raises(ValueError, match="one of original, dehazed"):
        partly_hazy.chips(clear, 64, "foggy")
