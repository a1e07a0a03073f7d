"""Figure 5's flow: both copies stored, only the new predicted, upload copies gone at the end."""

from __future__ import annotations

import io
from datetime import timedelta

import cv2
import numpy as np
import pictures
import planted
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image
from showcase import copies, engine, intake, keeper, removal, storage, work
from showcase.models import Batch, Chip, ModelVersion, Placement, Prediction, Upload, Worker
from showcase.reading import Reader

from paperlib.labels import LABELS

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Every chip that the predictor is given."""
    path = tmp_path / "predicted.log"
    path.touch()
    monkeypatch.setenv("PLANTED_LOG", str(path))
    return lambda: path.read_text().split()


def test_a_batch_goes_through_the_papers_flow(showcase, log):
    batch = showcase.batch([(f"chip_{i}.png", pictures.png(i)) for i in range(5)])
    assert batch.state == "queued"
    assert len(showcase.stored()) == 5  # upload copies
    showcase.work(batch)
    assert batch.state == "done"
    assert (batch.files_read, batch.chips, batch.chips_labelled) == (5, 5, 5)
    assert len(log()) == 5
    (pack,) = showcase.stored()  # the pixels of all five; the upload copies are gone
    assert pack.startswith("packs/")
    showcase.unpack()
    kinds = sorted(name.rsplit(".", 1)[-1] for name in showcase.stored())
    assert kinds == 5 * ["original"] + 5 * ["thumb"]
    assert Chip.objects.filter(shown=True).count() == 5
    assert set(Upload.objects.values_list("copy", flat=True)) == {""}


def test_labels_and_probabilities_are_the_predictors_own(showcase):
    images = [pictures.pixels(i) for i in range(20)]
    batch = showcase.run([(f"{i}.png", pictures.encode(im)) for i, im in enumerate(images)])
    own = planted.load().predict(images)
    rows = {int(p.name): p for p in batch.placements.select_related("upload", "prediction")}
    for i in range(20):
        found = rows[i].prediction
        assert np.array_equal(Prediction.unpack(found.probability), own.probability[i])
        assert np.array_equal(Prediction.unpack(found.raw), own.raw[i])
        names = [n for k, n in enumerate(LABELS) if found.labels >> k & 1]
        assert names == own.labels[i]


def test_the_same_bytes_are_never_predicted_twice(showcase, log):
    files = [(f"{i}.png", pictures.png(i)) for i in range(6)]
    first = showcase.run(files)
    second = showcase.run([*files, ("new.png", pictures.png(100))])
    assert len(log()) == 7
    assert (first.chips_known, second.chips_known, second.chips_labelled) == (0, 6, 7)
    assert Prediction.objects.count() == 7


def test_the_same_pixels_in_another_file_are_the_same_chip(showcase, log):
    image = pictures.pixels(1)
    exif = Image.Exif()
    exif[0x010E] = "other bytes"
    files = [("a.png", pictures.encode(image)), ("b.png", pictures.encode(image, exif=exif))]
    files += [("c.tif", pictures.encode(image, "TIFF"))]
    assert len({data for _, data in files}) == 3
    batch = showcase.run(files)
    assert (batch.chips, Chip.objects.count(), len(log())) == (3, 1, 1)


def test_the_same_jpeg_is_the_same_chips_wherever_it_comes_from(showcase, log):
    data = pictures.jpeg(1, (256, 512))
    files = [("a.jpg", data), ("b.jpg", data)]
    files += [("c.zip", pictures.archive([("d.jpg", data), ("e.jpg", pictures.jpeg(2))]))]
    batch = showcase.run(files)
    assert (batch.chips, Chip.objects.count(), len(log())) == (7, 3, 3)  # two halves, and e
    again = showcase.run([("f.zip", pictures.archive([("f.jpg", data)]))])
    assert (again.chips_known, Chip.objects.count(), len(log())) == (2, 3, 3)


def test_a_new_model_version_predicts_again_and_keeps_the_old(showcase, log, monkeypatch):
    files = [("a.png", pictures.png(1))]
    showcase.run(files)
    monkeypatch.setattr(planted.PlantedPredictor, "card", {"name": "planted", "version": 2})
    engine.forget()
    batch = showcase.run(files)
    assert len(log()) == 2
    assert ModelVersion.objects.count() == 2
    assert Prediction.objects.filter(chip=Chip.objects.get()).count() == 2
    assert batch.placements.get().prediction.model == ModelVersion.current()


def test_four_component_jpegs_have_the_colours_of_the_planet_loader(showcase):
    from paperlib.chips.jpeg import exact

    data = pictures.planet_jpeg(3)
    showcase.run([("train_1.jpg", data)])
    kept = storage.read(storage.chip_copy(Chip.objects.get().key, "original"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept))), exact(data))


def test_a_jpeg_has_the_pixels_that_the_predictor_reads(tmp_path):
    """So labels are equal, too: of three components, of four, and of one."""
    from paperlib.predictor import read_image

    image, bright = pictures.pixels(3, (61, 77)), np.full((64, 64, 3), 255, np.uint8)
    ink = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)  # a true CMYK picture
    files = [pictures.planet_jpeg(3), pictures.encode(bright, "JPEG")]
    files += [pictures.encode(image[..., 0], "JPEG")]
    for quality in (30, 90, 100):
        for subsampling in range(3):
            options = {"quality": quality, "subsampling": subsampling}
            files.append(pictures.encode(image, "JPEG", **options))
            files.append(pictures.encode(image, "JPEG", **options, progressive=True))
    buffer = io.BytesIO()
    Image.fromarray(ink, "CMYK").save(buffer, "JPEG")
    files.append(buffer.getvalue())
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    files.append(pictures.encode(image, "JPEG", exif=exif))
    reader = Reader()
    try:
        assert reader.send([(data, False) for data in files], chips=100)
        found = reader.receive()
    finally:
        reader.close()
    for data, (head, (piece,)) in zip(files, found, strict=True):
        (tmp_path / "a.jpg").write_bytes(data)
        own = read_image(tmp_path / "a.jpg")
        assert (head.height, head.width) == own.shape[:2]
        assert np.array_equal(piece.pixels, own)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16"])
def test_every_kind_of_png_becomes_colours(showcase, mode):
    grey = pictures.pixels(2)[..., 0]
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 256)
    else:
        image = Image.fromarray(pictures.pixels(2)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert showcase.run([("a.png", buffer.getvalue())]).chips_labelled == 1
    kept = storage.read(storage.chip_copy(Chip.objects.get().key, "original"))
    got = np.asarray(Image.open(io.BytesIO(kept)))
    assert got.shape == (64, 64, 3)
    if mode == "I;16":
        assert np.array_equal(got[..., 0], grey)


def test_a_geotiff_of_8_bits_keeps_its_pixels(showcase):
    image = pictures.pixels(5)
    data = pictures.geotiff(image.transpose(2, 0, 1), photometric="RGB", compress="deflate")
    showcase.run([("scene.tif", data)])
    kept = storage.read(storage.chip_copy(Chip.objects.get().key, "original"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept))), image)


def test_a_geotiff_of_16_bits_and_4_bands_is_stretched(showcase):
    image = pictures.pixels(5, 128).astype(np.uint16)
    bands = np.stack([image[..., 0], image[..., 1], image[..., 2], image[..., 0]]) * 10 + 300
    showcase.run([("scene.tif", pictures.geotiff(bands, photometric="RGB"))])
    kept = storage.read(storage.chip_copy(Chip.objects.get().key, "original"))
    got = np.asarray(Image.open(io.BytesIO(kept)))[..., 0].astype(float)
    assert got.min() == 0
    assert got.max() == 255
    assert np.corrcoef(got.ravel(), image[..., 0].ravel())[0, 1] > 0.99


def test_a_large_picture_becomes_a_mosaic_without_gaps(showcase, client):
    image = pictures.pixels(9, (600, 900))
    batch = showcase.run([("scene.png", pictures.encode(image)), ("b.png", pictures.png(1))])
    upload = Upload.objects.get(name="scene")
    assert (upload.rows, upload.columns, upload.width, upload.height) == (2, 4, 900, 600)
    rows = []
    for row in range(2):
        parts = []
        for place in upload.placements.filter(row=row).order_by("column"):
            data = storage.read(storage.chip_copy(place.chip.key, "original"))
            parts.append(np.asarray(Image.open(io.BytesIO(data))))
        rows.append(np.concatenate(parts, axis=1))
    assert np.array_equal(np.concatenate(rows), image)
    page = client.get(f"/batch/{batch.token}/picture/{upload.pk}/")
    assert page.status_code == 200
    names = {p.name for p in upload.placements.all()}
    assert "scene_r001_c003" in names


def test_chips_of_a_mosaic_larger_than_a_group_are_all_named_by_their_place(showcase, settings):
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    batch = showcase.run([("scene.png", pictures.encode(pictures.pixels(9, (192, 224))))])
    assert batch.chips_labelled == 12 * 14 > work.GROUP
    names = set(Chip.objects.values_list("name", flat=True))
    assert names == {f"scene_r{r:03d}_c{c:03d}" for r in range(12) for c in range(14)}


def test_pictures_are_there_before_their_copies_are_made(showcase, client):
    image = pictures.pixels(4)
    showcase.work(showcase.batch([("a.png", pictures.encode(image)), ("b.png", pictures.png(5))]))
    chip = Chip.objects.get(name="a")
    assert len(showcase.stored()) == 1  # the pack of both
    for kind, size in (("original", (64, 64)), ("thumb", (160, 160))):
        data = client.get(f"/chip/{chip.key}/{kind}.image").content
        assert Image.open(io.BytesIO(data)).size == size
        assert storage.read(storage.chip_copy(chip.key, kind)) == data  # kept for the next
    assert np.array_equal(copies.pixels(chip), image)
    assert client.get(f"/chip/{chip.key}/dehazed.image").status_code == 404
    copies.unpack(chip)
    assert keeper.drop_orphans(minutes=-1) == 0  # b is in the pack still
    copies.unpack(Chip.objects.get(name="b"))
    assert any(name.startswith("packs/") for name in showcase.stored())  # more may be kept from it
    assert keeper.drop_orphans() == 0
    assert keeper.drop_orphans(minutes=-1) == 1
    assert not any(name.startswith("packs/") for name in showcase.stored())
    assert np.array_equal(copies.pixels(chip), image)  # a row that was read before
    chip.refresh_from_db()
    assert np.array_equal(copies.pixels(chip), image)


def test_a_predictor_that_fits_pictures_gets_fitted_ones_and_the_copy_stays_whole(
    showcase, monkeypatch
):
    """Of the last files, too, whose memory the decoder has filled with others meanwhile."""
    predictor, given = engine.load()[0], []
    monkeypatch.setattr(type(predictor), "fit", lambda _, p: p[::4, ::4], raising=False)
    original = engine.predict
    monkeypatch.setattr(engine, "predict", lambda i: given.extend(map(np.copy, i)) or original(i))
    images = [pictures.pixels(i) for i in range(100)]
    mosaic = pictures.pixels(7, (512, 768))
    files = [(f"{i:03d}.png", pictures.encode(image)) for i, image in enumerate(images)]
    batch = showcase.work(showcase.batch([*files, ("m.png", pictures.encode(mosaic))]))
    assert batch.chips_labelled == 106
    images += [mosaic[r : r + 256, c : c + 256] for r in (0, 256) for c in (0, 256, 512)]
    for got, image in zip(given, images, strict=True):
        assert np.array_equal(got, image[::4, ::4])
    placed = batch.placements.select_related("chip").order_by("upload__name", "row", "column")
    for place, image in zip(placed, images, strict=True):
        assert np.array_equal(copies.pixels(place.chip), image)


def test_a_pack_that_no_chip_was_kept_from_is_dropped(showcase, settings):
    showcase.work(showcase.batch([("a.png", pictures.png(1))]))
    (pack,) = showcase.stored()
    same = pictures.encode(pictures.pixels(1), "PNG", compress_level=1)  # other bytes, same pixels
    showcase.work(showcase.batch([("b.png", same)]))
    assert showcase.stored() == [pack]
    settings.SHOWCASE["MAX_CHIPS"] = 3  # and one of a picture that is refused in the middle
    batch = showcase.work(showcase.batch([("c.png", pictures.png(2, 512))]))
    assert batch.state == "failed"
    assert [name for name in showcase.stored() if name.startswith("packs/")] == [pack]


def test_copies_are_made_later_where_a_visitor_waits(showcase):
    from django_tasks_db.models import DBTaskResult
    from showcase.tasks import work_early

    showcase.work(showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(5)]))
    DBTaskResult.objects.all().delete()  # what a worker would have done
    showcase.batch([("next.png", pictures.png(9))])
    assert copies.draw_missing() == 1
    Batch.objects.filter(state="queued").delete()
    DBTaskResult.objects.all().delete()
    work_early.enqueue(0)  # files of an upload that goes on
    assert copies.draw_missing() == 1
    DBTaskResult.objects.all().delete()
    assert copies.draw_missing() == 3
    assert not copies.missing().exists()


def test_a_file_that_takes_the_decoder_down_takes_no_other_along(showcase, monkeypatch):
    receive, killed = Reader.receive, []

    def dies(reader):
        if len(killed) < 2:
            killed.append(reader.child.kill())
            reader.child.wait()
        return receive(reader)

    monkeypatch.setattr(Reader, "receive", dies)
    batch = showcase.run([(f"{i}.png", pictures.png(i)) for i in range(50)])
    assert len(killed) == 2
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 50, 0)


def test_a_file_in_a_group_is_refused_alone(showcase):
    files = [(f"{i}.png", pictures.png(i)) for i in range(20)]
    files[3:5] = [("cut.png", pictures.png(100)[:200]), ("no.png", b"nothing")]
    batch = showcase.run(files)
    assert (batch.chips_labelled, batch.files_failed) == (18, 2)
    reasons = dict(batch.uploads.filter(state="failed").values_list("name", "code"))
    assert reasons == {"cut": "truncated", "no": "not_a_picture"}


def test_a_zip_of_a_folder_becomes_its_pictures(showcase):
    entries = [(f"chips/sub/{i}.png", pictures.png(i)) for i in range(4)]
    entries += [("__MACOSX/._1.png", b"x"), ("chips/.DS_Store", b"x"), ("chips/notes.txt", b"hi")]
    batch = showcase.run([("chips.zip", pictures.archive(entries))])
    assert (batch.state, batch.chips_labelled, batch.files, batch.files_failed) == ("done", 4, 5, 1)
    assert Upload.objects.get(batch=batch, state="failed").name == "notes.txt"
    assert not [name for name in showcase.stored() if name.startswith("uploads/")] or (
        # the copy of what failed is kept for another try
        len([name for name in showcase.stored() if name.startswith("uploads/")]) == 1
    )


def test_a_batch_in_which_nothing_can_be_read_fails(showcase):
    batch = showcase.run([("a.png", b"nothing"), ("b.png", b"at all")])
    assert (batch.state, batch.files_failed, batch.chips) == ("failed", 2, 0)


def test_a_chip_the_model_refuses_says_so_and_can_be_tried_again(showcase, client, monkeypatch):
    bad = np.full((64, 64, 3), 13, np.uint8)
    files = [("bad.png", pictures.encode(bad))] + [(f"{i}.png", pictures.png(i)) for i in range(3)]
    batch = showcase.run(files)
    assert (batch.state, batch.chips_labelled, batch.chips_failed) == ("done", 3, 1)
    assert Placement.objects.get(batch=batch, state="failed").code == "predictor"
    monkeypatch.setattr(planted.PlantedPredictor, "_raw", staticmethod(lambda im: np.ones(17)))
    assert client.post(f"/batch/{batch.token}/retry/").status_code == 302
    showcase.work(batch)
    assert (batch.state, batch.chips_labelled, batch.chips_failed) == ("done", 4, 0)


def test_a_file_that_failed_can_be_tried_again_while_its_copy_is_kept(showcase, settings):
    settings.SHOWCASE["MAX_MEGAPIXELS"] = 0.1
    batch = showcase.run([("a.png", pictures.png(1, 400)), ("b.png", pictures.png(2))])
    assert (batch.files_failed, batch.chips_labelled) == (1, 1)
    settings.SHOWCASE["MAX_MEGAPIXELS"] = 100
    assert intake.retry(batch)
    showcase.work(batch)
    assert (batch.state, batch.files_failed, batch.chips_labelled) == ("done", 0, 5)
    assert not intake.retry(batch)  # nothing failed any more


def test_without_a_model_the_batch_waits_and_says_so(showcase, monkeypatch, tmp_path, client):
    missing = tmp_path / "missing"
    missing.touch()
    monkeypatch.setenv("PLANTED_MISSING", str(missing))
    batch = showcase.batch([("a.png", pictures.png(1))])
    assert work.work(batch.pk) == "no model"
    batch.refresh_from_db()
    assert batch.state == "queued"
    assert "model" in client.get(batch.get_absolute_url()).content.decode()
    assert batch.trouble
    missing.unlink()
    assert showcase.work(batch).state == "done"
    assert not batch.trouble


def test_cancelling_keeps_what_was_predicted_and_drops_the_copies(showcase, settings, client):
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    work.work(batch.pk)
    batch.refresh_from_db()
    assert (batch.state, batch.chips_labelled) == ("queued", work.FIRST)
    assert client.post(f"/batch/{batch.token}/cancel/").status_code == 302
    assert work.work(batch.pk) == "nothing to do"
    batch.refresh_from_db()
    assert (batch.state, batch.chips_labelled) == ("cancelled", work.FIRST)
    assert not [name for name in showcase.stored() if name.startswith("uploads/")]


def test_a_cancelled_batch_stops_after_the_group_in_hand(showcase, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    original = engine.predict

    def predict(images):
        intake.cancel(Batch.objects.get(pk=batch.pk))
        return original(images)

    monkeypatch.setattr(engine, "predict", predict)
    assert work.work(batch.pk) == "cancelled"
    batch.refresh_from_db()
    assert (batch.state, batch.chips, batch.chips_labelled) == ("cancelled", 8, work.FIRST)
    # The group in hand is finished: its chips are labelled, in the gallery, and their files gone.
    assert set(batch.placements.values_list("state", flat=True)) == {"labelled"}
    assert Chip.objects.filter(shown=True).count() == work.FIRST
    assert not [name for name in showcase.stored() if name.startswith("uploads/")]
    assert work.work(batch.pk) == "nothing to do"


def test_a_batch_that_another_worker_took_keeps_its_copies(showcase, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    original = engine.predict

    def predict(images):
        Batch.objects.filter(pk=batch.pk).update(worker="another")
        return original(images)

    monkeypatch.setattr(engine, "predict", predict)
    assert work.work(batch.pk) == "given up"
    left = [name for name in showcase.stored() if name.startswith("uploads/")]
    assert len(left) == 30
    batch.refresh_from_db()
    assert batch.state == "running"


def test_groups_are_few_and_the_last_holds_what_is_left(showcase, monkeypatch):
    monkeypatch.setattr(work, "PATIENCE", 60)
    sizes, original = [], engine.predict
    monkeypatch.setattr(engine, "predict", lambda i: sizes.append(len(i)) or original(i))
    showcase.work(showcase.batch([(f"{i}.png", pictures.png(i, 16)) for i in range(300)]))
    assert sizes[0] == work.FIRST
    assert sum(sizes) == 300
    assert 4 * work.FIRST <= sizes[1] <= work.GROUP
    rest = [size for size in sizes[2:] if size < work.GROUP]
    assert sizes[2:] == (len(sizes) - 2 - len(rest)) * [work.GROUP] + sorted(rest, reverse=True)
    assert len(sizes) <= 6


# --- faults, in one process -----------------------------------------------------------------------


def test_a_lost_batch_is_reclaimed_and_nothing_is_predicted_twice(showcase, log, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    label = work._label
    calls = []

    def die(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt  # as a kill: nothing of the except clauses runs
        return label(*args)

    monkeypatch.setattr(work, "_label", die)
    with pytest.raises(KeyboardInterrupt):
        work.work(batch.pk)
    batch.refresh_from_db()
    assert (batch.state, batch.chips_labelled) == ("running", work.FIRST)
    assert work.work(batch.pk) == "nothing to do"  # it is somebody's
    Batch.objects.update(touched_at=timezone.now() - timedelta(minutes=5))
    assert keeper.sweep()["batches"] == 1
    monkeypatch.setattr(work, "me", "another worker")
    showcase.work(batch)
    assert (batch.state, batch.chips_labelled) == ("done", 30)
    # What was predicted before the kill was in the database, though its labels were not given.
    assert sorted(log()) == sorted(set(log()))
    assert len(log()) == 30


def test_a_batch_that_fails_three_times_is_given_up(showcase, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(3)])
    monkeypatch.setattr(work, "_settle", lambda *args: 1 / 0)
    for _ in range(work.ATTEMPTS):
        assert work.work(batch.pk) == "fault"
    monkeypatch.undo()
    batch.refresh_from_db()
    assert batch.state == "queued"
    work.work(batch.pk)
    batch.refresh_from_db()
    assert batch.state == "failed"
    assert set(batch.uploads.values_list("code", flat=True)) == {"worker_died"}


def test_claims_of_a_worker_that_is_gone_become_free(showcase):
    showcase.run([("a.png", pictures.png(1))])
    Prediction.objects.update(probability=None, raw=None, worker="gone")
    Placement.objects.update(state="waiting", prediction=None)
    batch = Batch.objects.get()
    Batch.objects.update(state="queued")
    work.work(batch.pk)
    batch.refresh_from_db()
    assert batch.state == "queued"  # taken over, to be predicted in the next slice
    showcase.work(batch)
    assert batch.state == "done"
    assert Prediction.objects.get().probability is not None


def test_claims_of_a_living_worker_are_left_to_it(showcase, log):
    showcase.run([("a.png", pictures.png(1))])
    Worker.objects.create(name="busy", host="h", pid=1)
    Prediction.objects.update(probability=None, raw=None, worker="busy")
    Placement.objects.update(state="waiting", prediction=None)
    Batch.objects.update(state="queued")
    work.work(Batch.objects.get().pk)
    assert Batch.objects.get().state == "queued"
    assert len(log()) == 1


# --- what has had its time ------------------------------------------------------------------------


def test_a_batch_set_to_vanish_takes_only_its_own_chips_along(
    showcase, django_capture_on_commit_callbacks
):
    both = pictures.png(1)
    showcase.run([("a.png", both)])
    short = showcase.run([("b.png", both), ("c.png", pictures.png(2))], days="7")
    assert short.vanishes_at is not None
    assert keeper.sweep()["vanished"] == 0
    Batch.objects.filter(pk=short.pk).update(vanishes_at=timezone.now() - timedelta(1))
    with django_capture_on_commit_callbacks(execute=True):
        assert keeper.sweep()["vanished"] == 1
    assert Batch.objects.count() == 1
    chip = Chip.objects.get()
    assert chip.shown
    assert {name.split("/")[2].split(".")[0] for name in showcase.stored()} == {chip.key}


def test_an_upload_that_broke_off_is_worked_on_as_far_as_it_came(showcase, client):
    token = client.post("/upload/", {}).json()["token"]
    file = SimpleUploadedFile("a.png", pictures.png(1))
    assert client.post(f"/batch/{token}/files/", {"files": [file]}).json()["files"][0]["accepted"]
    client.post("/upload/", {})  # and one that never got a file
    assert keeper.sweep()["abandoned"] == 0
    Batch.objects.update(touched_at=timezone.now() - timedelta(hours=2))
    assert keeper.sweep()["abandoned"] == 2
    batch = Batch.objects.get()
    assert batch.token == token
    assert showcase.work(batch).state == "done"


def test_what_arrives_is_worked_on_while_the_upload_goes_on(showcase, client, log, monkeypatch):
    monkeypatch.setattr(work, "EARLY_FILES", 1)
    token = client.post("/upload/", {}).json()["token"]
    batch = Batch.objects.get(token=token)

    def add(*files):
        sent = [SimpleUploadedFile(name, data) for name, data in files]
        client.post(f"/batch/{token}/files/", {"files": sent})
        return work.early(batch.pk)

    assert add(*((f"{i}.png", pictures.png(i)) for i in range(20)), ("x.png", b"nothing")) == "read"
    assert len(log()) == 20
    batch.refresh_from_db()
    assert (batch.state, batch.worker, batch.files, batch.chips_labelled) == (
        "receiving", "", 21, 20,
    )  # fmt: skip
    assert not Chip.objects.filter(shown=True).exists()  # it may be cancelled yet
    packed = pictures.archive([(f"{i}.png", pictures.png(i)) for i in (1, 30, 31)])
    assert add(("a.zip", packed), ("40.png", pictures.png(40))) == "read"
    assert len(log()) == 21  # an archive waits for the end
    assert client.post(f"/batch/{token}/submit/").status_code == 200
    assert work.early(batch.pk) == "nothing to do"
    showcase.work(batch)
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 24, 1)
    assert sorted(log()) == sorted(set(log()))
    assert Chip.objects.filter(shown=True).count() == 23
    assert set(Chip.objects.values_list("name", flat=True)) >= {"0", "19", "30", "40"}


def test_files_that_are_too_few_for_early_work_wait_for_more(showcase, client, log, monkeypatch):
    from django_tasks_db.models import DBTaskResult

    monkeypatch.setattr(work, "EARLY_FILES", 16)
    monkeypatch.setattr("showcase.views.upload.EARLY_FILES", 16)
    token = client.post("/upload/", {}).json()["token"]
    batch = Batch.objects.get(token=token)
    early = DBTaskResult.objects.filter(task_path="showcase.tasks.work_early")
    for start, tasks, done in ((0, 0, 0), (10, 1, 16), (20, 1, 16), (30, 2, 32)):
        names = [f"{i}.png" for i in range(start, start + 10)]
        sent = [SimpleUploadedFile(n, pictures.png(start + i)) for i, n in enumerate(names)]
        client.post(f"/batch/{token}/files/", {"files": sent})
        assert early.count() == tasks
        assert work.early(batch.pk) == "read"
        assert len(log()) == done
    assert client.post(f"/batch/{token}/submit/").status_code == 200
    assert showcase.work(batch).chips_labelled == 40
    assert sorted(log()) == sorted(set(log()))


def test_a_batch_submitted_during_early_work_runs_at_once(showcase, client, log, monkeypatch):
    monkeypatch.setattr(work, "EARLY_FILES", 1)
    token = client.post("/upload/", {}).json()["token"]
    batch = Batch.objects.get(token=token)
    packed = pictures.archive([(f"{i}.png", pictures.png(i)) for i in (1, 30, 31)])
    files = [(f"{i}.png", pictures.png(i)) for i in range(20)]
    sent = [SimpleUploadedFile(name, data) for name, data in [*files, ("a.zip", packed)]]
    client.post(f"/batch/{token}/files/", {"files": sent})
    original, states = engine.predict, []

    def predict(images):
        states.append(Batch.objects.get().state)
        intake.submit(Batch.objects.get())
        return original(images)

    monkeypatch.setattr(engine, "predict", predict)
    assert work.early(batch.pk) == "finished"
    assert work.work(batch.pk) == "nothing to do"  # its own task comes too late
    assert states[:2] == ["receiving", "running"]
    batch.refresh_from_db()
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 23, 0)
    assert sorted(log()) == sorted(set(log()))
    assert Chip.objects.filter(shown=True).count() == 22
    assert not [name for name in showcase.stored() if name.startswith("uploads/")]


def test_a_cancelled_upload_shows_nothing_of_what_was_worked_on(showcase, client, monkeypatch):
    monkeypatch.setattr(work, "EARLY_FILES", 1)
    token = client.post("/upload/", {}).json()["token"]
    file = SimpleUploadedFile("a.png", pictures.png(1))
    client.post(f"/batch/{token}/files/", {"files": [file]})
    batch = Batch.objects.get(token=token)
    work.early(batch.pk)
    client.post(f"/batch/{token}/cancel/")
    assert work.early(batch.pk) == "nothing to do"
    assert Chip.objects.get().confidence > 0
    assert not Chip.objects.filter(shown=True).exists()
    assert not [name for name in showcase.stored() if name.startswith("uploads/")]


def test_a_batch_whose_task_was_lost_is_queued_again(showcase):
    from django_tasks_db.models import DBTaskResult

    showcase.batch([("a.png", pictures.png(1))])
    DBTaskResult.objects.all().delete()
    Batch.objects.update(queued_at=timezone.now() - timedelta(hours=1))
    assert keeper.sweep()["unqueued"] == 1
    assert DBTaskResult.objects.count() == 1
    assert keeper.sweep()["unqueued"] == 0


def test_copies_without_a_row_are_removed_after_an_hour(showcase):
    storage.write("uploads/orphan", b"left by a killed server")
    batch = showcase.batch([("a.png", pictures.png(1))])
    assert keeper.drop_orphans(minutes=60) == 0
    assert keeper.drop_orphans(minutes=-1) == 1
    assert batch.uploads.get().copy in showcase.stored()


def test_views_are_drawn_by_the_papers_equations(showcase):
    from paperlib import dehaze

    image = pictures.pixels(3, 128)
    showcase.run([("a.png", pictures.encode(image))])
    chip = Chip.objects.get()
    assert not chip.views
    copies.draw_missing()
    chip.refresh_from_db()
    assert chip.views
    kept = storage.read(storage.chip_copy(chip.key, "dehazed"))
    patch, radius = copies.scaled(128)
    assert (patch, radius) == (9, 20)
    assert copies.scaled(256) == (15, 40)
    want = dehaze.dehaze(image, patch=patch, radius=radius)
    assert np.abs(np.asarray(Image.open(io.BytesIO(kept))).astype(int) - want).max() <= 1


def test_deleting_a_chip_removes_it_everywhere(showcase, django_capture_on_commit_callbacks):
    showcase.run([("a.png", pictures.png(1))])
    with django_capture_on_commit_callbacks(execute=True):
        removal.remove_chip(Chip.objects.get())
    assert not Chip.objects.exists()
    assert not Placement.objects.exists()
    assert showcase.stored() == []


def test_a_task_that_its_living_worker_has_lost_is_freed(showcase, monkeypatch):
    """The database went away between the worker's taking it and its beginning."""
    from django_tasks_db.models import DBTaskResult

    batch = showcase.batch([("a.png", pictures.png(1))])
    Worker.objects.create(name=work.me, host="h", pid=1)
    task = DBTaskResult.objects.get()
    task.claim(work.me)
    long_ago = timezone.now() - timedelta(hours=1)
    Batch.objects.update(queued_at=long_ago)
    assert keeper.sweep()["tasks"] == 0  # it may have begun this moment
    DBTaskResult.objects.update(started_at=long_ago)
    monkeypatch.setattr(keeper, "_task", task.pk)
    assert keeper.sweep()["tasks"] == 0  # it is at it, and that takes long
    monkeypatch.setattr(keeper, "_task", None)
    assert keeper.sweep()["tasks"] == 1
    assert DBTaskResult.objects.ready().get().pk == task.pk
    batch.refresh_from_db()
    assert batch.state == "queued"


def test_a_worker_knows_which_task_it_runs(showcase, monkeypatch):
    from django_tasks_db.models import DBTaskResult

    showcase.batch([("a.png", pictures.png(1))])
    worker = keeper._Worker(
        queue_names=["default"], interval=0, batch=True, backend_name="default",
        startup_delay=False, max_tasks=None, worker_id=work.me, excluded_queue_names=[],
    )  # fmt: skip
    seen = []
    monkeypatch.setattr(work, "work", lambda batch: seen.append(keeper._task) or "done")
    task = DBTaskResult.objects.get()
    worker.run_task(task)
    assert (seen, keeper._task) == ([task.pk], None)


def test_a_retry_at_the_last_moment_keeps_its_copy(showcase, monkeypatch):
    batch = showcase.run([("a.png", b"no picture"), ("b.png", pictures.png(1))])
    (copy,) = [u.copy for u in batch.uploads.all() if u.copy]
    Batch.objects.update(finished_at=timezone.now() - timedelta(days=2))
    found = Upload.objects.filter

    def late(*args, **kwargs):
        rows = found(*args, **kwargs)
        if "batch__finished_at__lt" in kwargs:  # the sweep has found it when the visitor asks
            rows = rows.all()
            list(rows)
            plain = rows.exclude

            def exclude(**excluded):
                there = list(plain(**excluded))
                assert intake.retry(batch)
                return there

            rows.exclude = exclude
        return rows

    monkeypatch.setattr(Upload.objects, "filter", late)
    keeper.tidy()
    monkeypatch.undo()
    assert copy in showcase.stored()
    assert batch.uploads.get(name="a").copy == copy
    # And a sweep of finished batches' copies that has come too far does no harm either.
    intake.drop_copies(batch, keep_failed=True)
    assert batch.uploads.get(name="a").copy == copy
    # A row without a copy is a file that is missing, not a store that is away.
    batch.uploads.filter(name="a").update(copy="")
    assert showcase.work(batch).files_failed == 1
    assert batch.uploads.get(name="a").code == "missing"


def test_what_a_kill_left_half_written_is_swept(showcase, settings):
    from pathlib import Path

    batch = showcase.run([("a.png", pictures.png(1))])
    chip = batch.placements.get().chip
    root = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    (root / f"chips/{chip.key[:2]}/{chip.key}.dehazed.0a1b2c3d.partial").write_bytes(b"half")
    storage.write("health/0a1b", b"ok")
    kept = [name for name in showcase.stored() if name.count(".") == 1]
    assert keeper.drop_orphans() == 0
    assert keeper.drop_orphans(minutes=-1) == 2
    assert showcase.stored() == kept
    assert len(kept) == 2


def test_a_picture_of_a_chip_that_is_deleted_while_it_is_made_is_not_left(
    showcase, client, monkeypatch
):
    showcase.work(showcase.batch([("a.png", pictures.png(1))]))
    chip = Chip.objects.get()
    write = storage.write

    def late(name, data):
        Placement.objects.all().delete()
        removal.retire([chip.pk])
        removal.remove_retired()
        write(name, data)

    monkeypatch.setattr(storage, "write", late)
    assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 404
    assert [name for name in showcase.stored() if name.startswith("chips/")] == []


def test_a_chip_that_cannot_be_drawn_keeps_no_other_from_it(showcase, client, monkeypatch):
    from django_tasks_db.models import DBTaskResult

    batch = showcase.work(showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(3)]))
    first, second, third = Chip.objects.order_by("pk")
    storage.write("packs/short", b"cut")
    Chip.objects.filter(pk=first.pk).update(pack="packs/short", pack_at=0)
    scaled = copies.thumb

    def thumb(image):
        if np.array_equal(image, pictures.pixels(1)):
            raise cv2.error("no memory")
        return scaled(image)

    monkeypatch.setattr(copies, "thumb", thumb)
    for _ in range(copies.TRIES + 1):
        DBTaskResult.objects.all().delete()  # nothing waits
        copies.draw_missing()
    drawn = Chip.objects.in_bulk()
    assert [drawn[c.pk].views for c in (first, second, third)] == [False, False, True]
    assert [drawn[c.pk].tries for c in (first, second, third)] == [3, 3, 0]
    assert not copies.missing().exists()  # nor is it tried for ever
    for chip in (first, second):
        assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 404
        assert client.get(f"/chip/{chip.key}/").status_code == 200
    assert batch.chips_labelled == 3


def test_a_store_that_is_away_is_not_held_against_a_chip(showcase, monkeypatch):
    from django_tasks_db.models import DBTaskResult

    showcase.work(showcase.batch([("a.png", pictures.png(1))]))
    DBTaskResult.objects.all().delete()

    def away(*_):
        raise storage.StorageAway(5, "Input/output error")

    monkeypatch.setattr(storage, "write", away)
    with pytest.raises(storage.StorageAway):
        copies.draw_missing()
    assert Chip.objects.get().tries == 0
    assert copies.missing().exists()
