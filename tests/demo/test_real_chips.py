"""122 real chips sent as a new visitor would: every chip labelled, as the predictor labels it."""

from __future__ import annotations

import numpy as np
import pytest
from showcase import engine, tags
from showcase.models import Prediction

from paperlib import predictor


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.django_db
def test_the_labels_of_real_chips_are_the_released_models_own(showcase, shared, settings, client):
    if "planet32" not in predictor.names():
        pytest.skip("the released model is not in this checkout")
    paths = sorted((shared / "data/planet256/train-jpg").glob("*.jpg"))
    assert len(paths) == 122
    settings.SHOWCASE["PREDICTOR"] = ""
    engine.forget()
    batch = showcase.run([(path.name, path.read_bytes()) for path in paths])
    assert (batch.state, batch.files_failed, batch.chips_failed) == ("done", 0, 0)
    assert batch.chips_labelled == 122
    model, version = engine.load()
    assert version.card["name"] == model.card["name"]
    own = {result.path.stem: result for result in model.predict_files(paths)}
    for place in batch.placements.select_related("upload", "prediction"):
        result = own[place.name]
        assert tags.names(place.prediction.labels) == result.labels, place.name
        got = Prediction.unpack(place.prediction.probability)
        assert np.allclose(got, result.probability, atol=1e-5), place.name
    assert client.get("/model/").status_code == 200
