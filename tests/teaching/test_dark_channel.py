"""The bench of notebook 02: known haze, tables, and the page with sliders."""

from __future__ import annotations

import html
import json
import re

import cv2
import numpy as np
import pytest

from paperlib import dehaze
from paperlib.chips import scenes
from paperlib.dehaze import steps
from paperlib.plots import dark_channel as draw
from paperlib.project import Project
from paperlib.teaching import dark_channel as lab
from paperlib.teaching import dark_channel_widget as page
from paperlib.teaching import derivation
from paperlib.utils.errors import PaperError


@pytest.fixture(scope="module")
def forest() -> np.ndarray:
    return page.scene_of("closed forest")


def test_steps_are_the_functions_of_dehaze(forest):
    hazy = dehaze.add_haze(forest, lab.depth_map((256, 256), 0.5, "slope"), lab.LIGHT)
    found = steps.steps(hazy, patch=9, omega=0.9, radius=20)
    again = dehaze.dehaze(hazy, patch=9, omega=0.9, radius=20)
    assert np.abs(found.clear.astype(int) - again).max() <= 1
    told = steps.steps(hazy, light=lab.LIGHT)
    np.testing.assert_array_equal(told.light, lab.LIGHT)


@pytest.mark.parametrize("depth", lab.DEPTHS)
def test_a_depth_map_has_the_strength_asked_for(depth):
    t = lab.depth_map((40, 60), 0.4, depth)
    assert t.shape == (40, 60)
    assert abs(t.mean() - 0.6) < 0.05
    assert (t.std() < 1e-12) == (depth == "even")
    assert lab.depth_map((8, 8), 0.0, depth).min() == 1
    assert lab.depth_map((8, 8), 1.0, depth).min() == 0.02


@pytest.mark.parametrize(
    ("arguments", "message"), [((1.2, "even"), "strength"), ((0.5, "deep"), "depth: one of even")]
)
def test_a_wrong_depth_map_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lab.depth_map((4, 4), *arguments)


def test_quality_by_hand():
    truth = np.full((8, 8, 3), 100, np.uint8)
    psnr, ssim = lab.quality(truth, truth + 10)
    assert psnr == pytest.approx(10 * np.log10(255**2 / 100))
    # two flat pictures: only the luminance term of SSIM, with C1 = (0.01·255)²
    c1 = 2.55**2
    assert ssim == pytest.approx((2 * 100 * 110 + c1) / (100**2 + 110**2 + c1), abs=1e-4)
    assert lab.quality(truth, truth) == (99.0, pytest.approx(1.0))
    assert lab.quality(truth[..., 0], truth[..., 0] + 10)[1] == pytest.approx(ssim, abs=1e-4)


def test_histogram_and_share_by_hand():
    image = np.full((20, 20, 3), 200, np.uint8)
    image[0, 0, 1] = 3  # darkens the 8×8 pixels whose window of 15 holds the corner
    counts = lab.histogram([image, image])
    assert counts[3] == 2 * 64
    assert counts[200] == 2 * (400 - 64)
    assert lab.fraction_below(counts, 200) == 64 / 400
    assert lab.fraction_below(counts, 3) == 0


def test_the_prior_holds_for_generated_scenes_and_not_under_haze():
    paper = Project("sample")
    clear, hazy = (lab.chips_with(paper, tag, 15) for tag in ("clear", "haze"))
    truth = lab.haze_free("clear", 15)
    assert clear.shape == hazy.shape == truth.shape == (15, 256, 256, 3)
    below = [lab.fraction_below(lab.histogram(images), 25) for images in (truth, clear, hazy)]
    assert below[0] > 0.6 > below[1] > below[2]


def test_dehazing_improves_generated_haze_mild_and_strong():
    table = lab.haze_table(3)
    assert table.haze.tolist() == ["mild", "mild", "strong", "strong"]
    assert (table.psnr_dehazed > table.psnr_hazy + 2).all()
    assert (table.ssim_dehazed > table.ssim_hazy + 0.05).all()
    assert (table.psnr_light >= table.psnr_dehazed).all()


@pytest.mark.parametrize("level", [0.8, 0.6, 0.4])
@pytest.mark.parametrize("ground", ["forest", "forest, river, road"])
def test_on_haze_of_constant_depth_t_is_right_to_five_hundredths(level, ground):
    """Where the prior holds; A is told, since a picture of even haze does not show it."""
    errors = []
    for index in range(6):
        clear = scenes.scene(index, tags=lab.GROUNDS[ground]).clear
        hazy = dehaze.add_haze(clear, level, lab.LIGHT)
        errors.append(np.abs(steps.steps(hazy, light=lab.LIGHT).fine - level).mean())
    assert np.mean(errors) < 0.05


def test_the_error_of_t_grows_with_the_brightness_of_the_ground():
    table = lab.depth_table(3).set_index("ground")
    assert table.index.tolist() == list(lab.GROUNDS)
    assert table.t_error_light["bare ground"] > 3 * table.t_error_light["forest"]
    assert table.dark["bare ground"] > 3 * table.dark["forest"]


@pytest.mark.data
def test_real_pairs_improve(shared):
    table = lab.pairs_table(shared / "data" / "hazy" / "pairs")
    assert len(table) == 13
    assert (table.psnr_dehazed > table.psnr_hazy).all()
    assert (table.ssim_dehazed > table.ssim_hazy).all()
    assert table.psnr_dehazed.mean() > table.psnr_hazy.mean() + 9
    assert table.ssim_dehazed.mean() > 0.84


def test_pairs_that_are_none_are_named(tmp_path):
    with pytest.raises(PaperError, match="no pairs"):
        lab.pairs_table(tmp_path)
    for part, size in (("hazy", 16), ("clear", 12)):
        (tmp_path / part).mkdir()
        cv2.imwrite(str(tmp_path / part / "a.png"), np.zeros((size, size, 3), np.uint8))
    with pytest.raises(PaperError, match=r"a\.png.*must have one size"):
        lab.pairs_table(tmp_path)
    (tmp_path / "hazy" / "a.png").write_bytes(b"no picture")
    with pytest.raises(PaperError, match="not a readable picture"):
        lab.pairs_table(tmp_path)


def test_failing_scenes_fail_and_the_forest_does_not():
    for name, clear in page.failing_scenes().items():
        found = steps.steps(dehaze.add_haze(clear, 0.75, lab.LIGHT), light=lab.LIGHT).fine.mean()
        assert (abs(found - 0.75) < 0.05) == name.startswith("closed forest")


def test_without_a_browser_the_page_is_the_same_still_picture_each_time(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    first, second = page.explore(), page.explore()
    assert first.data[:8] == b"\x89PNG\r\n\x1a\n"
    assert first.data == second.data


def test_the_still_picture_gives_the_psnr_of_the_colours(forest, monkeypatch):
    seen = []
    monkeypatch.setattr(page.dark_channel, "inline", lambda figure: figure)
    monkeypatch.setattr(page.dark_channel, "maps", lambda panels: seen.extend(panels))
    page.still()
    hazy, clear = seen[0][1], seen[1][1]
    before, after = (lab.quality(page.scene_of("river in the forest"), p)[0] for p in (hazy, clear))
    assert seen[1][0] == f"recovered, {before:.1f} → {after:.1f} dB"


def test_the_panel_only_where_somebody_looks(monkeypatch):
    monkeypatch.delenv("PAPER_TRACE", raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", "02_dark_channel.ipynb")
    assert isinstance(page.explore(), page.Panel)
    monkeypatch.setenv("PAPER_TRACE", "trace")  # `paper run` from a terminal of JupyterLab
    assert not page.live()
    assert isinstance(page.explore(interactive=True), page.Panel)


def test_the_panel_is_the_page_of_the_derivation(forest):
    bench, whole = (page.explore(interactive=True, whole=whole) for whole in (False, True))
    assert whole.page == derivation.page()
    assert bench.page.replace(' data-mode="bench"', "", 1) == whole.page
    source = re.search(r'srcdoc="([^"]*)"', bench._repr_html_())[1]
    assert html.unescape(source) == bench.page
    mine = page.explore({"mine": forest / 255}, hazy=True, interactive=True).page
    own = json.loads(re.search(r'id="own">(.*?)</script>', mine, flags=re.S)[1])
    assert list(own) == ["mine"]
    assert own["mine"]["hazy"] is True


def test_figures_hold_what_they_are_given(forest):
    row = steps.steps(dehaze.add_haze(forest, 0.5, lab.LIGHT))
    with_truth = draw.before_after([row, row], [forest, forest])
    without = draw.before_after([row])
    pictures = [sum(bool(axis.images) for axis in f.axes) for f in (with_truth, without)]
    assert pictures == [10, 4]
    maps = draw.maps([("one", forest), ("two", row.fine), ("three", row.coarse)], columns=2)
    assert [a.get_title(loc="left") for a in maps.axes if a.images] == ["one", "two", "three"]
    prior = draw.prior({"a": lab.histogram([forest])})
    assert prior.axes[1].lines[0].get_ydata()[-1] == pytest.approx(100)
    curve = draw.sweep("ω", {"forest": {0.9: 20.0, 1.0: 25.0}}, chosen=0.95)
    np.testing.assert_array_equal(curve.axes[0].lines[0].get_ydata(), [20, 25])
