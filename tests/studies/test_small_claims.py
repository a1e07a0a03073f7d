"""Small claims: counted ones by hand, the showcase's gallery, and the errata's checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paperlib import f2
from paperlib.labels import INDEX, RARE, encode_many
from paperlib.published import published
from paperlib.studies import counted, errata, repeats, small_claims
from paperlib.teaching import googlenet


def test_the_label_table_by_hand(monkeypatch):
    """Four kinds of chips: lifts, exclusions and the rare labels' counts from them."""
    sets = (("clear", "primary", "water"), ("haze", "primary"), ("cloudy",), ("clear", "haze"))
    chips = np.array([30, 50, 15, 5])
    monkeypatch.setattr(counted.scenes, "label_sets", lambda: (sets, chips))
    rows = {(r["claim"], r["item"]): r for r in counted.label_table(200)}
    lift = rows["labels-together", "water × primary"]
    assert lift["value"] == pytest.approx(30 * 100 / (30 * 80))
    assert lift["low"] < lift["value"] < lift["high"]
    clear = "clear-excludes-cloud-and-haze"
    assert rows[clear, clear]["value"] == 5
    assert rows["cloudy-excludes-haze", "cloudy-excludes-haze"]["value"] == 0
    beside = "rivers-often-in-rainforest"
    assert rows[beside, beside]["value"] == 1
    assert rows["rare-labels-hundreds", "rare-labels-hundreds"]["value"] == 0


def test_the_real_label_sets_have_the_uncommon_labels_last():
    sets, chips = counted.scenes.label_sets()
    count = chips @ encode_many(sets)
    assert chips.sum() == 32_351
    assert set(np.argsort(count)[:6]) == {INDEX[tag] for tag in RARE}


def test_recall_is_twice_as_important_in_rates_and_four_times_in_counts():
    assert counted.recall_to_precision() == pytest.approx(2, abs=1e-4)
    miss, four = f2.from_counts(10, 1, 0), f2.from_counts(10, 0, 4)
    assert miss == pytest.approx(four)
    at = {"p": 0.3, "r": 0.6}

    def score(p, r):
        return 5 * p * r / (4 * p + r)

    more = [score(at["p"] + 1e-6, at["r"]), score(at["p"], at["r"] + 1e-6)]
    assert more[0] == pytest.approx(more[1], abs=1e-9)
    assert f2.BETA_SQUARED == 4


def test_what_is_counted_in_built_layers():
    assert counted.vgg_stacks()["D"] == [2, 2, 3, 3, 3]
    assert counted.vgg_channels() == counted.PRINTED_CHANNELS
    assert counted.dense_example() == (400_000, 500)
    assert counted.pooled_channels() == 0
    assert counted.leaky_gradient() == (0.1, 0.0)
    count = counted.convolutions()
    assert count["5×5"] / count["one 3×3"] == pytest.approx(25 / 9)


def test_googlenet_is_as_the_article_counts_it():
    table = googlenet.counted().set_index("what")["count"]
    assert table["Inception modules"] == 9
    assert table["layers with weights"] == 22
    assert table["auxiliary outputs"] == 2


def test_every_checked_erratum_is_listed():
    known = {erratum["id"] for erratum in published()["erratum"]}
    checks = errata.checks(np.array([0.5, 1.0]))
    assert set(checks["erratum"]) <= known
    with_check = {e["id"] for e in published()["erratum"] if "check" in e}
    assert with_check == set(checks["erratum"])
    white, black = errata.recovered((0.9, 0.7))
    assert white > 1
    assert black < 0


def test_an_upload_alone_is_predicted_and_the_gallery_is_not():
    given = []

    def predict(images):
        given.append(len(images))
        return images.mean((1, 2))

    images = np.random.default_rng(0).integers(0, 255, (64, 4, 4, 3), dtype=np.uint8)
    table, _ = repeats.measure(images, predict)
    table = table.set_index("way")
    assert table.loc["only the upload", "predicted"] == 8
    assert table.loc["only the upload", "predicted_besides"] == 0
    assert table.loc["everything again", "predicted_besides"] == 56
    assert given[-1] == 8


def test_wilsons_interval():
    found = small_claims.wilson(8, 10)
    assert found.value == 0.8
    assert (found.low, found.high) == pytest.approx((0.490, 0.943), abs=1e-3)


def test_the_erratum_on_decimals_says_the_standard_error_that_is_computed(root):
    computed = pd.read_csv(root / "results/planet32/errata.csv").set_index("erratum")
    (said,) = (one for one in published()["erratum"] if one["id"] == "fifth-decimal")
    assert f"about {computed.loc['fifth-decimal', 'value']:.4f}," in said["correct"]
