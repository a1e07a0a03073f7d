"""Figure 9 is made where the machine can, and else the report says why it was not."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from paperlib.pipeline import report_page, site_picture
from paperlib.utils import files


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose site's command is `code`; a browser is always found."""

    def with_command(code: str):
        (tmp_path / "demo_site").mkdir()
        (tmp_path / "demo_site/manage.py").write_text(code)
        monkeypatch.setattr(site_picture.system, "browser", lambda: "/bin/true")
        return tmp_path

    return with_command


def test_the_command_makes_the_picture_where_it_was_asked_to(checkout, tmp_path):
    pytest.importorskip("django")
    root = checkout("import sys; a = sys.argv; open(a[a.index('--out') + 1], 'w').write(a[1])")
    assert site_picture.make(root, tmp_path / "page.png") == ""
    assert (tmp_path / "page.png").read_text() == "figure9"


def test_what_the_command_says_last_is_the_reason(checkout, tmp_path):
    pytest.importorskip("django")
    code = "import sys; print('one'); sys.exit('more\\nCommandError: no chip was labelled')"
    reason = site_picture.make(checkout(code), tmp_path / "page.png")
    assert reason == "the command figure9 failed: CommandError: no chip was labelled"
    assert not (tmp_path / "page.png").exists()


def test_without_a_browser_or_elsewhere_nothing_is_started(checkout, tmp_path, monkeypatch):
    root = checkout("open('started', 'w')")
    assert "not tiny" in site_picture.make(root, tmp_path / "page.png", profile="tiny")
    monkeypatch.undo()
    monkeypatch.setenv("PAPER_BROWSER", "no-such-browser")
    assert "no Chromium is installed" in site_picture.make(root, tmp_path / "page.png")
    assert not (root / "started").exists()


@pytest.mark.parametrize(("change", "same"), [(0, True), (3, True), (40, False)])
def test_a_shade_in_some_pixels_is_no_other_picture(tmp_path, change, same):
    pixels = np.full((20, 30, 3), 100, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    pixels[4, 5, 1] -= change  # down: unsigned differences would wrap
    Image.fromarray(pixels).save(tmp_path / "other.png")
    assert site_picture.looks_like(tmp_path / "one.png", tmp_path / "other.png") is same
    assert site_picture.looks_like(tmp_path / "other.png", tmp_path / "one.png") is same


def test_a_picture_of_another_size_is_another(tmp_path):
    for name, size in (("one", (20, 30)), ("other", (20, 31))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    assert not site_picture.looks_like(tmp_path / "one.png", tmp_path / "other.png")


def test_the_report_says_why_there_is_no_new_picture(tmp_path, root):
    (tmp_path / "notebooks").mkdir()
    shutil.copy(root / "notebooks/14_showcase.ipynb", tmp_path / "notebooks")
    (tmp_path / "results/sample").mkdir(parents=True)
    why = {"figure 9": {"there": False, "why not": "no browser"}}
    assert report_page.why_no_new_picture(tmp_path) == ""  # nothing was run here
    files.write_json(tmp_path / "results/sample/showcase.json", why)
    figures = report_page.figures(tmp_path, ["sample"])
    assert next(f for f in figures if f["number"] == 9)["notebook"] == "14_showcase"
    shown = {f["name"]: f["why_not"] for f in figures}
    assert shown.pop("fig09_showcase") == "no browser"
    assert not any(shown.values())
