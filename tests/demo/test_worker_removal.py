"""Nothing that is shown loses its pixels; nothing that was taken away leaves any behind."""

from __future__ import annotations

import numpy as np
import pictures
import pytest
from showcase import copies, engine, keeper, removal, storage, work
from showcase.models import Chip, Placement, Prediction

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_mosaic_drawn_by_another_worker_while_it_is_cut_keeps_all_its_pixels(
    showcase, monkeypatch, settings
):
    """The chips kept so far lie in the pack that the next ones will be kept from."""
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    image = pictures.pixels(3, 128)
    batch = showcase.batch([("scene.png", pictures.encode(image))])
    original = engine.predict

    def predict(images):
        for chip in Chip.objects.exclude(pack=""):  # as `draw_missing` of another process
            copies.unpack(chip)
        return original(images)

    monkeypatch.setattr(engine, "predict", predict)
    assert showcase.work(batch).chips_labelled == 64 > work.FIRST
    for place in batch.placements.select_related("chip"):
        top, left = 16 * place.row, 16 * place.column
        assert np.array_equal(copies.pixels(place.chip), image[top : top + 16, left : left + 16])
    showcase.unpack()
    assert not [name for name in showcase.stored() if name.startswith("packs/")]
    assert {chip.pack for chip in Chip.objects.all()} == {""}


def test_a_chip_deleted_while_its_picture_is_cut_takes_no_other_along(
    showcase, monkeypatch, settings
):
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    batch = showcase.batch([("scene.png", pictures.encode(pictures.pixels(3, 128)))])
    label = work._label

    def remove_the_first_group(*args):
        label(*args)
        if batch.placements.filter(state="labelled").count() == work.FIRST:
            for chip in Chip.objects.exclude(confidence=0):
                removal.remove_chip(chip)

    monkeypatch.setattr(work, "_label", remove_the_first_group)
    assert showcase.work(batch).chips_labelled == 64 - work.FIRST
    for place in batch.placements.select_related("chip"):
        assert copies.pixels(place.chip).shape == (16, 16, 3)


@pytest.mark.parametrize("private", [False, True])
def test_a_large_picture_that_breaks_in_the_middle_leaves_no_chip(showcase, private):
    """The first packs of its chips were kept, labelled and shown before the break was found."""
    data = pictures.encode(pictures.pixels(6, 2048), "TIFF")
    fields = {"private": "1"} if private else {}
    batch = showcase.batch([("cut.tif", data[: int(0.9 * len(data))])], **fields)
    shown = []
    settle, work._settle = work._settle, lambda *a: shown.append(settle(*a))
    try:
        showcase.work(batch)
    finally:
        work._settle = settle
    assert len(shown) > 0  # else this test would see nothing
    assert (batch.private, batch.state, batch.files_failed) == (private, "failed", 1)
    assert (Chip.objects.count(), Placement.objects.count()) == (0, 0)
    keeper.drop_orphans(minutes=-1)  # as an hour later: packs belong to their writer until then
    left = showcase.stored()
    assert [name for name in left if not name.startswith("uploads/")] == []  # one may be retried


def test_a_refused_picture_takes_only_its_own_chips(showcase, settings):
    data = pictures.encode(pictures.pixels(6, 2048), "TIFF")
    first = pictures.encode(pictures.pixels(6, 2048)[:256, :256])
    kept = showcase.run([("first.png", first)])
    batch = showcase.run([("cut.tif", data[: int(0.9 * len(data))])])
    assert batch.state == "failed"
    chip = Chip.objects.get()
    assert chip.shown
    assert kept.placements.get().chip == chip
    assert copies.pixels(chip).shape == (256, 256, 3)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["before the files", "among the files", "before the rows"])
def test_a_removal_that_was_killed_is_gone_on_with(showcase, monkeypatch, moment):
    same = pictures.png(1)
    showcase.run([("a.png", same)])
    batch = showcase.run([("b.png", same)] + [(f"{i}.png", pictures.png(i)) for i in (2, 3)])
    remove, removed = storage.remove, []

    def die(names):
        names = list(names)
        if any(name.startswith("chips/") for name in names):
            count = {"before the files": 0, "among the files": 1}.get(moment, len(names))
            remove(names[:count])
            removed.append(1)
            raise Killed
        remove(names)

    monkeypatch.setattr(storage, "remove", die)
    with pytest.raises(Killed):
        removal.remove_batch(batch)
    monkeypatch.setattr(storage, "remove", remove)
    assert removed
    assert Chip.objects.filter(shown=True).count() == 1  # nobody sees the others meanwhile
    # And whoever sends one of them again gets a chip of its own.
    again = showcase.run([("2.png", pictures.png(2))])
    keeper.tidy()
    assert set(Chip.objects.values_list("name", flat=True)) == {"a", "2"}
    assert Prediction.objects.count() == 2
    keys = {name.split("/")[2].split(".")[0] for name in showcase.stored()}
    assert keys == set(Chip.objects.values_list("key", flat=True))
    assert copies.pixels(again.placements.get().chip).shape == (64, 64, 3)
