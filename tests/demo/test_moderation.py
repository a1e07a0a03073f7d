"""What staff takes down is gone for everybody else; what it decides on is on one page."""

from __future__ import annotations

import json
from datetime import timedelta

import pictures
import planted
import pytest
from django.test import Client
from django.utils import timezone
from showcase import label_sets
from showcase.models import ApiKey, Chip, Flag, ModelVersion, Worker
from showcase.services import corrections, deletion, exports, predictor

pytestmark = pytest.mark.django_db


@pytest.fixture
def keeper(django_user_model):
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("boss", password="a password"))
    return client


def text(client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return (b"".join(answer) if answer.streaming else answer.content).decode()


def test_a_chip_that_is_taken_down_is_told_nowhere(showcase, client, keeper):
    batch = showcase.run([("kept.png", pictures.png(1)), ("mosaic.png", pictures.png(2, 512))])
    gone = list(Chip.objects.exclude(name="kept"))[:2]
    kept = Chip.objects.exclude(pk__in=[chip.pk for chip in gone])
    token = batch.token
    mosaic = f"/batch/{token}/picture/{batch.uploads.get(name='mosaic').pk}/"
    pages = ["/", "/gallery/", f"/batch/{token}/", mosaic, f"/gallery/?batch={token}"]
    pages += [f"/batch/{token}/labels.json", f"/api/v1/batches/{token}/chips", "/flags.csv"]
    pages += [chip.get_absolute_url() for chip in kept]
    Flag.objects.create(chip=gone[0], labels=1)
    before = {path: text(client, path) for path in pages}
    assert gone[0].key in before[f"/batch/{token}/"] + before[mosaic]
    for chip in gone:
        deletion.set_hidden(chip, True)
    for path in pages:
        page = text(client, path)
        assert not any(chip.key in page for chip in gone), path
    assert text(client, f"/batch/{token}/").count("Taken down by those who run this site.") == 2
    assert text(client, mosaic).count("Taken down by those who run this site.") == 2
    names = text(client, f"/batch/{token}/labels.csv").splitlines()
    assert len(names) == 1 + 5 - 2
    entries = json.loads(text(client, f"/api/v1/batches/{token}/chips"))["chips"]
    told = [entry for entry in entries if entry["state"] == "hidden"]
    assert len(told) == 2
    assert all(not (e["chip"] or e["tags"] or e["probability"]) and e["reason"] for e in told)
    for chip in gone:
        assert client.get(f"/api/v1/chips/{chip.key}").status_code == 404
        for kind in ("thumb", "original"):
            assert client.get(f"/chip/{chip.key}/{kind}.image").status_code == 404
    # Staff sees it where it was, to put it back.
    assert gone[0].key in text(keeper, f"/batch/{token}/") + text(keeper, mosaic)


def test_a_correction_is_decided_on_with_everything_in_sight(showcase, keeper):
    showcase.run([("train_7.png", pictures.png(1))])
    chip = Chip.objects.get()
    proposed = label_sets.mask(["haze", "slash_burn"])
    flags = [
        Flag.objects.create(chip=chip, labels=proposed, comment="<script>fire</script>")
        for _ in range(2)
    ]
    for path in ("/admin/showcase/flag/", f"/admin/showcase/flag/{flags[0].pk}/change/"):
        page = text(keeper, path)
        assert f'src="/chip/{chip.key}/thumb.image"' in page
        assert f'href="/chip/{chip.key}/"' in page
        assert ", ".join(label_sets.title(name) for name in ("haze", "slash_burn")) in page
        assert ", ".join(label_sets.title(name) for name in label_sets.names(chip.labels)) in page
        assert "&lt;script&gt;fire" in page
        assert "<script>fire" not in page
    assert keeper.get(f"/chip/{chip.key}/thumb.image").status_code == 200
    chosen = {"_selected_action": [flags[0].pk]}
    keeper.post("/admin/showcase/flag/", chosen | {"action": "accept"})
    keeper.post("/admin/showcase/flag/", {"_selected_action": [flags[1].pk], "action": "reject"})
    assert [Flag.objects.get(pk=flag.pk).state for flag in flags] == ["accepted", "rejected"]
    keeper.post(f"/admin/showcase/flag/{flags[0].pk}/change/", {"state": "rejected"})
    flags[0].refresh_from_db()
    assert (flags[0].state, flags[0].labels) == ("rejected", proposed)


def test_every_page_of_the_administration_opens(showcase, keeper):
    batch = showcase.run([("a.png", pictures.png(1))], private="1")
    rows = [batch, Chip.objects.get(), ModelVersion.objects.get(), ApiKey(name="a", digest="b"),
            Worker(name="w", host="h", pid=1), Flag(chip=Chip.objects.get(), labels=1)]  # fmt: skip
    for row in rows:
        row.save()
        folder = f"/admin/showcase/{row._meta.model_name}/"
        text(keeper, folder)
        text(keeper, f"{folder}{row.pk}/change/")
    for name in ("batch", "chip", "apikey", "flag", "worker", "modelversion"):
        assert keeper.get(f"/admin/showcase/{name}/add/").status_code == 403


def test_the_administration_deletes_a_batch_with_all_that_only_it_holds(
    showcase, keeper, django_capture_on_commit_callbacks
):
    batches = [showcase.run([(f"{i}.png", pictures.png(i))]) for i in range(2)]
    with django_capture_on_commit_callbacks(execute=True):
        page = f"/admin/showcase/batch/{batches[0].pk}/delete/"
        assert keeper.post(page, {"post": "yes"}).status_code == 302
    assert [chip.name for chip in Chip.objects.all()] == ["1"]
    chosen = {"action": "delete_selected", "_selected_action": [batches[1].pk], "post": "yes"}
    with django_capture_on_commit_callbacks(execute=True):
        keeper.post("/admin/showcase/batch/", chosen)
    assert not Chip.objects.exists()
    assert showcase.stored() == []


def test_an_accepted_correction_takes_effect_everywhere_and_can_be_taken_back(
    showcase, client, keeper
):
    batch = showcase.run([("a.png", pictures.png(1)), ("big.png", pictures.png(2, 512))])
    chip = Chip.objects.get(name="a")
    said = chip.labels
    right = label_sets.mask(["blooming", "clear"])
    assert right != said
    flag = Flag.objects.create(chip=chip, labels=right)
    mosaic = batch.uploads.get(name="big")
    cell = mosaic.placements.first()
    other = Flag.objects.create(chip=cell.chip, labels=right)

    def seen() -> list[bool]:
        """Where the correction counts: gallery, csv, json, API, batch's and chip's page, mosaic."""
        own = batch.get_absolute_url()
        rows = text(client, f"{own}labels.csv").splitlines()
        entries = json.loads(text(client, f"{own}labels.json"))["chips"]
        entry = next(e for e in entries if e["image_name"] == "a")
        api = client.get(f"/api/v1/chips/{chip.key}").json()
        page = text(client, chip.get_absolute_url())
        picture = text(client, f"{own}picture/{mosaic.pk}/")
        return [
            chip.key in text(client, "/gallery/?label=blooming&label=clear"),
            "a,clear blooming," in "\n".join(rows),
            (entry["tags"], entry["corrected"]) == (["clear", "blooming"], True),
            (api["tags"], api["corrected"]) == (["clear", "blooming"], True),
            "corrected by people on" in page,
            'data-cell="clear blooming"' in picture,
        ]

    assert seen() == [False] * 6
    chosen = {"_selected_action": [flag.pk, other.pk]}
    keeper.post("/admin/showcase/flag/", chosen | {"action": "accept"})
    assert seen() == [True] * 6
    flag.refresh_from_db()
    assert (flag.state, flag.decided_by.username) == ("accepted", "boss")
    assert flag.decided_at is not None
    # Another batch with the same chip, and a new model, do not take it back; staff does.
    predictor.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planted.PlantedPredictor, "card", {"name": "planted", "version": 2})
        showcase.run([("again.png", pictures.png(1))])
    chip.refresh_from_db()
    assert chip.labels == right
    keeper.post(f"/admin/showcase/flag/{flag.pk}/change/", {"state": "rejected"})
    keeper.post(f"/admin/showcase/flag/{other.pk}/change/", {"state": "open"})
    assert seen() == [False] * 6
    chip.refresh_from_db()
    assert (chip.labels, chip.corrected) == (said, False)


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.django_db(transaction=True)
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
