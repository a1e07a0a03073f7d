"""A slice of work always gets somewhere, and ends where others wait; limits hold for all of it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pictures
import planted
import pytest
from showcase import engine, work
from showcase.models import Chip, Placement, Upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def sizes(monkeypatch):
    """How many chips each call of the predictor was given."""
    found, original = [], engine.predict
    monkeypatch.setattr(engine, "predict", lambda i: found.append(len(i)) or original(i))
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
        work.work(batch.pk)
        batch.refresh_from_db()
        done.append(batch.chips_labelled)
        assert len(done) < 2 or done[-1] > done[-2] or batch.state == "done"
    assert (batch.chips_labelled, Chip.objects.count(), sum(sizes)) == (25, 25, 25)
    assert len(done) > 2  # else there was one slice, and nothing was tested


def test_pieces_that_were_placed_before_a_pause_are_not_stored_again(
    showcase, settings, monkeypatch
):
    settings.SHOWCASE |= {"SLICE_SECONDS": 0.0, "CHIP_PIXELS": 16}
    stored, keep = [], work.copies.keep
    monkeypatch.setattr(
        work.copies, "keep", lambda images: stored.append(len(images)) or keep(images)
    )
    batch = showcase.batch([("scene.png", pictures.png(3, 128))])
    work.work(batch.pk)
    work.work(batch.pk)
    assert stored == [64, 64 - work.FIRST]


def test_known_mosaics_are_predicted_in_groups_by_a_new_model(
    showcase, settings, monkeypatch, sizes
):
    settings.SHOWCASE["CHIP_PIXELS"] = 16
    files = [(f"{i}.png", pictures.png(i, 192)) for i in range(3)]
    showcase.run(files)
    monkeypatch.setattr(planted.PlantedPredictor, "card", {"name": "planted", "version": 2})
    engine.forget()
    sizes.clear()
    batch = showcase.run(files)
    assert (batch.state, batch.chips_labelled, batch.chips_known) == ("done", 3 * 144, 0)
    assert sum(sizes) == 3 * 144
    assert max(sizes) <= work.GROUP


@pytest.mark.parametrize("packed", [True, False])
def test_work_without_chips_is_watched_and_gives_others_their_turn(
    showcase, settings, monkeypatch, packed
):
    """Unpacking thousands of small members, and refusing thousands of files."""
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    monkeypatch.setattr(work, "PAUSE", 16)
    count = 3 * work.PAUSE
    files = [(f"{i}.png", b"no picture %d" % i) for i in range(count)]
    if packed:
        files = [("a.zip", pictures.archive(files))]
    batch = showcase.batch([("first.png", pictures.png(1)), *files])
    step = "_unpack" if packed else "_refuse"
    seen, original = [], getattr(work, step)
    monkeypatch.setattr(work, step, lambda *a: seen.append(work.busy_since) or original(*a))
    for turn in range(1, 4):
        assert work.work(batch.pk) == "yielded"
        if packed:
            there = Upload.objects.filter(batch=batch, parent__isnull=False).count()
        else:
            there = Upload.objects.filter(batch=batch, state="failed").count()
        assert there <= turn * work.PAUSE + work.PAUSE
        assert there >= (turn - 1) * work.PAUSE
    assert len(set(seen)) >= 2 * work.PAUSE  # said anew for each: nothing looks stuck
    showcase.work(batch)
    assert (batch.state, batch.chips_labelled, batch.files_failed) == ("done", 1, count)
    assert batch.files == count + 1


def test_a_cancelled_archive_is_not_unpacked_to_its_end(showcase, monkeypatch):
    from showcase import intake

    monkeypatch.setattr(work, "PAUSE", 16)
    entries = [(f"{i}.png", b"no picture") for i in range(4 * work.PAUSE)]
    batch = showcase.batch([("a.zip", pictures.archive(entries))])
    original = work._unpack

    def unpack(item):
        if Upload.objects.filter(parent__isnull=False).count() == 3:
            intake.cancel(batch)
        return original(item)

    monkeypatch.setattr(work, "_unpack", unpack)
    assert work.work(batch.pk) == "cancelled"
    assert Upload.objects.filter(parent__isnull=False).count() == 3  # not one more
    assert showcase.stored() == []


# --- the limits are the batch's, not an archive's -------------------------------------------------


def test_many_archives_unpack_to_no_more_than_a_batch_may_hold(showcase, settings):
    settings.SHOWCASE |= {"MAX_BATCH_MB": 2, "MAX_FILE_MB": 2}
    rng = np.random.default_rng(0)
    files = []
    for i in range(10):  # 0.4 MB are sent; each alone would be fine
        entries = [("noise.png", rng.bytes(40_000)), ("zeros.png", bytes(1_500_000))]
        files.append((f"{i}.zip", pictures.archive(entries)))
    batch = showcase.run(files)
    members = Upload.objects.filter(batch=batch, parent__isnull=False)
    assert sum(members.values_list("size", flat=True)) == 1_540_000
    codes = batch.uploads.filter(parent=None).values_list("code", flat=True)
    assert sorted(codes) == ["", *9 * ["unpacked"]]


def test_what_was_unpacked_before_a_pause_or_another_page_counts_once(
    showcase, settings, monkeypatch
):
    settings.SHOWCASE |= {"MAX_CHIPS": 30, "SLICE_SECONDS": 0.0}
    monkeypatch.setattr(work, "PAUSE", 16)
    monkeypatch.setattr(work, "PAGE", 1)  # the second archive is of another page
    entries = [(f"{i}.png", b"no picture") for i in range(20)]
    files = [(f"{n}.zip", pictures.archive([(n, n), *entries])) for n in ("a", "b")]
    batch = showcase.work(showcase.batch([*files, ("c.png", pictures.png(1))]))
    codes = dict(batch.uploads.filter(parent=None).values_list("name", "code"))
    assert codes == {"a": "", "b": "too_many_members", "c": ""}
    assert batch.chips_labelled == 1
    assert Placement.objects.count() == 1


# --- files that take long and give nothing --------------------------------------------------------


@pytest.fixture
def slow_files(monkeypatch):
    """A decoder that refuses each file after a moment, as it does large ones that are cut short."""
    from showcase.reading import Reader, Refused

    read = []

    def refuse(reader, data, **_):
        read.append(data)
        time.sleep(0.05)
        reader.waited += 0.05
        raise Refused("truncated")
        yield

    monkeypatch.setattr(Reader, "read", refuse)
    monkeypatch.setattr(Reader, "send", lambda *_, **__: False)
    return read


def test_few_files_that_take_long_each_give_others_their_turn(
    showcase, settings, monkeypatch, slow_files
):
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    monkeypatch.setattr(work, "BREATH", 0.04)
    batch = showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(12)])
    assert work.work(batch.pk) == "yielded"
    assert 0 < batch.uploads.filter(state="failed").count() < 6


def test_a_cancel_is_heard_while_a_file_is_decoded(showcase, monkeypatch):
    from showcase import intake
    from showcase.reading import Reader

    batch = showcase.batch([("a.png", pictures.png(1))])
    over, looks = threading.Event(), []

    def hang(*_, **__):
        over.wait(20)  # until the worker has let go
        yield from ()

    def mine(pk):
        looks.append(pk)
        if len(looks) == 2:
            intake.cancel(batch)
        return still(pk)

    still, close = work._still_mine, work.Ahead.close
    monkeypatch.setattr(work, "BREATH", 0.02)
    monkeypatch.setattr(work, "_still_mine", mine)
    monkeypatch.setattr(Reader, "read", hang)
    monkeypatch.setattr(Reader, "send", lambda *_, **__: False)
    monkeypatch.setattr(work.Ahead, "close", lambda ahead: (over.set(), close(ahead)))
    assert work.work(batch.pk) == "cancelled"
    assert len(looks) == 2


def test_waiting_for_one_file_is_no_progress(showcase, settings, monkeypatch):
    """Else a file that takes longer than a slice would be begun again in each, for ever."""
    settings.SHOWCASE["SLICE_SECONDS"] = 0.0
    monkeypatch.setattr(work, "BREATH", 0.01)
    read = work.reader.read

    def late(*args, **options):
        time.sleep(0.2)
        yield from read(*args, **options)

    monkeypatch.setattr(work.reader, "read", late)
    monkeypatch.setattr(work.reader, "send", lambda *_, **__: False)
    batch = showcase.batch([("a.png", pictures.png(1))])
    work.work(batch.pk)
    assert batch.placements.filter(state="labelled").count() == 1


def test_the_decoders_time_for_a_batch_is_limited_over_slices_and_tries(
    showcase, settings, slow_files
):
    from showcase import intake

    settings.SHOWCASE["BATCH_READ_SECONDS"] = 0.22
    batch = showcase.work(showcase.batch([(f"{i}.png", pictures.png(i)) for i in range(9)]))
    codes = sorted(batch.uploads.values_list("code", flat=True))
    assert codes == 4 * ["batch_time"] + 5 * ["truncated"]
    assert batch.read_seconds == pytest.approx(0.25)
    assert intake.retry(batch)
    showcase.work(batch)
    assert set(batch.uploads.values_list("code", flat=True)) == {"batch_time"}
    assert len(slow_files) == 5
