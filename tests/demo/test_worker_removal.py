"""Nothing that is shown loses its pixels; nothing that was taken away leaves any behind."""

from __future__ import annotations

import pictures
import pytest
from showcase import storage
from showcase.models import Chip, Flag, Placement, Prediction
from showcase.services import chip_images, deletion
from showcase.worker import bulk, housekeeping, read_ahead

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_chip_deleted_while_its_picture_is_cut_takes_no_other_along(
    showcase, monkeypatch, settings
):
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    batch = showcase.batch([("scene.png", pictures.encode(pictures.pixels(3, 128)))])
    save, groups = bulk.save, []

    def remove_the_first_group(*args):
        placed = save(*args)
        if not groups:
            for chip in Chip.objects.all():
                deletion.remove_chip(chip)
        groups.append(placed)
        return placed

    monkeypatch.setattr(bulk, "save", remove_the_first_group)
    assert showcase.work(batch).chips_labelled == 64 - read_ahead.FIRST
    showcase.draw()
    for place in batch.placements.select_related("chip"):
        assert chip_images.pixels(place.chip).shape == (16, 16, 3)


@pytest.mark.parametrize("private", [False, True])
def test_a_large_picture_that_breaks_in_the_middle_leaves_no_chip(showcase, private, monkeypatch):
    """Its first chips were saved, labelled and shown before the break was found."""
    data = pictures.encode(pictures.pixels(6, 2048), "TIFF")
    fields = {"private": "1"} if private else {}
    batch = showcase.batch([("cut.tif", data[: int(0.9 * len(data))])], **fields)
    saved, save = [], bulk.save
    monkeypatch.setattr(bulk, "save", lambda *a: saved.append(save(*a)) or saved[-1])
    showcase.work(batch)
    assert sum(saved) > 0  # else this test would see nothing
    assert (batch.private, batch.state, batch.files_failed) == (private, "failed", 1)
    assert (
        Chip.objects.exclude(sha256__startswith="retired").count(),
        Placement.objects.count(),
    ) == (0, 0)
    housekeeping.tidy()
    assert not Chip.objects.exists()
    assert showcase.stored() == []


def test_a_refused_picture_takes_only_its_own_chips(showcase):
    data = pictures.encode(pictures.pixels(6, 2048), "TIFF")
    first = pictures.encode(pictures.pixels(6, 2048)[:256, :256])
    kept = showcase.run([("first.png", first)])
    batch = showcase.run([("cut.tif", data[: int(0.9 * len(data))])])
    assert batch.state == "failed"
    chip = Chip.objects.get(shown=True)
    assert kept.placements.get().chip == chip
    assert chip_images.pixels(chip).shape == (256, 256, 3)


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
        deletion.remove_batch(batch)
    monkeypatch.setattr(storage, "remove", remove)
    assert removed
    assert Chip.objects.filter(shown=True).count() == 1  # nobody sees the others meanwhile
    # And whoever sends one of them again gets a chip of its own.
    again = showcase.run([("2.png", pictures.png(2))])
    housekeeping.tidy()
    assert set(Chip.objects.values_list("name", flat=True)) == {"a", "2"}
    assert Prediction.objects.count() == 2
    keys = {name.split("/")[2].split(".")[0] for name in showcase.stored()}
    assert keys == set(Chip.objects.values_list("pictures", flat=True))
    assert chip_images.pixels(again.placements.get().chip).shape == (64, 64, 3)


def test_a_batch_that_vanishes_while_the_store_is_away_is_gone_from_the_gallery(
    showcase, client, monkeypatch
):
    """Whatever happens after the commit: what nobody may see any more is not shown."""
    same = pictures.png(1)
    showcase.run([("mine.png", same)], private="1")
    public = showcase.run([("theirs.png", same), ("own.png", pictures.png(2))])
    assert client.get("/gallery/").content.decode().count('class="tile"') == 2

    def away(*_):
        raise storage.StorageAway(5, "Input/output error")

    monkeypatch.setattr(storage, "remove", away)
    deletion.remove_batch(public)
    assert client.get("/gallery/").content.decode().count('class="tile"') == 0
    assert not Chip.objects.filter(shown=True).exists()
    assert not Chip.objects.filter(public=True).exists()


def test_what_two_private_batches_have_in_common_neither_learns(showcase, client):
    """The same picture, sent by two who do not know each other, and by everybody."""
    same = [("a.png", pictures.png(1))]
    first = showcase.run(same, private="1")
    chip = first.placements.get().chip
    client.post(f"/chip/{chip.key}/flag/", {"label": "haze", "comment": "secret site of ACME"})
    Flag.objects.update(state="accepted")
    other = type(client)()
    page = other.get("/")
    second = type(showcase)(other).run(same, private="1")
    third = type(showcase)(type(client)()).run(same)
    chips = {batch.placements.get().chip.pk for batch in (first, second, third)}
    assert len(chips) == Chip.objects.count() == 3
    for batch in (second, third):
        assert (batch.chips_known, batch.placements.get().known) == (0, False)
        page = other.get(batch.placements.get().chip.get_absolute_url()).content.decode()
        assert "ACME" not in page
        assert chip.key not in page
    # Its owner is told that he knows it, and nothing was predicted twice.
    again = showcase.run(same, private="1")
    assert (again.chips_known, again.placements.get().chip.pk) == (1, chip.pk)
    assert len(set(Prediction.objects.values_list("probability", flat=True))) == 1


def test_the_same_private_bytes_are_not_predicted_twice(showcase, tmp_path, monkeypatch):
    log = tmp_path / "predicted.log"
    monkeypatch.setenv("PLANTED_LOG", str(log))
    for fields in ({"private": "1"}, {}, {"private": "1"}):
        showcase.client.cookies.clear()
        showcase.run([("a.png", pictures.png(1))], **fields)
    assert len(log.read_text().split()) == 1
