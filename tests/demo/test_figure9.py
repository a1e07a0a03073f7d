"""Figure 9 shows the site with the model that is released now."""

from __future__ import annotations

import json

import pictures
import pytest
from conftest import SITE
from PIL import Image

from paperlib import predictor
from paperlib.pipeline.site_picture import shows_release, write_card


def test_the_picture_was_made_with_the_model_that_is_released():
    picture = SITE.parent / "figures/sample/fig09_showcase.png"
    assert shows_release(picture), (
        "the released model has changed since figure 9 was made: python demo_site/manage.py figure9"
    )


def test_a_picture_knows_the_model_it_was_made_with(tmp_path, monkeypatch):
    picture = tmp_path / "page.png"
    picture.write_bytes(pictures.png(1))
    monkeypatch.setattr(predictor, "RELEASED", tmp_path)
    card = tmp_path / "planet32/card.json"
    card.parent.mkdir()
    card.write_text(json.dumps({"name": "planet32"}))
    assert not shows_release(picture)  # one that says nothing is as good as stale
    with Image.open(picture) as image:
        before = image.convert("RGB").tobytes()
    write_card(picture)
    assert shows_release(picture)
    with Image.open(picture) as image:
        assert image.convert("RGB").tobytes() == before
    card.write_text(json.dumps({"name": "planet32", "views": 2}))
    assert not shows_release(picture)
    with pytest.raises(FileNotFoundError):
        shows_release(picture, "another")
