"""A slice of work always gets somewhere, and ends where others wait; limits hold for all of it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pictures
import planted
import pytest
from conftest import DECODER
from showcase.decoder.answers import Refused
from showcase.decoder.client import Decoder
from showcase.models import Chip, Upload
from showcase.services import batches, predictor
from showcase.worker import label_batch, lease, read_ahead

pytestmark = pytest.mark.django_db


@pytest.fixture
def sizes(monkeypatch):
    """How many chips each call of the predictor was given."""
    found, original = [], predictor.predict
    monkeypatch.setattr(predictor, "predict", lambda i: found.append(len(i)) or original(i))
    return found


@pytest.mark.parametrize(("side", "chip"), [(80, 16), (1700, 340)], ids=["small", "large"])
def test_a_picture_of_many_slices_is_finished_and_predicted_once(
    showcase, settings, sizes, side, chip
):
    """It is read from its start each time; what was labelled before must not use up the slice."""
    settings.SHOWCASE |= {"SLICE_SECONDS": 0.0, "CHIP_PIXELS": chip}
    batch = showcase.batch([("scene.png", pictures.png(3, side))])
    done = []
    while batch.state != "done":
        showcase.slice(batch)
        done.append(batch.chips_labelled)
        assert len(done) < 2 or done[-1] > done[-2] or batch.state == "done"
    assert (batch.chips_labelled, Chip.objects.count(), sum(sizes)) == (25, 25, 25)
    assert len(done) > 2  # else there was one slice, and nothing was tested


def test_known_mosaics_are_predicted_in_groups_by_a_new_model(
    showcase, settings, monkeypatch, sizes
):
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    files = [(f"{i}.png", pictures.png(i, 192)) for i in range(3)]
    showcase.run(files)
    monkeypatch.setattr(planted.PlantedPredictor, "card", {"name": "planted", "version": 2})
    predictor.forget()
    sizes.clear()
    batch = showcase.run(files)
    assert (batch.state, batch.chips_labelled, batch.chips_known) == ("done", 3 * 144, 0)
    assert sum(sizes) == 3 * 144
    assert max(sizes) <= read_ahead.GROUP


def test_another_size_of_chips_cuts_known_files_anew(showcase, settings):
    data = pictures.png(1, 512)
    assert showcase.run([("a.png", data)]).chips == 4
    settings.SHOWCASE["CHIP_PIXELS"] = 128
    assert showcase.run([("a.png", data)]).chips == 16


@pytest.mark.parametrize("packed", [True, False])
def test_work_without_chips_gives_others_their_turn(showcase, settings, packed):
    """Unpacking thousands of small members, and refusing thousands of files."""
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    count = 12
    files = [(f"{i}.png", b"no picture %d" % i) for i in range(count)]
    if packed:
        files = [("a.zip", pictures.archive(files))]
    batch = showcase.batch([("first.png", pictures.png(1)), *files])
    for turn in range(1, 4):
        assert showcase.slice(batch) == "yielded"
        there = Upload.objects.filter(batch=batch, state="failed").count()
        assert turn - 1 <= there <= turn
    showcase.work(batch)
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 1, count)
    assert batch.files == count + 1


def test_a_cancelled_archive_is_not_unpacked_to_its_end(showcase, monkeypatch):
    monkeypatch.setattr(read_ahead, "BREATH", 0.001)
    entries = [(f"{i}.png", pictures.png(i, 16)) for i in range(60)]
    batch = showcase.batch([("a.zip", pictures.archive(entries))])
    members = Upload.objects.filter(parent__isnull=False)
    one = label_batch._one

    def unpack(*args):
        if members.count() == 3:
            batches.cancel(batch)
        return one(*args)

    monkeypatch.setattr(label_batch, "_one", unpack)
    assert showcase.slice(batch) == "cancelled"
    assert members.count() < 9
    assert showcase.stored() == []


# --- the limits are the batch's, not an archive's -------------------------------------------------


def test_many_archives_unpack_to_no_more_than_a_batch_may_hold(showcase, settings):
    settings.SHOWCASE |= {"MAX_BATCH_MB": 2, "MAX_FILE_MB": 2}
    noise = pictures.encode(np.random.default_rng(0).integers(0, 256, (110, 110, 3), np.uint8))
    files = []
    for i in range(10):  # 0.4 MB are sent; each alone would be fine
        # A picture whose chunk of zeros is large, and packs to nothing.
        large = pictures.png(i)[:33] + bytes(1_500_000)
        files.append((f"{i}.zip", pictures.archive([("noise.png", noise), ("zeros.png", large)])))
    batch = showcase.run(files)
    members = Upload.objects.filter(batch=batch, parent__isnull=False)
    assert sum(members.values_list("size", flat=True)) < 2_000_000
    codes = batch.uploads.filter(parent=None).values_list("code", flat=True)
    assert sorted(codes) == ["", *9 * ["unpacked"]]


def test_what_was_unpacked_before_a_pause_or_another_page_counts_once(
    showcase, settings, monkeypatch
):
    settings.SHOWCASE |= {"MAX_CHIPS": 13, "SLICE_SECONDS": 0.0}
    monkeypatch.setattr(label_batch, "PAGE", 1)  # the second archive is of another page
    entries = [(f"{i}.png", b"no picture") for i in range(8)]
    files = [(f"{n}.zip", pictures.archive([(n, n), *entries])) for n in ("a", "b")]
    batch = showcase.work(showcase.batch([*files, ("c.png", pictures.png(1))]))
    codes = dict(batch.uploads.filter(parent=None).values_list("name", "code"))
    assert codes == {"a": "", "b": "too_many_members", "c": ""}
    assert batch.chips_labelled == 1


# --- files that take long and give nothing --------------------------------------------------------


@pytest.fixture
def slow_files(monkeypatch):
    """A decoder that refuses each file after a moment, as it does large ones that are cut short."""
    read = []

    def refuse(decoder, files, **_):
        for number, (data, _packed) in enumerate(files):
            read.append(data)
            time.sleep(0.05)
            decoder.waited += 0.05
            yield number, Refused("truncated")

    monkeypatch.setattr(Decoder, "read_many", refuse)
    monkeypatch.setattr(read_ahead, "FIRST", 1)
    monkeypatch.setattr(read_ahead, "FILES", 1)
    return read


def test_few_files_that_take_long_each_give_others_their_turn(
    showcase, settings, monkeypatch, slow_files
):
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    monkeypatch.setattr(read_ahead, "BREATH", 0.04)
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(12)])
    assert showcase.slice(batch) == "yielded"
    assert 0 < batch.uploads.filter(state="failed").count() < 6


def test_a_cancel_is_heard_while_a_file_is_decoded(showcase, monkeypatch):
    batch = showcase.batch([("a.png", pictures.png(1))])
    over, looks, hold, close = threading.Event(), [], lease.Lease.hold, read_ahead.Ahead.close

    def hang(*_, **__):
        over.wait(20)  # until the worker has let go
        yield from ()

    def mine(self):
        looks.append(1)
        if len(looks) == 2:
            batches.cancel(batch)
        return hold(self)

    monkeypatch.setattr(read_ahead, "BREATH", 0.02)
    monkeypatch.setattr(lease.Lease, "hold", mine)
    monkeypatch.setattr(Decoder, "read_many", hang)
    monkeypatch.setattr(read_ahead.Ahead, "close", lambda ahead: (over.set(), close(ahead)))
    assert showcase.slice(batch) == "cancelled"
    assert len(looks) == 2


def test_waiting_for_one_file_is_no_progress(showcase, settings, monkeypatch):
    """Else a file that takes longer than a slice would be begun again in each, for ever."""
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    monkeypatch.setattr(read_ahead, "BREATH", 0.01)
    read = Decoder.read_many

    def late(*args, **options):
        time.sleep(0.2)
        yield from read(*args, **options)

    monkeypatch.setattr(Decoder, "read_many", late)
    batch = showcase.batch([("a.png", pictures.png(1))])
    showcase.slice(batch)
    assert batch.placements.filter(state="labelled").count() == 1


def test_a_worker_that_is_to_end_gives_its_batch_back(showcase):
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(30)])
    held, stopping = lease.take("w", predictor.load()[1]), threading.Event()
    stopping.set()
    assert label_batch.work(held, DECODER, stopping) == "yielded"
    batch.refresh_from_db()
    assert (batch.state, batch.lease_until, batch.attempts) == ("queued", None, 0)
    assert batch.chips_labelled <= read_ahead.FIRST


def test_the_decoders_time_for_a_batch_is_limited_over_slices_and_tries(
    showcase, settings, slow_files
):
    settings.SHOWCASE["BATCH_READ_SECONDS"] = 0.22
    batch = showcase.work(showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(9)]))
    codes = sorted(batch.uploads.values_list("code", flat=True))
    assert codes == 4 * ["batch_time"] + 5 * ["truncated"]
    assert batch.read_seconds == pytest.approx(0.25)
    assert batches.retry(batch)  # those that had no time, the others are damaged for good
    showcase.work(batch)
    assert sorted(batch.uploads.values_list("code", flat=True)) == codes
    assert len(slow_files) == 5
