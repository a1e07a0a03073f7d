"""Covering parts of a picture: every place once, and a label that hangs on one corner is found."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from paperlib.teaching import occlusion


class Corner:
    """Says *water* by the blue of the lower right quarter alone, and *road* always by half."""

    def predict(self, images):
        blue = images[:, 4:, 4:, 2].mean(axis=(1, 2)) / 255
        probability = np.stack([np.full(len(images), 0.5), blue], axis=1)
        return SimpleNamespace(probability=probability, tags=("road", "water"))


def test_each_place_is_covered_once_by_the_mean_colour():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    made, shape = occlusion.covered(image, 2, 2)
    assert shape == (2, 3)
    mean = image.reshape(-1, 3).mean(axis=0).round()
    for number, (top, left) in enumerate(((0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4))):
        assert (made[number, top : top + 2, left : left + 2] == mean).all()
        changed = (made[number] != image).any(axis=2)
        assert changed.sum() <= 4
        assert not np.delete(
            np.delete(changed, range(top, top + 2), 0), range(left, left + 2), 1
        ).any()
    assert np.array_equal(image, np.arange(72, dtype=np.uint8).reshape(4, 6, 3)), "not the input"


def test_a_label_is_lost_where_it_hangs_and_nowhere_else():
    image = np.zeros((8, 8, 3), np.uint8)
    image[4:, 4:, 2] = 200
    lost = occlusion.lost(Corner(), image, "water", side=4, step=4)
    # all of the quarter's blue, but for the mean colour that covers it: 200 / 4
    assert lost == pytest.approx(np.array([[0, 0], [0, 150 / 255]]))
    assert not occlusion.lost(Corner(), image, "road", side=4, step=4).any()
    image[4:, 4:, 2], image[:4, :, 2] = 0, 200
    assert occlusion.lost(Corner(), image, "water", side=4, step=4)[1, 1] < 0, "it speaks against"


def test_what_cannot_be_asked_is_refused():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="9 pixels on a picture of 8 × 8"):
        occlusion.covered(image, 9, 1)
    with pytest.raises(ValueError, match="no label 'mine': there are road, water"):
        occlusion.lost(Corner(), image, "mine", side=4, step=4)
