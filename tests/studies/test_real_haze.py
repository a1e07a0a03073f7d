"""What the dark channel finds in real haze: on haze that is known, and in what is shipped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paperlib import dehaze
from paperlib.chips import added_haze
from paperlib.studies import real_haze
from paperlib.utils.errors import PaperError


def test_it_finds_the_haze_that_was_put_there():
    """Black and white points everywhere, seen through t = ½ under A = 0.8: the dark channel is
    A·(1 − t), and equation 8 gives 1 − 0.95·(1 − t)."""
    rng = np.random.default_rng(0)
    scene = (rng.random((256, 256, 1)) < 0.5).repeat(3, axis=2) * 0.8
    scene[100:140, 100:140] = 0.8  # as bright as the light itself
    hazy = dehaze.add_haze((scene * 255).round().astype(np.uint8), np.full((256, 256), 0.5), 0.8)
    found = real_haze.found(hazy)
    for channel in ("red", "green", "blue"):
        assert found[channel] == pytest.approx(0.8, abs=0.01)
    assert found["dark"] == pytest.approx(0.8 * 0.5, abs=0.02)
    assert found["transmission"] == pytest.approx(1 - 0.95 * 0.5, abs=0.02)
    assert found["thick"] < 0.05  # 0.525 everywhere but in the square
    assert found["dark_after"] < 0.1 < found["dark"]


def test_the_distance_is_in_grey_levels():
    one = np.zeros((2, 2, 3), np.uint8)
    other = one.copy()
    other[0, 0] = 6
    assert real_haze.distance(one, other) == pytest.approx(3)  # √(3·36 ÷ 12)


def test_the_summary_is_of_the_shipped_rows_and_names_no_place():
    table = real_haze.read()
    summary = real_haze.summary(table).set_index("pictures")
    assert summary["count"].sum() == len(table)
    pair = table[table["set"] == "pair"]
    row = summary.loc[real_haze.SETS["pair"]]
    change = pair["after"] - pair["before"]
    assert row["nearer"] == pytest.approx(change.mean())
    assert row["low"] < change.mean() < row["high"]
    haze = table[table["set"] == "planet haze"]
    assert summary.loc[real_haze.SETS["planet haze"], "changed"] == haze["changed"].mean()
    assert not table["picture"].str.contains("/").any()
    assert set(table["set"]) == set(real_haze.SETS)


def test_the_haze_that_is_added_is_as_bright_as_the_notebook_says_of_real_haze(root):
    table = real_haze.read()
    aerial = table[table["set"] == "aerial"][["red", "green", "blue"]].mean(axis=1)
    there = int(aerial.between(*added_haze.LIGHT).sum())
    text = (root / "notebooks/16_full_resolution.ipynb").read_text(encoding="utf-8")
    assert f"as the dark channel finds it in {there} of {len(aerial)} real hazy" in text


def test_a_set_that_is_not_there_has_no_row(tmp_path):
    row = dict.fromkeys(
        ("red", "green", "blue", "transmission", "thick", "dark", "dark_after"), 0.5
    )
    (found,) = real_haze.summary(pd.DataFrame([{"set": "aerial", **row}])).to_dict("records")
    assert found["A"] == 0.5
    assert "nearer" not in found
    with pytest.raises(PaperError, match=r"real_haze\.csv is not there"):
        real_haze.read(tmp_path)
