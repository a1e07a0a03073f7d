"""Similar chips: whatever is shown now, whenever it was labelled, and by whom."""

from __future__ import annotations

import numpy as np
import pytest
from showcase.models import Chip, ModelVersion, Prediction
from showcase.services import similar

from paperlib.labels import COUNT

pytestmark = pytest.mark.django_db


@pytest.fixture
def add(db):
    """Makes a chip at a distance from the first one; hands back the chip and its prediction."""
    model = ModelVersion.objects.create(name="m", fingerprint="f", thresholds=[0.5] * COUNT)

    def add(name: str, distance: float, *, shown: bool = True, key=None):
        chip = Chip.objects.create(sha256=name, width=1, height=1, shown=shown)
        vector = np.full(COUNT, 0.1)
        vector[0] += distance
        row = Prediction.objects.create(
            pk=key, chip=chip, model=model, probability=Prediction.pack(vector),
            raw=Prediction.pack(vector),
        )  # fmt: skip
        return chip, row

    return add


def near(chip: Chip) -> list[str]:
    return [found.sha256 for found in similar.to(chip)]


def test_a_chip_that_is_shown_later_appears_and_one_that_is_hidden_goes(add):
    """Hidden by staff before, say: its prediction was there all the time."""
    first, _ = add("first", 0)
    late, _ = add("late", 0.1, shown=False)
    other, _ = add("other", 0.2)
    assert near(first) == ["other"]
    Chip.objects.filter(pk=late.pk).update(shown=True)
    assert near(first) == ["late", "other"]
    Chip.objects.filter(pk=other.pk).update(shown=False)
    assert near(first) == ["late"]


def test_a_large_gallery_is_not_read_anew_for_each_page(add, monkeypatch):
    monkeypatch.setattr(similar, "QUICK", -1)
    first, _ = add("first", 0)
    add("other", 0.2)
    monkeypatch.setattr(similar, "REST", 1e9)
    assert near(first) == ["other"]
    add("late", 0.1)
    assert near(first) == ["other"]
    similar._held["until"] = 0.0
    assert near(first) == ["late", "other"]


def test_many_that_are_not_shown_do_not_crowd_out_those_that_are(add, monkeypatch):
    monkeypatch.setattr(similar, "_PART", 10)
    first, _ = add("first", 0)
    for i in range(60):
        add(f"hidden {i}", 0.1, shown=False)
    for i in range(9):
        add(f"shown {i}", 0.2 + i / 100)
    assert near(first) == [f"shown {i}" for i in range(8)]


def test_deleted_chips_and_a_second_model_leave_no_trace(add):
    first, row = add("first", 0)
    gone, _ = add("gone", 0.1)
    add("stays", 0.2)
    assert near(first) == ["gone", "stays"]
    gone.delete()
    assert near(first) == ["stays"]
    model = ModelVersion.objects.create(name="n", fingerprint="g", thresholds=[0.5] * COUNT)
    assert near(first) == []  # the new model has said nothing of it yet
    for chip in Chip.objects.all():
        Prediction.objects.create(chip=chip, model=model, probability=row.probability, raw=b"")
    assert near(first) == ["stays"]
