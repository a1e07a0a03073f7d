"""A chip that came as a plain JPEG is kept as its bare picture until its copies are made."""

from __future__ import annotations

import io
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pictures
import pytest
from PIL import Image
from showcase import copies, decoding, engine, reading, storage, work
from showcase.decoder.plain_jpeg import bare
from showcase.models import Batch, Chip

from paperlib.chips.archive import BadChip
from paperlib.chips.jpeg import decode, exact, fit, header


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(data) + 2).to_bytes(2, "big") + data


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with more behind its first two bytes."""
    return data[:2] + b"".join(segments) + data[2:]


def with_metadata(data: bytes) -> bytes:
    profile = segment(0xE2, b"ICC_PROFILE\0" + b"x" * 300)
    return with_segments(
        data, segment(0xE1, b"Exif\0\0secret place"), profile, segment(0xFE, b"hi")
    )


def named_rgb(data: bytes) -> bytes:
    """Components called R, G and B, which only a JFIF segment says are luma and chroma."""
    data = bytearray(data)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for i, name in enumerate(b"RGB"):
        data[frame + 10 + 3 * i] = data[scan + 5 + 2 * i] = name
    return bytes(data)


PLAIN = {
    "named rgb": named_rgb(pictures.jpeg(5)),
    "three components": pictures.jpeg(1, (61, 77)),
    "best quality": pictures.jpeg(1, (61, 77), subsampling=0, qtables="web_high"),
    "restarts": pictures.jpeg(1, (61, 77), restart_marker_blocks=2),
    "grey": pictures.encode(pictures.pixels(2)[..., 0], "JPEG"),
    "of planet": pictures.planet_jpeg(3),
    "stored as RGB": pictures.jpeg(4, keep_rgb=True),
    "progressive": pictures.jpeg(6, (61, 77), progressive=True),
    "bright": pictures.encode(np.full((32, 32, 3), 255, np.uint8), "JPEG"),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_the_bare_picture_has_all_pixels_and_nothing_else(data):
    found = bare(with_metadata(data) + b"<script>alert(1)</script>")
    assert found == data  # Pillow writes nothing that a picture can do without
    assert bare(found) == found
    assert np.array_equal(decode(found, header(found)[2]), exact(with_metadata(data)))


def scans(data: bytes) -> int:
    return data.count(b"\xff\xda")


def test_jpegs_of_other_kinds_are_not_kept():
    plain, end = pictures.jpeg(1), b"\xff\xd9"
    turned = pictures.jpeg(1, progressive=True)
    assert (scans(plain), scans(turned)) == (1, 10)
    start, last = plain.index(b"\xff\xda"), turned[turned.rindex(b"\xff\xda") : -2]
    assert bare(turned[:-2] + 6 * last + end) is not None
    thumbnail = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1abc")
    others = {
        "seventeen scans": turned[:-2] + 7 * last + end,
        "cut off": plain[:-100],
        "without its end": plain[:-2],
        "cut in its header": plain[: start - 5],
        "two frames": with_segments(plain, plain[plain.index(b"\xff\xc0") :][:19]),
        "no frame": plain.replace(b"\xff\xc0", b"\xff\xfe"),
        "a thumbnail": with_segments(plain, thumbnail),
        "a marker in the scan": plain[: start + 40] + b"\xff\xc8" + plain[start + 40 :],
        "a frame after the scan": plain[:-2] + plain[plain.index(b"\xff\xc0") :][:19] + end,
        "lossless": plain.replace(b"\xff\xc0", b"\xff\xc3"),
        "no JPEG": pictures.png(1),
        "a start": b"\xff\xd8",
        "no length": b"\xff\xd8\xff\xdb\0\0" * 50,
        "nothing": b"",
        "a thousand tables": with_segments(plain, *[segment(0xDB, b"")] * 1000),
        "empty segments": with_segments(plain, *[segment(0xDD, b"\0\0")] * 64),
        "two JFIF segments": with_segments(plain, segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")),
        "more bytes than pixels": plain[:-2] + bytes(3 * 64 * 64) + end,
    }
    assert [name for name, data in others.items() if bare(data) is not None] == []


def test_what_is_kept_of_a_damaged_jpeg_has_the_pixels_of_the_whole():
    rng, data = np.random.default_rng(0), with_metadata(pictures.jpeg(1))
    kept = 0
    for _ in range(600):
        broken = np.frombuffer(data, np.uint8).copy()
        broken[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
        found = bare(broken.tobytes())
        if found is None:
            continue
        assert bare(found) == found
        try:
            whole = exact(broken.tobytes())
        except BadChip:
            continue
        kept += 1
        assert np.array_equal(exact(found), whole)
    assert 200 < kept < 600


def test_density_says_nothing_of_who_sent_it():
    other = pictures.jpeg(1, dpi=(4321, 1234))
    assert other != pictures.jpeg(1)
    assert bare(other) == pictures.jpeg(1)


# --- through the site -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_packs_hold_small_jpegs_without_metadata_and_give_the_predictors_pixels(showcase, client):
    files = {name: with_metadata(data) for name, data in PLAIN.items()}
    thumbnail = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1abc")
    files["other jpeg"] = with_segments(pictures.jpeg(9, (61, 77)), thumbnail)
    files["other png"] = pictures.png(10)
    batch = showcase.work(showcase.batch(list(files.items())))
    assert batch.chips_labelled == len(files)
    pack = b"".join(map(storage.read, showcase.stored()))
    assert len(pack) == sum(map(len, PLAIN.values())) + 3 * 61 * 77 + 3 * 64 * 64
    assert b"secret" not in pack
    assert b"ICC" not in pack
    for placement in batch.placements.select_related("chip", "upload"):
        chip, sent = placement.chip, files[placement.upload.name]
        assert bool(chip.pack_jpeg) == (not placement.upload.name.startswith("other"))
        own = pictures.pixels(10) if sent.startswith(b"\x89PNG") else exact(sent)
        assert np.array_equal(copies.pixels(chip), own)
        small = client.get(f"/chip/{chip.key}/thumb.image")
        assert Image.open(io.BytesIO(small.content)).size[0] == 160 * own.shape[1] // max(own.shape)
        copies.unpack(chip)
        chip.refresh_from_db()
        assert (chip.pack, chip.pack_jpeg) == ("", 0)
        assert np.array_equal(copies.pixels(chip), own)


@pytest.mark.django_db
def test_a_mosaic_is_kept_as_pixels(showcase, settings):
    settings.SHOWCASE["CHIP_PIXELS"] = 32
    small = pictures.jpeg(1, 64)
    batch = showcase.work(showcase.batch([("small.jpg", small), ("one.jpg", pictures.jpeg(3, 32))]))
    assert batch.chips_labelled == 5
    assert sorted(Chip.objects.values_list("pack_jpeg", flat=True))[:4] == [0] * 4
    whole = exact(small)
    places = batch.placements.filter(upload__name="small").select_related("chip")
    assert len(places) == 4
    for place in places:
        top, left = 32 * place.row, 32 * place.column
        part = whole[top : top + 32, left : left + 32]
        assert np.array_equal(copies.pixels(place.chip), part)
    # Where chips are larger by the time they are drawn, or smaller, a chip stays one.
    for size in (16, 256):
        settings.SHOWCASE["CHIP_PIXELS"] = size
        one = Chip.objects.get(pack_jpeg__gt=0)
        assert copies.pixels(one).shape == (32, 32, 3)


def test_a_predictor_that_shrinks_in_another_way_fits_by_itself(monkeypatch, db):
    predictor = engine.load()[0]
    monkeypatch.setattr(type(predictor), "size", 64, raising=False)
    for small, large, side in ((1, 1, 64), (1, 0, None), (0, 1, None)):

        def own(_, p, small=small, large=large):
            alike = small if len(p) < 64 else large
            return fit(p, 64) if alike else fit(p, 64)[::-1]

        monkeypatch.setattr(type(predictor), "fit", own, raising=False)
        assert engine.side() == side


@pytest.mark.django_db
@pytest.mark.parametrize("own", [True, False])
def test_the_decoder_fits_chips_only_as_the_predictor_would(showcase, monkeypatch, own):
    """Fitted there or here, and of JPEG or PNG: the predictor gets the same."""
    predictor, given = engine.load()[0], []
    way = (lambda _, p: fit(p, 16)) if own else (lambda _, p: p[:16, :16])
    monkeypatch.setattr(type(predictor), "fit", way, raising=False)
    monkeypatch.setattr(type(predictor), "size", 16, raising=False)
    assert engine.side() == (16 if own else None)
    predict = engine.predict
    monkeypatch.setattr(engine, "predict", lambda i: given.extend(map(np.copy, i)) or predict(i))
    sides, send = [], reading.Reader.send
    monkeypatch.setattr(
        reading.Reader,
        "send",
        lambda *a, side=None, **k: sides.append(side) or send(*a, side=side, **k),
    )
    data = [pictures.jpeg(i, (61, 77)) for i in range(40)] + [pictures.png(50)]
    showcase.work(showcase.batch([(f"{i:02d}.jpg", one) for i, one in enumerate(data)]))
    assert set(sides) == {16 if own else None}
    images = [exact(one) for one in data[:-1]] + [pictures.pixels(50)]
    for got, image in zip(given, images, strict=True):
        assert np.array_equal(got, way(predictor, image))
    assert np.array_equal(copies.pixels(Chip.objects.get(name="07")), images[7])


def kill_after_keeping(batch) -> None:
    """End the work between a group's two transactions: chips are kept, nothing is predicted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "_run", lambda images: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            work.work(batch.pk)


@pytest.mark.django_db
def test_a_worker_goes_on_from_jpegs_in_a_pack_after_a_kill(showcase, monkeypatch):
    """Killed between the two transactions of a group: nothing is read from the upload again."""
    batch = showcase.batch([(f"{i}.jpg", pictures.jpeg(i)) for i in range(4)])
    kill_after_keeping(batch)
    batch.refresh_from_db()
    assert (batch.state, batch.files_read, batch.chips_labelled) == ("running", 0, 0)
    assert Chip.objects.filter(pack_jpeg__gt=0).count() == 4
    given = []
    predict = engine.predict
    monkeypatch.setattr(engine, "predict", lambda i: given.extend(map(np.copy, i)) or predict(i))
    work.requeue(type(batch).objects.filter(pk=batch.pk), "worker")
    batch = showcase.work(batch)
    assert (batch.state, batch.chips_labelled) == ("done", 4)
    for got, seed in zip(given, range(4), strict=True):
        assert np.array_equal(got, exact(pictures.jpeg(seed)))


@pytest.mark.django_db
def test_a_damaged_jpeg_in_a_pack_is_a_missing_copy_not_a_wrong_one(showcase, client):
    files = [("a.jpg", pictures.jpeg(1, (40, 60))), ("b.jpg", pictures.jpeg(2, 32))]
    showcase.work(showcase.batch(files))
    chip, other = Chip.objects.order_by("name")
    turned = pictures.jpeg(3, (60, 40))  # as many pixels
    for data in (b"\xff\xd8 no picture", pictures.jpeg(3, 48), turned, b""):
        storage.write("packs/damaged", data)
        Chip.objects.filter(pk=chip.pk).update(
            pack="packs/damaged", pack_at=0, pack_jpeg=max(len(data), 1)
        )
        assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 404
    assert client.get(f"/chip/{other.key}/thumb.image").status_code == 200


# --- the decoder ----------------------------------------------------------------------------------


@pytest.fixture
def reader():
    reader = reading.Reader()
    yield reader
    reader.close()


LIES = {
    "outside": {"jpeg": [2**40, 10]},
    "before": {"jpeg": [0, 10]},
    "backwards": {"jpeg": [reading.FILES + 100, -50]},
    "no pixels": {"pieces": [[0, 0, 0, 64, reading.FILES]]},
    "less than none": {"pieces": [[0, 0, -64, -64, reading.FILES]]},
    "for two chips": {"pieces": [[0, 0, 64, 64, reading.FILES], [0, 1, 64, 64, reading.FILES]]},
    "no place": {"jpeg": None},
    "text": {"jpeg": ["1", "2"]},
}


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no shared memory of this kind here")
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_decoder_that_lies_about_places_is_ended(reader, monkeypatch, lie):
    assert reader.send([(pictures.jpeg(1), False)], chips=10, side=16)
    answer, _ = reader._frame(30)
    monkeypatch.setattr(reader, "_frame", lambda seconds: (answer, b""))
    answer["files"][0] |= lie
    with pytest.raises(reading.Refused, match="crashed"):
        reader.receive()
    assert reader.child is None


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no shared memory of this kind here")
def test_pixels_are_nobody_elses_and_small_ones_hold_no_others(reader):
    """A child that goes on writing into the memory changes nothing that was received."""
    assert reader.send([(pictures.jpeg(i), False) for i in range(3)], chips=10, side=16)
    found = reader.receive()
    before = [piece.pixels.copy() for _, (piece,) in found]
    reader.memory[:] = bytes(len(reader.memory))
    for (_, (piece,)), pixels in zip(found, before, strict=True):
        assert np.array_equal(piece.pixels, pixels)
        with pytest.raises(ValueError, match="read-only"):
            piece.pixels[0] = 0


@pytest.mark.django_db
def test_chips_that_wait_hold_only_their_own_pixels(showcase, monkeypatch):
    predictor, seen = engine.load()[0], []
    monkeypatch.setattr(type(predictor), "fit", lambda _, p: fit(p, 16), raising=False)
    monkeypatch.setattr(type(predictor), "size", 16, raising=False)
    predict = engine.predict
    monkeypatch.setattr(engine, "predict", lambda i: seen.extend(i) or predict(i))
    showcase.work(showcase.batch([(f"{i}.jpg", pictures.jpeg(i)) for i in range(5)]))
    assert [(image.shape, image.base) for image in seen] == 5 * [((16, 16, 3), None)]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_a_decoder_that_cannot_start_leaves_no_file_open(reader, monkeypatch):
    monkeypatch.setattr(reading.subprocess, "Popen", lambda *_, **__: os.stat("/none/such"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(reading.Refused):
            reader.send([(pictures.jpeg(1), False)], chips=1)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_any_thread_may_have_a_jpeg_decoded_and_a_lost_child_is_replaced():
    data = [bare(pictures.jpeg(i, 40 + i)) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(decoding.decode, data))
    for got, one in zip(found, data, strict=True):
        assert np.array_equal(got, exact(one))
    os.kill(decoding._reader.child.pid, signal.SIGKILL)
    decoding._reader.child.wait()
    assert np.array_equal(decoding.decode(data[0]), exact(data[0]))


def test_nothing_but_a_kept_jpeg_reaches_the_decoder(monkeypatch):
    monkeypatch.setattr(decoding, "_once", lambda data: 1 / 0)
    others = [pictures.png(1), pictures.archive([("a.png", b"")]), b"", b"II*\0" + bytes(100)]
    others += [with_metadata(pictures.jpeg(1)), pictures.jpeg(1) + b"more"]
    for data in others:
        with pytest.raises(reading.Refused):
            decoding.decode(data)


@pytest.mark.parametrize(
    "answer",
    [
        [({"end": True}, b"")],
        [({"position": 0, "name": "a", "reason": ""}, b""), ({"end": True}, b"")],
        [({"head": {"kind": "jpeg", "stolen": 1}}, b"")],
        [({"head": {"kind": "jpeg", "width": 64, "height": 64}}, b""), ({"end": True}, b"")],
        [
            ({"head": {"kind": "jpeg", "width": 64, "height": 64}}, b""),
            ({"row": 0, "column": 0, "height": 1, "width": 1}, b"abc"),
            ({"end": True}, b""),
        ],
    ],
)
def test_whatever_a_lying_child_says_is_a_refusal(monkeypatch, answer):
    answers = iter(answer)
    monkeypatch.setattr(decoding._reader, "_frame", lambda seconds: next(answers))
    with pytest.raises(reading.Refused):
        decoding._once(pictures.jpeg(1))
    assert decoding._reader.child is None


def test_a_head_that_no_child_of_ours_sends_is_a_refusal(reader, monkeypatch):
    lie = {"head": {"kind": "jpeg", "stolen": 1}}
    monkeypatch.setattr(reader, "_frame", lambda seconds: (lie, b""))
    with pytest.raises(reading.Refused):
        next(reader.read(pictures.jpeg(1), chips=1))
    assert reader.child is None


@pytest.mark.django_db
def test_a_decoder_that_is_away_is_no_fault_of_a_chip(showcase, client, monkeypatch):
    showcase.work(showcase.batch([("a.jpg", pictures.jpeg(1))]))
    chip = Chip.objects.get()
    decoding.close()
    with monkeypatch.context() as patch:
        patch.setattr(reading.Reader, "_start", lambda self: os.stat("/none/such"))
        for _ in range(copies.TRIES + 1):
            with pytest.raises(decoding.Away):
                copies.draw_missing()
        assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 503
    copies.draw_missing()
    chip.refresh_from_db()
    assert (chip.tries, chip.views, chip.pack) == (0, True, "")
    assert client.get(f"/chip/{chip.key}/thumb.image").status_code == 200


@pytest.mark.django_db
def test_a_batch_waits_for_a_decoder_that_is_away(showcase, monkeypatch):
    batch = showcase.batch([(f"{i}.jpg", pictures.jpeg(i)) for i in range(3)])
    kill_after_keeping(batch)
    work.requeue(Batch.objects.filter(pk=batch.pk), "storage")
    decoding.close()
    with monkeypatch.context() as patch:
        patch.setattr(
            decoding, "_once", lambda data: (_ for _ in ()).throw(reading.Refused("time"))
        )
        for _ in range(work.ATTEMPTS + 1):
            assert work.work(batch.pk) == "fault"
        batch.refresh_from_db()
        assert (batch.state, batch.setback, batch.attempts) == ("queued", "decoder", 0)
        assert "decoder does not start" in batch.trouble
    assert showcase.work(batch).chips_labelled == 3
