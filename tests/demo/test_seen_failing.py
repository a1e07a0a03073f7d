"""What was lost, left behind or let through once, in the order in which it was seen failing."""

from __future__ import annotations

import io
from datetime import timedelta

import numpy as np
import pictures
import pytest
from conftest import DECODER
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image
from showcase import label_sets
from showcase.models import Batch, Chip, Flag, ModelVersion, Upload
from showcase.services import chip_images, corrections, deletion, exports, visibility
from showcase.worker import housekeeping

pytestmark = pytest.mark.django_db(transaction=True)
KINDS = ("original", "thumb", "dehazed", "transmission")


def flat(value: int) -> bytes:
    """A picture that the planted model refuses."""
    return pictures.encode(np.full((64, 64, 3), value, np.uint8))


def sweep():
    housekeeping.sweep()
    housekeeping.tidy()
    housekeeping.drop_orphans(minutes=-1)


def status(client, chip, kinds=KINDS):
    return {client.get(f"/chip/{chip.key}/{kind}.image").status_code for kind in kinds}


def test_a_batch_made_private_while_its_pictures_are_drawn_keeps_them(
    showcase, client, monkeypatch
):
    batch = showcase.run([(f"{n}.png", pictures.png(n)) for n in (1, 2)], private="0")
    dehaze, asked = chip_images.dehaze, []

    def meanwhile(chip):
        if not asked:
            asked.append(client.post(f"/batch/{batch.token}/change/", {"private": "1"}))
        dehaze(chip)

    monkeypatch.setattr(chip_images, "dehaze", meanwhile)
    while chip_images.draw_some(DECODER):
        pass
    assert asked[0].status_code == 302
    assert len(showcase.stored()) == 8
    for chip in Chip.objects.all():
        assert status(client, chip) == {200}


def test_what_is_tried_again_and_deleted_leaves_nothing(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1)), ("bad.png", flat(13))], private="1")
    assert batch.chips_failed == 1
    assert client.post(f"/batch/{batch.token}/retry/").status_code == 302
    assert client.post(f"/batch/{batch.token}/delete/").status_code == 302
    sweep()
    assert showcase.stored() == []
    assert not Chip.objects.exists()


def test_a_cancelled_batch_leaves_no_upload_behind(showcase):
    batch = showcase.run([("bad.png", flat(13)), ("a.png", pictures.png(1))], private="1")
    Batch.objects.update(state="cancelled")
    showcase.draw()
    Batch.objects.update(finished_at=timezone.now() - timedelta(days=9))
    sweep()
    assert set(batch.uploads.values_list("copy", flat=True)) == {""}


def test_pictures_stay_with_a_twin_that_has_nothing_to_draw_from(showcase, client):
    one, two = (showcase.run([("a.png", pictures.png(1))], private="0") for _ in range(2))
    showcase.draw()
    two = visibility.set_private(two, True)
    deletion.remove_batch(one)
    while chip_images.draw_some(DECODER):
        pass
    sweep()
    chip = two.placements.get().chip
    assert status(client, chip) == {200}
    assert len(showcase.stored()) == 4


@pytest.mark.parametrize("other", ["keeper", "keeper {}", " keeper{}", "ｋeeper"])
def test_an_account_is_the_same_with_other_spaces_or_letters(client, settings, staff, other):
    settings.SHOWCASE |= {"LOGINS_PER_HOUR": 3}
    tried = [
        client.post(
            "/login/",
            {"username": other.format(" " * n), "password": "wrong"},
            REMOTE_ADDR=f"10.1.{n}.1",
        ).status_code
        for n in range(5)
    ]
    assert tried == [200, 200, 200, 429, 429]


def test_a_visitor_s_time_begins_anew_with_each_upload(showcase, client):
    showcase.send([("a.png", pictures.png(1))])
    Session.objects.update(expire_date=timezone.now() + timedelta(hours=1))
    showcase.send([("b.png", pictures.png(2))], days="30")
    newest = Batch.objects.latest("id")
    assert Session.objects.get().expire_date > newest.vanishes_at - timedelta(hours=1)


def test_files_that_come_too_late_are_told_on_the_batch_s_page(client, showcase):
    opened = client.post("/upload/", {"days": "30"}).json()

    def add(*numbers, after):
        files = [SimpleUploadedFile(f"{n}.png", pictures.png(n)) for n in numbers]
        client.post(opened["files_url"], {"after": after, "files": files})

    add(1, 2, after=0)
    Batch.objects.update(touched_at=timezone.now() - timedelta(minutes=31))
    housekeeping.sweep()
    add(3, 4, after=2)
    client.post(opened["submit_url"])
    page = client.get(opened["url"]).content.decode()
    assert ">3: The batch is already being worked on.<" in page
    assert ">2: " not in page


def test_a_deleted_correction_counts_no_more(client, showcase, staff):
    staff.is_superuser = True
    staff.save()
    showcase.run([("a.png", pictures.png(1))], private="0")
    chip = Chip.objects.get()
    said = chip.labels
    client.force_login(staff)
    client.post(f"/chip/{chip.key}/flag/", {"label": ["blow_down"]})
    assert Chip.objects.get().corrected
    chosen = [Flag.objects.get().pk]
    form = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    client.post("/admin/showcase/flag/", form)
    chip.refresh_from_db()
    assert (chip.corrected, chip.labels) == (False, said)


def test_a_correction_goes_along_when_a_batch_is_made_private(showcase, staff):
    one, two = (showcase.run([("a.png", pictures.png(1))], private="0") for _ in range(2))
    flag = Flag.objects.create(chip=Chip.objects.get(), labels=1 << 16)
    corrections.judge(Flag.objects.filter(pk=flag.pk), accepted=True, by=staff)
    before = list(exports.csv_rows(two))
    two = visibility.set_private(two, True)
    assert list(exports.csv_rows(two)) == before == list(exports.csv_rows(one))


def test_the_file_of_corrections_holds_the_one_that_counts(showcase, staff):
    showcase.run([("a.png", pictures.png(1))], private="0")
    chip = Chip.objects.get()
    older, newer = (Flag.objects.create(chip=chip, labels=mask) for mask in (1, 2))
    for hours, flag in ((2, newer), (1, older)):  # the older one was decided last
        corrections.judge(Flag.objects.filter(pk=flag.pk), accepted=True, by=staff)
        at = timezone.now() - timedelta(hours=hours)
        Flag.objects.filter(pk=flag.pk).update(decided_at=at)
    corrections.apply([chip.pk])
    chip.refresh_from_db()
    assert chip.labels == 1
    assert "".join(exports.flag_rows()).splitlines()[1:] == [f"a,{label_sets.names(1)[0]}"]


def test_what_has_had_its_time_is_shown_nowhere(showcase, client):
    showcase.run([("a.png", pictures.png(1))], private="1")
    chip = Chip.objects.get()
    Batch.objects.update(vanishes_at=timezone.now() - timedelta(days=2))
    assert client.get(f"/api/v1/chips/{chip.key}").status_code == 404
    assert status(client, chip, ("original", "thumb")) == {404}


def test_a_damaged_picture_takes_no_room_from_the_next(showcase, settings):
    settings.SHOWCASE |= {"MAX_CHIPS": 4, "CHIP_PIXELS": 64}
    whole = io.BytesIO()
    picture = Image.fromarray(pictures.pixels(1, 128))
    picture.save(whole, "TIFF", compression="tiff_deflate")
    data = bytearray(whole.getvalue())
    for at in range(100, 100 + len(data) // 2):
        data[at] ^= 0x5A
    batch = showcase.batch([("a.tif", bytes(data)), ("b.jpg", pictures.jpeg(2, 128))])
    showcase.work(batch)
    states = dict(Upload.objects.filter(batch=batch).values_list("name", "state"))
    assert list(states.values()) == ["failed", "read"]
    batch.refresh_from_db()
    assert batch.chips == 4


def test_labels_of_rare_thresholds_are_not_claimed_where_there_are_none(showcase, client):
    batch = showcase.run([("a.png", pictures.png(1))], private="0")
    model = ModelVersion.objects.get()
    model.card.pop("label_thresholds", None)
    model.save()
    page = client.get(f"/batch/{batch.token}/?find=rare").content.decode()
    assert "Labels by thresholds that serve each label alone" not in page
