"""The array interface of `Predictor.predict`: refused by name, or the same in any layout."""

from __future__ import annotations

import numpy as np
import pytest

from paperlib import predictor


@pytest.mark.parametrize(
    ("images", "options", "says"),
    [
        (np.zeros((32, 32, 3), "uint8"), {}, r"one image is images\[None\]"),
        (np.zeros((32, 32), "uint8"), {}, r"images: expected \(N, H, W, 3\)"),
        (np.zeros((1, 32, 32, 3), "uint8"), {"batch": 0}, "batch: 1 or more, not 0"),
        (np.zeros((1, 32, 32, 3), "uint8"), {"batch": -1}, "batch: 1 or more, not -1"),
    ],
)
def test_one_image_and_a_batch_of_none_are_refused_by_name(images, options, says):
    """Seen failing: a picture's rows labelled as 32 pictures; an empty result for batch=-1."""
    model = predictor.load("planet32")
    with pytest.raises(ValueError, match=says):
        model.predict(images, **options)
    if options:
        with pytest.raises(ValueError, match=says):
            next(model.predict_files(["x.png"], **options))


def test_layouts_that_are_read_only_or_strided_predict_the_same():
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3)).astype("uint8")
    model = predictor.load("planet32")
    wanted = model.predict(images).probability
    strided = np.repeat(images, 2, axis=1)[:, ::2]
    strided.flags.writeable = False
    for same in (strided, np.asfortranarray(images), list(images)):
        assert np.array_equal(model.predict(same).probability, wanted)
