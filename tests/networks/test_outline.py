"""Diagrams are read from the graph; and what batch normalisation does to an untrained network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paperlib.networks import build, complexity
from paperlib.networks.outline import outline
from paperlib.plots import networks as draw
from paperlib.teaching import batch_norm, networks


def test_the_boxes_of_an_identity_block():
    boxes = outline(networks.block(networks.identity_block, (8, 8, 16), filters=4))
    assert [box.kind for box in boxes] == ["input", "pointwise", "convolution", "pointwise", "join"]
    assert [box.text for box in boxes] == [
        "8×8, 16",
        "1×1, 4\nnorm · ReLU",
        "3×3, 4\nnorm · ReLU",
        "1×1, 16\nnorm",
        "sum\nReLU",
    ]
    first, *_, join = boxes
    assert join.inputs == (first.name, boxes[3].name)


def test_a_diagram_has_one_lane_for_each_branch():
    boxes = outline(networks.block(networks.inception_v1, (8, 8, 16), filters=(1, 2, 3, 4, 5, 6)))
    at, lanes, width, rows = draw._place(boxes)
    assert (width, rows) == (4, 4)
    assert len(lanes) == sum(len(box.inputs) for box in boxes)
    assert len(set(at.values())) == len(boxes), "no box lies on another"
    figure = draw.diagrams({"v1": boxes}, {"v1": "note"})
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"join, 15", "5×5, 5\nReLU", "note"} <= texts


def test_every_box_of_every_block_has_a_place_of_its_own():
    for function, shape in [
        (networks.inception_wide, (8, 8, 8)),
        (networks.inception_resnet_b, (8, 8, 8)),
        (networks.inverted_residual, (8, 8, 8)),
    ]:
        boxes = outline(networks.block(function, shape))
        at, *_ = draw._place(boxes)
        assert len(set(at.values())) == len(boxes)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)


def test_the_deviation_grows_by_the_gain_at_each_layer(images):
    """A plain rectified network is homogeneous: weights times g give layer k's output times g^k."""
    table = batch_norm.deviation_by_depth(images, (1.0, 2.0), width=0.0625)
    plain = table[table["network"] == "plain"].pivot(
        index="layer", columns="gain", values="deviation"
    )
    assert np.allclose(plain[2.0] / plain[1.0], 2.0 ** np.arange(1, 14), rtol=1e-3)
    assert np.allclose(table[table["network"] == "normalised"]["deviation"], 1, atol=0.05)


def test_channels_are_brought_to_mean_0_and_variance_1(images):
    before, after = batch_norm.channels_before_and_after(images, count=3)
    assert before.shape == after.shape == (3, 16 * 8 * 8)
    assert before.std(1)[0] < before.std(1)[-1]
    assert np.allclose(after.mean(1), 0, atol=1e-3)
    assert np.allclose(after.std(1), 1, atol=0.05)


def test_the_table_of_networks():
    table = complexity.network_table(("vgg11", "mobilenet"), 32, 0.25)
    assert table["version"].tolist() == ["with this head", "as published", "with this head"]
    published = table.dropna().iloc[0]
    assert published["parameters"] == 4_253_864
    assert round(published["multiply_adds"] / 1e6) == 569  # Howard et al. 2017, table 1
    built = build.build("mobilenet", size=32, width=0.25, batch_norm="all")
    assert table.iloc[-1]["parameters"] == built.count_params()
    assert isinstance(draw.network_costs(table).axes[0].get_xlabel(), str)
    assert pd.api.types.is_integer_dtype(table["multiply_adds"])
