"""122 real chips sent as a new visitor would: every chip labelled, as the predictor labels it."""

from __future__ import annotations

import numpy as np
import pytest
from real_site import RealSite

from paperlib import predictor
from paperlib.labels import LABELS


@pytest.mark.data
@pytest.mark.slow
def test_the_labels_of_real_chips_are_the_released_models_own(shared, tmp_path):
    """Through gunicorn, a worker and the released model, all in processes of their own."""
    if "planet32" not in predictor.names():
        pytest.skip("the released model is not in this checkout")
    paths = sorted((shared / "data/planet256/train-jpg").glob("*.jpg"))
    assert len(paths) == 122
    with RealSite(tmp_path, SHOWCASE_PREDICTOR="", SHOWCASE_LOST_SECONDS="20") as site:
        site.web()
        site.worker()
        token = site.send_in_parts([(path.name, path.read_bytes()) for path in paths])
        done = site.finished(token, 300)
        page = site.client.get(f"/batch/{token}/")
        gallery = site.client.get(f"/gallery/?batch={token}")
        result = site.client.get(f"/batch/{token}/labels.json").raise_for_status().json()
    assert (done["state"], done["labelled"], done["failed"]) == ("done", 122, 0)
    assert "data-finished" in page.text
    assert "122 chips" in gallery.text
    model = predictor.load("planet32")
    own = {one.path.stem: one for one in model.predict_files(paths)}
    assert sorted(chip["image_name"] for chip in result["chips"]) == sorted(own)
    for chip in result["chips"]:
        expected = own[chip["image_name"]]
        assert chip["tags"] == expected.labels, chip["image_name"]
        got = [chip["probability"][label] for label in LABELS]
        assert np.allclose(got, expected.probability, atol=1e-5), chip["image_name"]
