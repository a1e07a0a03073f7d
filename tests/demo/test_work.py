"""Figure 5's flow: both copies stored, only the new predicted, upload copies gone at the end."""

from __future__ import annotations

import io
import itertools
import threading
from collections import Counter
from datetime import timedelta

import cv2
import numpy as np
import pictures
import planted
import pytest
from conftest import DECODER
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image
from showcase import storage
from showcase.decoder.answers import Away
from showcase.decoder.client import Decoder
from showcase.models import Batch, Chip, ModelVersion, Placement, Prediction, Upload
from showcase.services import batches, chip_images, deletion, predictor, progress
from showcase.worker import bulk, housekeeping, label_batch, lease, read_ahead

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
    assert len(showcase.stored()) == 5  # still, until their chips are drawn
    showcase.draw()
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
    predictor.forget()
    batch = showcase.run(files)
    assert len(log()) == 2
    assert ModelVersion.objects.count() == 2
    assert Prediction.objects.filter(chip=Chip.objects.get()).count() == 2
    assert batch.placements.get().prediction.model == ModelVersion.current()


def test_four_component_jpegs_have_the_colours_of_the_planet_loader(showcase):
    from paperlib.chips.jpeg import exact

    data = pictures.planet_jpeg(3)
    showcase.run([("train_1.jpg", data)])
    kept = storage.read(storage.chip_copy(Chip.objects.get().pictures, "original"))
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
    for data in files:
        _head, piece = DECODER.read(data, chips=100)
        (tmp_path / "a.jpg").write_bytes(data)
        own = read_image(tmp_path / "a.jpg")
        assert piece.size == own.shape[:2]
        assert np.array_equal(piece.pixels, own)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("turn", [0, *range(1, 9), 9])
def test_a_camera_s_picture_is_turned_upright(kind, turn, tmp_path):
    """As `paper predict` and viewers do; a number that is no orientation turns nothing."""
    from PIL import ImageOps

    from paperlib.predictor import read_image

    exif = Image.Exif()
    exif[0x0112] = turn
    data = pictures.encode(pictures.pixels(3, (61, 77)), kind, exif=exif)
    _head, piece = DECODER.read(data, chips=100)
    with Image.open(io.BytesIO(data)) as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(piece.pixels, shown)
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(data)
    assert np.array_equal(piece.pixels, read_image(path))


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
    kept = storage.read(storage.chip_copy(Chip.objects.get().pictures, "original"))
    got = np.asarray(Image.open(io.BytesIO(kept)))
    assert got.shape == (64, 64, 3)
    if mode == "I;16":
        assert np.array_equal(got[..., 0], grey)


def test_a_geotiff_of_8_bits_keeps_its_pixels(showcase):
    image = pictures.pixels(5)
    data = pictures.geotiff(image.transpose(2, 0, 1), photometric="RGB", compress="deflate")
    showcase.run([("scene.tif", data)])
    kept = storage.read(storage.chip_copy(Chip.objects.get().pictures, "original"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept))), image)


def test_a_geotiff_of_16_bits_and_4_bands_is_stretched(showcase):
    image = pictures.pixels(5, 128).astype(np.uint16)
    bands = np.stack([image[..., 0], image[..., 1], image[..., 2], image[..., 0]]) * 10 + 300
    showcase.run([("scene.tif", pictures.geotiff(bands, photometric="RGB"))])
    kept = storage.read(storage.chip_copy(Chip.objects.get().pictures, "original"))
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
            data = storage.read(storage.chip_copy(place.chip.pictures, "original"))
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
    assert batch.chips_labelled == 12 * 14 > read_ahead.GROUP
    names = set(Chip.objects.values_list("name", flat=True))
    assert names == {f"scene_r{r:03d}_c{c:03d}" for r in range(12) for c in range(14)}


def test_pictures_are_there_before_they_are_drawn(showcase, client):
    image = pictures.pixels(4)
    showcase.work(showcase.batch([("a.png", pictures.encode(image)), ("b.png", pictures.png(5))]))
    chip = Chip.objects.get(name="a")
    for kind, size in (("original", (64, 64)), ("thumb", (160, 160))):
        data = client.get(f"/chip/{chip.key}/{kind}.image").content
        assert Image.open(io.BytesIO(data)).size == size
        assert storage.read(storage.chip_copy(chip.pictures, kind)) == data  # kept for the next
    assert np.array_equal(chip_images.pixels(chip), image)
    assert client.get(f"/chip/{chip.key}/dehazed.image").status_code == 404
    showcase.draw()
    assert not [name for name in showcase.stored() if name.startswith("uploads/")]
    assert np.array_equal(chip_images.pixels(chip), image)


def test_thumbnails_of_a_page_are_drawn_together(showcase, client, monkeypatch):
    """By a child that sees one private batch only; public ones may share it."""
    drawn, children, draw, start = [], [], chip_images._draw_uploads, Decoder.start

    def drawing(uploads, decoder, **options):
        drawn.append(len(uploads))
        return draw(uploads, decoder, **options)

    monkeypatch.setattr(chip_images, "_draw_uploads", drawing)
    sent = [[(f"{n}_{i}.png", pictures.png(100 * n + i)) for i in range(20)] for n in range(4)]
    batches_ = [
        showcase.work(showcase.batch(files, **({"private": "1"} if n > 1 else {})))
        for n, files in enumerate(sent)
    ]
    chip_images.close()
    monkeypatch.setattr(
        Decoder, "start", lambda self: children.append(self.child is None) or start(self)
    )
    for batch in batches_:
        for place in batch.placements.select_related("chip"):
            assert client.get(f"/chip/{place.chip.key}/thumb.image").status_code == 200
    assert drawn == 4 * [16, 4]
    assert sum(children) == 3  # of both public ones, and of each private one


def test_asking_for_one_chip_of_a_mosaic_draws_its_neighbours(showcase, client, settings):
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    image = pictures.pixels(3, 64)
    batch = showcase.work(showcase.batch([("scene.png", pictures.encode(image))]))
    reads, read = [], Decoder.read
    place = batch.placements.select_related("chip").last()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "read", lambda *a, **k: reads.append(1) or read(*a, **k))
        for one in batch.placements.select_related("chip"):
            assert client.get(f"/chip/{one.chip.key}/thumb.image").status_code == 200
    assert reads == [1]
    assert client.get(f"/chip/{place.chip.key}/original.image").status_code == 200
    top, left = 16 * place.row, 16 * place.column
    assert np.array_equal(chip_images.pixels(place.chip), image[top : top + 16, left : left + 16])


def test_the_decoder_fits_chips_for_a_predictor_that_has_a_size(showcase, monkeypatch):
    """Three kilobytes a chip come back, not two hundred; what is kept of it is whole."""
    from paperlib.chips.jpeg import fit

    made, seen, predict = predictor.load()[0], [], predictor.predict
    monkeypatch.setattr(predictor, "predict", lambda i: seen.extend(map(np.copy, i)) or predict(i))
    mosaic = pictures.pixels(7, (512, 768))
    parts = [mosaic[r : r + 256, c : c + 256] for r in (0, 256) for c in (0, 256, 512)]
    monkeypatch.setattr(type(made), "size", 16, raising=False)
    batch = showcase.run([("m.png", pictures.encode(mosaic))])
    assert len(seen) == 6
    for got, part in zip(seen, parts, strict=True):
        assert np.array_equal(got, fit(part, 16))
    for place, part in zip(batch.placements.order_by("row", "column"), parts, strict=True):
        assert np.array_equal(chip_images.pixels(place.chip), part)


def test_a_file_that_takes_the_decoder_down_takes_no_other_along(showcase, monkeypatch):
    killed, frame = [], Decoder._frame

    def dies(decoder, most):
        if most and len(killed) < 2:
            killed.append(decoder.child.kill())
            raise EOFError("the decoder closed its end")  # whatever it had answered already
        return frame(decoder, most)

    monkeypatch.setattr(Decoder, "_frame", dies)
    batch = showcase.run([(f"{i}.png", pictures.png(i)) for i in range(50)])
    assert len(killed) == 2
    # The second time it was alone with a file, which is then held to be at fault.
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 49, 1)
    assert batch.uploads.get(state="failed").code == "crashed"
    assert batches.retry(batch)
    assert showcase.work(batch).chips_labelled == 50


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
    settings.SHOWCASE["BATCH_READ_SECONDS"] = 0
    batch = showcase.run([("a.png", pictures.png(1, 400)), ("b.png", pictures.png(2))])
    assert (batch.state, batch.files_failed, batch.chips_labelled) == ("failed", 2, 0)
    settings.SHOWCASE["BATCH_READ_SECONDS"] = 100
    assert batches.retry(batch)
    batch.refresh_from_db()
    assert progress.of(batch).percent == 0  # seen failing: 100 until the first chips were saved
    assert progress.of(batch).left == 2
    showcase.work(batch)
    assert (batch.state, batch.files_failed, batch.chips_labelled) == ("done", 0, 5)
    assert not batches.retry(batch)  # nothing failed any more


def test_no_copy_is_kept_of_what_no_new_try_can_mend(showcase):
    """A zip of what is only named like pictures was a gigabyte on disk for a day."""
    noise = np.random.default_rng(0)
    zeros = pictures.archive([(f"{i}.png", b"a" + noise.bytes(500)) for i in range(20)])
    cut = pictures.png(1)[:300]
    batch = showcase.batch([("a.zip", zeros), ("b.png", cut), ("good.png", pictures.png(2))])
    stored, write = [], storage.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "write", lambda name, data: stored.append(name) or write(name, data))
        showcase.work(batch)
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 1, 21)
    assert not [name for name in stored if name.startswith("uploads/")]
    assert showcase.stored() == [batch.uploads.get(name="good").copy]
    assert not batches.may_retry(batch)


def test_without_a_model_the_batch_waits_and_says_so(showcase, monkeypatch, tmp_path, client):
    missing = tmp_path / "missing"
    missing.touch()
    monkeypatch.setenv("PLANTED_MISSING", str(missing))
    batch = showcase.batch([("a.png", pictures.png(1))])
    assert showcase.slice(batch) == "no model"
    batch.refresh_from_db()
    assert batch.state == "queued"
    assert "model" in client.get(batch.get_absolute_url()).content.decode()
    assert batch.trouble
    missing.unlink()
    assert showcase.work(batch).state == "done"
    assert not batch.trouble


def test_cancelling_keeps_what_was_predicted_and_drops_the_other_copies(showcase, settings, client):
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    showcase.slice(batch)
    assert (batch.state, batch.chips_labelled) == ("queued", read_ahead.FIRST)
    assert client.post(f"/batch/{batch.token}/cancel/").status_code == 302
    assert showcase.slice(batch) == "nothing to do"
    batch.refresh_from_db()
    assert (batch.state, batch.chips_labelled) == ("cancelled", read_ahead.FIRST)
    showcase.draw()
    assert len(showcase.stored()) == 2 * read_ahead.FIRST  # originals and thumbnails
    assert not [name for name in showcase.stored() if name.startswith("uploads/")]


def test_a_cancelled_batch_gets_no_more_chips(showcase, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    original = predictor.predict

    def predict(images):
        batches.cancel(Batch.objects.get(pk=batch.pk))
        return original(images)

    monkeypatch.setattr(predictor, "predict", predict)
    assert showcase.slice(batch) == "cancelled"
    assert (batch.state, batch.chips_labelled) == ("cancelled", 0)
    assert not Chip.objects.exists()  # what was in hand when the visitor said no
    assert showcase.stored() == []
    assert showcase.slice(batch) == "nothing to do"


def test_a_batch_that_another_worker_took_keeps_its_copies(showcase, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    original = predictor.predict

    def predict(images):
        Batch.objects.filter(pk=batch.pk).update(worker="another")
        return original(images)

    monkeypatch.setattr(predictor, "predict", predict)
    assert showcase.slice(batch) == "given up"
    assert len(showcase.stored()) == 30
    assert batch.state == "running"
    assert not Chip.objects.exists()


def test_groups_are_few_and_the_last_holds_what_is_left(showcase, monkeypatch):
    monkeypatch.setattr(read_ahead, "BREATH", 60)
    sizes, original = [], predictor.predict
    monkeypatch.setattr(predictor, "predict", lambda i: sizes.append(len(i)) or original(i))
    showcase.work(showcase.batch([(f"{i}.png", pictures.png(i, 16)) for i in range(300)]))
    assert sizes == [8, 32, 128, 128, 4]


# --- faults, in one process -----------------------------------------------------------------------


def lost(batch) -> None:
    """The worker that has the batch is not heard of any more."""
    Batch.objects.filter(pk=batch.pk).update(lease_until=timezone.now() - timedelta(minutes=5))


def test_a_lost_batch_is_taken_by_another_worker(showcase, log, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    save, calls = bulk.save, []

    def die(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt  # as a kill: nothing of the except clauses runs
        return save(*args)

    monkeypatch.setattr(bulk, "save", die)
    with pytest.raises(KeyboardInterrupt):
        showcase.slice(batch)
    batch.refresh_from_db()
    assert (batch.state, batch.chips_labelled) == ("running", read_ahead.FIRST)
    assert showcase.slice(batch) == "nothing to do"  # it is somebody's
    lost(batch)
    assert showcase.slice(batch, "another worker") == "finished"
    assert (batch.state, batch.chips_labelled, batch.attempts) == ("done", 30, 0)
    # The group in hand is predicted again; nothing that was saved is.
    counts = Counter(log())
    assert len(counts) == 30
    assert sorted(counts.values()) == [1] * read_ahead.FIRST + [2] * 22


def test_a_worker_whose_lease_is_over_can_write_nothing(showcase, monkeypatch):
    """A machine that slept: another one has finished the batch meanwhile."""
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(5)])
    late = lease.take("asleep", predictor.load()[1])
    lost(batch)
    assert showcase.slice(batch, "awake") == "finished"
    assert label_batch.work(late, DECODER, threading.Event()) == "given up"
    upload = batch.uploads.first()
    for step in (
        lambda: bulk.refuse(late, upload, "truncated"),
        lambda: bulk.save(late, [], late.batch.model, {}),
        late.hold,
    ):
        with pytest.raises(lease.LeaseLost):
            step()
    late.give_back(setback="fault", fault=True)
    batch.refresh_from_db()
    assert (batch.state, batch.chips_labelled, batch.setback) == ("done", 5, "")


def test_a_batch_that_fails_three_times_is_given_up(showcase, monkeypatch):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(3)])
    monkeypatch.setattr(bulk, "save", lambda *args: 1 / 0)
    for _ in range(lease.ATTEMPTS):
        assert showcase.slice(batch) == "fault"
    monkeypatch.undo()
    assert batch.state == "queued"
    showcase.slice(batch)
    assert batch.state == "failed"
    assert set(batch.uploads.values_list("code", flat=True)) == {"worker_died"}


def test_a_batch_that_takes_three_workers_down_is_given_up(showcase):
    batch = showcase.batch([("a.png", pictures.png(1))])
    for number in range(lease.ATTEMPTS):
        assert lease.take(f"w{number}", predictor.load()[1]).batch.pk == batch.pk
        lost(batch)
    assert showcase.work(batch).state == "failed"
    assert batch.uploads.get().code == "worker_died"


def test_clocks_of_machines_are_not_compared(showcase, monkeypatch):
    """Leases and heartbeats are the database's time, whatever a worker thinks it is."""
    batch = showcase.batch([("a.png", pictures.png(1))])
    version = predictor.load()[1]
    for hours in (-2, 2):
        wrong = timezone.now() + timedelta(hours=hours)
        with monkeypatch.context() as patch:
            patch.setattr(timezone, "now", lambda wrong=wrong: wrong)
            held = lease.take("w", version)
            assert held is not None
            held.hold()
            assert lease.take("other", version) is None
        assert lease.take("other", version) is None
        held.give_back()
    batch.refresh_from_db()
    assert batch.attempts == 0


def test_turns_go_by_sender(showcase):
    """Many batches of one address do not make all others wait for all of them."""
    batches_ = [showcase.batch([(f"{i}.png", pictures.png(i))]) for i in range(5)]
    for batch, sender in zip(batches_, ("a", "a", "a", "b", "c"), strict=True):
        Batch.objects.filter(pk=batch.pk).update(sender=sender)
    taken = [lease.take("w", predictor.load()[1]) for _ in range(5)]
    assert [one.batch.pk for one in taken] == [batches_[i].pk for i in (0, 3, 4, 1, 2)]
    for one in taken:
        one.give_back()
    # And whoever was served longest ago comes first.
    assert lease.take("w", predictor.load()[1]).batch.sender == "b"


def test_what_one_address_may_have_labelled_in_an_hour_is_limited(showcase, settings, client):
    settings.SHOWCASE |= {"UPLOADS_PER_HOUR": 50, "CHIPS_PER_HOUR": 4}
    first = showcase.run([("a.png", pictures.png(1, 512))])
    assert first.chips_labelled == 4
    answer = client.post("/upload/")  # nothing more is taken from there
    assert answer.status_code == 429
    assert "still to be labelled" in answer.content.decode()
    settings.SHOWCASE["CHIPS_PER_HOUR"] = 0
    second = showcase.batch([("b.png", pictures.png(2))])
    settings.SHOWCASE["CHIPS_PER_HOUR"] = 4
    assert showcase.slice(second) == "ration"  # and what was taken before waits
    assert (second.state, second.setback, second.attempts) == ("queued", "ration", 0)
    assert second.not_before > timezone.now()
    assert "goes on later" in second.trouble
    settings.SHOWCASE["CHIPS_PER_HOUR"] = 0
    assert showcase.work(second).state == "done"


def test_a_slow_model_has_small_groups(monkeypatch):
    assert list(itertools.islice(read_ahead.sizes(0), 4)) == [8, 32, 128, 128]
    assert list(itertools.islice(read_ahead.sizes(0.001), 3)) == [8, 32, 128]
    assert list(itertools.islice(read_ahead.sizes(0.5), 3)) == [8, 10, 10]
    assert list(itertools.islice(read_ahead.sizes(60), 3)) == [1, 1, 1]


def test_bytes_that_an_earlier_batch_still_has_to_read_wait_for_it(showcase, log):
    files = [(f"{i}.png", pictures.png(i)) for i in range(3)]
    first = showcase.batch(files)
    second = showcase.batch([*files, ("own.png", pictures.png(9))])
    held = lease.take("one", predictor.load()[1])
    assert held.batch.pk == first.pk
    assert showcase.slice(second, "two") == "waits"
    assert (second.state, second.chips_labelled) == ("queued", 1)
    assert label_batch.work(held, DECODER, threading.Event()) == "finished"
    assert showcase.work(second).chips_labelled == 4
    assert len(log()) == 4


# --- what has had its time ------------------------------------------------------------------------


def test_a_batch_set_to_vanish_takes_only_its_own_chips_along(
    showcase, django_capture_on_commit_callbacks
):
    both = pictures.png(1)
    showcase.run([("a.png", both)])
    short = showcase.run([("b.png", both), ("c.png", pictures.png(2))], days="7")
    assert short.vanishes_at is not None
    assert housekeeping.sweep()["vanished"] == 0
    Batch.objects.filter(pk=short.pk).update(vanishes_at=timezone.now() - timedelta(1))
    with django_capture_on_commit_callbacks(execute=True):
        assert housekeeping.sweep()["vanished"] == 1
    assert Batch.objects.count() == 1
    chip = Chip.objects.get()
    assert chip.shown
    assert {name.split("/")[2].split(".")[0] for name in showcase.stored()} == {chip.pictures}


def test_an_upload_that_broke_off_is_worked_on_as_far_as_it_came(showcase, client):
    token = client.post("/upload/", {}).json()["token"]
    file = SimpleUploadedFile("a.png", pictures.png(1))
    assert client.post(f"/batch/{token}/files/", {"files": [file]}).json()["files"][0]["accepted"]
    client.post("/upload/", {})  # and one that never got a file
    assert housekeeping.sweep()["abandoned"] == 0
    Batch.objects.update(touched_at=timezone.now() - timedelta(hours=2))
    assert housekeeping.sweep()["abandoned"] == 2
    batch = Batch.objects.get()
    assert batch.token == token
    assert showcase.work(batch).state == "done"


def test_copies_without_a_row_are_removed_after_an_hour(showcase):
    storage.write("uploads/orphan", b"left by a killed server")
    batch = showcase.batch([("a.png", pictures.png(1))])
    assert housekeeping.drop_orphans(minutes=60) == 0
    assert housekeeping.drop_orphans(minutes=-1) == 1
    assert batch.uploads.get().copy in showcase.stored()


def test_views_are_drawn_by_the_papers_equations(showcase):
    from paperlib import dehaze
    from paperlib.chips import variants

    image = pictures.pixels(3, 128)
    showcase.run([("a.png", pictures.encode(image))])
    chip = Chip.objects.get()
    assert not chip.views
    showcase.draw(views=True)
    chip.refresh_from_db()
    assert chip.views
    kept = storage.read(storage.chip_copy(chip.pictures, "dehazed"))
    windows = variants.scaled(128)
    assert windows == {"patch": 7, "radius": 20}
    assert variants.scaled(256) == {"patch": 15, "radius": 40}
    want = dehaze.dehaze(image, **windows)
    assert np.abs(np.asarray(Image.open(io.BytesIO(kept))).astype(int) - want).max() <= 1


def test_deleting_a_chip_removes_it_everywhere(showcase, django_capture_on_commit_callbacks):
    files = [(f"{i}.png", pictures.png(i)) for i in (1, 2)]
    held = [showcase.run(files[:n]) for n in (1, 2)]
    with django_capture_on_commit_callbacks(execute=True):
        deletion.remove_chip(held[0].placements.get().chip)
    for batch, left in zip(held, (0, 1), strict=True):
        batch.refresh_from_db()
        assert (batch.chips, batch.chips_labelled) == (left, left)
    with django_capture_on_commit_callbacks(execute=True):
        deletion.remove_chip(Chip.objects.get())
    assert not Chip.objects.exists()
    assert not Placement.objects.exists()
    assert showcase.stored() == []


def test_copies_of_failed_files_go_after_a_day_but_not_after_a_retry(showcase, settings):
    settings.SHOWCASE["BATCH_READ_SECONDS"] = 0
    batch = showcase.run([("a.png", pictures.png(1))])
    copy = batch.uploads.get().copy
    housekeeping.tidy()
    assert showcase.stored() == [copy]
    Batch.objects.update(finished_at=timezone.now() - timedelta(days=2))
    assert batches.retry(batch)
    housekeeping.tidy()
    assert showcase.stored() == [copy]
    showcase.work(batch)
    Batch.objects.update(finished_at=timezone.now() - timedelta(days=2))
    housekeeping.tidy()
    assert showcase.stored() == []
    # A row without a copy is a file that is missing, not a store that is away.
    batch.uploads.update(state="stored")
    Batch.objects.update(state="queued")
    settings.SHOWCASE["BATCH_READ_SECONDS"] = 100
    assert showcase.work(batch).files_failed == 1
    assert batch.uploads.get().code == "missing"


def test_what_a_kill_left_half_written_is_swept(showcase, settings):
    from pathlib import Path

    batch = showcase.run([("a.png", pictures.png(1))])
    chip = batch.placements.get().chip
    root = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    (root / f"chips/{chip.pictures[:2]}/{chip.pictures}.dehazed.0a1b2c3d.partial").write_bytes(
        b"half"
    )
    storage.write("health/0a1b", b"ok")
    kept = [name for name in showcase.stored() if name.count(".") == 1]
    assert housekeeping.drop_orphans() == 0
    assert housekeeping.drop_orphans(minutes=-1) == 2
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
        deletion.retire([chip.pk])
        deletion.remove_retired()
        write(name, data)

    monkeypatch.setattr(storage, "write", late)
    assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 404
    assert [name for name in showcase.stored() if name.startswith("chips/")] == []


def test_a_chip_that_cannot_be_drawn_keeps_no_other_from_it(showcase, client, monkeypatch):
    batch = showcase.work(showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(3)]))
    first, second, third = Chip.objects.order_by("pk")
    storage.remove([batch.uploads.get(name="0").copy])
    scaled = chip_images.thumb

    def thumb(image):
        if np.array_equal(image, pictures.pixels(1)):
            raise cv2.error("no memory")
        return scaled(image)

    monkeypatch.setattr(chip_images, "thumb", thumb)
    showcase.draw(views=True)
    drawn = Chip.objects.in_bulk()
    assert [drawn[c.pk].views for c in (first, second, third)] == [False, False, True]
    assert [drawn[c.pk].tries for c in (first, second, third)] == [3, 3, 0]
    assert not chip_images.waiting().exists()  # nor is it tried for ever
    for chip in (first, second):
        assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 404
        assert client.get(f"/chip/{chip.key}/").status_code == 200
    assert batch.chips_labelled == 3


def test_a_store_or_decoder_that_is_away_is_not_held_against_a_chip(showcase, client, monkeypatch):
    showcase.work(showcase.batch([("a.png", pictures.png(1))]))
    chip = Chip.objects.get()

    def away(*_):
        raise storage.StorageAway(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", away)
        with pytest.raises(storage.StorageAway):
            showcase.draw()
    DECODER.close()
    chip_images.close()
    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "_frame", lambda self, most: (_ for _ in ()).throw(EOFError()))
        with pytest.raises(Away):
            showcase.draw()
        assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 503
    assert Chip.objects.get().tries == 0
    showcase.draw()
    assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_batch_leaves_no_upload_behind(showcase):
    batch = showcase.run([("bad.png", pictures.flat(13)), ("a.png", pictures.png(1))], private="1")
    Batch.objects.update(state="cancelled")
    showcase.draw()
    Batch.objects.update(finished_at=timezone.now() - timedelta(days=9))
    showcase.sweep()
    assert set(batch.uploads.values_list("copy", flat=True)) == {""}


@pytest.mark.django_db(transaction=True)
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
