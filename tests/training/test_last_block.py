"""The last block trained on what its fixed blocks see: the same network, cut in two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paperlib.chips import Chips
from paperlib.networks.views import symmetries
from paperlib.training import last_block
from paperlib.training.config import Config, network
from paperlib.utils.errors import PaperError

SMALL = Config(network="vgg16", size=32, width=0.0625, frozen_to="block4", batch=8, rate=1e-3,
               epochs=6)  # fmt: skip


def chips(count: int = 150) -> Chips:
    """Pictures that are bright where label a, and dark where label b is there."""
    rng = np.random.default_rng(0)
    bright = rng.random(count) < 0.5
    images = rng.integers(0, 60, (count, 32, 32, 3)) + 180 * bright[:, None, None, None]
    labels = np.stack([bright, ~bright], axis=1).astype(np.uint8)
    names = np.array([f"n{i}" for i in range(count)])
    made = Chips(names, images.astype(np.uint8), labels, "planted", ("a", "b"))
    return made.part("train")


pytestmark = pytest.mark.usefixtures("own_cache")


def test_both_halves_together_are_the_whole_network():
    images = chips().images[:5]
    below, above = last_block.halves(SMALL, 2)
    whole = network(SMALL, 2)
    seen = np.asarray(below.predict_on_batch(images), np.float16)
    said = above.predict_on_batch(seen)
    np.testing.assert_allclose(said, whole.predict_on_batch(images), atol=2e-3)
    assert not any(layer.trainable for layer in below.layers if layer.weights)
    trained = {w.path.split("/")[-2] for w in above.trainable_variables}
    assert trained == {"block5_conv1", "block5_conv2", "block5_conv3", "batch_norm", "dense",
                       "labels"}  # fmt: skip


def test_maps_are_of_each_symmetry_and_computed_once(monkeypatch):
    some = chips()
    made = last_block.maps(some, SMALL, 3)
    assert made.shape[:2] == (3, len(some))
    assert made.dtype == np.float16
    turned = some.with_images(symmetries(some.images, 3)[2], "turned")
    np.testing.assert_allclose(last_block.maps(turned, SMALL)[0], made[2], atol=1e-2)
    monkeypatch.setattr(last_block, "halves", None)  # must not be needed again
    np.testing.assert_array_equal(last_block.maps(some, SMALL, 3), made)


def test_it_learns_stops_and_takes_the_best_epoch():
    some = chips()
    seen = last_block.maps(some, SMALL, 2)
    stop = np.arange(len(some)) % 4 == 0
    said, facts = last_block.train(SMALL, seen, some.names, some.labels, stop, seen[0, stop])
    assert said.shape == (stop.sum(), 2)
    assert ((said > 0.5) == some.labels[stop]).mean() > 0.9
    values = [value for _, value in facts["history"]]
    assert facts["best_epoch"] == int(np.argmin(values)) + 1
    assert facts["epochs"] <= SMALL.epochs
    again, _ = last_block.train(SMALL, seen, some.names, some.labels, stop, seen[0, stop])
    np.testing.assert_allclose(again, said, atol=1e-5)  # one seed, one run


def test_pictures_that_say_when_to_stop_teach_nothing():
    """Their maps are overwritten by the opposite labels': what is learned stays the same."""
    some = chips()
    seen = np.array(last_block.maps(some, SMALL, 1))
    stop = np.arange(len(some)) % 4 == 0
    one = replace(SMALL, epochs=1)
    before, _ = last_block.train(one, seen, some.names, some.labels, stop, seen[0])
    shown = seen[0].copy()
    seen[:, stop] = seen[:, stop][:, ::-1]
    after, _ = last_block.train(one, seen, some.names, some.labels, stop, shown)
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_held_out_picture_among_the_training_ones_is_caught():
    some = chips()
    seen = last_block.maps(some, SMALL, 1)
    names = some.names.copy()
    names[3] = next(f"x{i}" for i in range(999) if _held(f"x{i}"))
    stop = np.arange(len(some)) % 4 == 0
    with pytest.raises(PaperError, match="held-out"):
        last_block.train(SMALL, seen, names, some.labels, stop, seen[0])


def _held(name: str) -> bool:
    from paperlib.chips import split_of

    return split_of(name) != "train"


def test_without_fixed_blocks_there_is_nothing_to_see_once():
    with pytest.raises(ValueError, match="frozen_to"):
        last_block.halves(replace(SMALL, frozen_to=""), 2)
