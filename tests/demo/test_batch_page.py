"""A batch's own page: what it says while it waits, of what failed, and where it leads."""

from __future__ import annotations

import pictures
import pytest
from showcase.models import Placement

pytestmark = pytest.mark.django_db


def test_places_of_a_mosaic_that_wait_are_not_drawn_as_failed(showcase, client):
    batch = showcase.run([("big.png", pictures.png(1, 512))])
    upload = batch.uploads.get()
    first, second, *_ = upload.placements.order_by("pk")
    Placement.objects.filter(pk=first.pk).update(state="waiting", prediction=None)
    Placement.objects.filter(pk=second.pk).update(state="failed", code="predictor", prediction=None)
    page = client.get(f"/batch/{batch.token}/picture/{upload.pk}/").content.decode()
    assert page.count('<g class="coming"><title>not labelled yet</title>') == 1
    assert page.count('<g class="failed"><title>The model could not predict this chip.') == 1
    assert page.count('<a href="/chip/') == 2
