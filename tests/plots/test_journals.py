"""Journals' styles: the width, the smallest letter, and colours that some cannot tell apart."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure
from PIL import Image

from paperlib import plots
from paperlib.plots import _drawn, _journals
from paperlib.utils.errors import PaperError


def figure(size: float = 8, colours: tuple[str, str] = ("#0072B2", "#E69F00"), mark: str = "o"):
    made = Figure(figsize=(7, 3), layout="constrained")
    ax = made.add_subplot()
    for number, colour in enumerate(colours):
        ax.plot([0, 1, 2], [number, 1, 2], mark if number else "o", color=colour, label=f"{number}")
    ax.set_xlabel("a small word", fontsize=size)
    ax.tick_params(labelsize=8)
    return made


@pytest.mark.parametrize("style", _journals.JOURNALS)
def test_a_figure_is_as_wide_as_the_column(tmp_path, style):
    paths, _ = plots.save_styled(figure(), tmp_path / "fig01", style)
    wanted = _journals.JOURNALS[style]
    assert {p.suffix for p in paths} == set(wanted.formats)
    page = re.search(rb"/MediaBox \[ 0 0 ([0-9.]+) ([0-9.]+) \]", paths[0].read_bytes())
    assert float(page[1]) == pytest.approx(wanted.width / 25.4 * 72, abs=0.01)
    with Image.open(tmp_path / "fig01.png") as opened:
        assert opened.width == pytest.approx(wanted.width / 25.4 * wanted.dpi, rel=0.01)
        assert opened.info["dpi"][0] == pytest.approx(wanted.dpi, abs=1)
        assert float(page[2]) / float(page[1]) == pytest.approx(
            opened.height / opened.width, rel=0.02
        )


def test_letters_below_the_journals_least_are_named_with_their_figure(tmp_path):
    _, good = plots.save_styled(figure(8), tmp_path / "fig01", "nature-double")
    assert good == []
    _, faults = plots.save_styled(figure(4), tmp_path / "fig01", "nature-single")
    (fault,) = faults
    assert re.fullmatch(
        r"fig01: letters of [34]\.\d pt \('a small word'\), and no less than 5 are asked for", fault
    )


def test_a_narrow_column_is_laid_out_anew_so_that_letters_can_be_read(tmp_path):
    """Scaled alone, letters of 8 pt would be 4 pt in a column of half the width."""
    _, faults = plots.save_styled(figure(8), tmp_path / "fig01", "nature-single")
    assert faults == []


def test_words_that_lie_upon_each_other_are_named(tmp_path):
    made = figure()
    for x in (0.5, 0.55):
        made.axes[0].text(x, 1.5, f"word {x}")
    _, faults = plots.save_styled(made, tmp_path / "fig01", "nature-double")
    assert faults == ["fig01: 'word 0.5' and 'word 0.55' lie upon each other"]


def test_colours_that_look_alike_without_red_or_green_cones_are_named(tmp_path):
    red, green = "#B05A00", "#6F7A00"  # one for a reader without red or green cones
    _, faults = plots.save_styled(figure(colours=(red, green)), tmp_path / "fig01", "nature-double")
    (fault,) = faults
    assert fault.startswith(f"fig01: panel 1: {green.lower()} and {red.lower()} look alike with ")
    assert not _journals.confusable(_drawn.drawn(figure(colours=(red, green), mark="s"))), "marks"


def test_the_simulation_is_that_of_its_source():
    """Grey stays grey, and what either kind of reader confuses is closer than it looks."""
    from matplotlib.colors import to_rgb
    from skimage.color import rgb2lab

    for matrix in _journals.SEEN.values():
        assert [sum(row) for row in matrix] == pytest.approx([1, 1, 1], abs=1e-5)
    red, green = "#D55E00", "#009E73"
    seen = sum((rgb2lab(to_rgb(red)) - rgb2lab(to_rgb(green))) ** 2) ** 0.5
    assert _journals.closest(red, green)[1] < seen / 2


def test_an_unknown_style_names_those_there_are():
    with pytest.raises(PaperError, match="nature-single"):
        _journals.journal("science")
