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
from showcase import copies, engine, reading, storage, work
from showcase.decoder.plain_jpeg import bare
from showcase.models import Chip

from paperlib.chips.decode import decode, exact, fit, header


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
    }
    assert [name for name, data in others.items() if bare(data) is not None] == []


def test_random_damage_never_gives_more_than_was_there():
    rng, data = np.random.default_rng(0), np.frombuffer(pictures.jpeg(1), np.uint8)
    kept = 0
    for _ in range(2000):
        broken = data.copy()
        broken[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
        if (found := bare(broken.tobytes())) is not None:
            kept += 1
            assert len(found) <= len(data)
            assert (found[:2], found[-2:]) == (b"\xff\xd8", b"\xff\xd9")
            assert scans(found) <= 16
    assert 200 < kept < 1999


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


@pytest.mark.django_db
def test_a_worker_goes_on_from_jpegs_in_a_pack_after_a_kill(showcase, monkeypatch):
    """Killed between the two transactions of a group: nothing is read from the upload again."""
    batch = showcase.batch([(f"{i}.jpg", pictures.jpeg(i)) for i in range(4)])
    with monkeypatch.context() as patch:
        patch.setattr(work, "_run", lambda images: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            work.work(batch.pk)
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
    showcase.work(showcase.batch([("a.jpg", pictures.jpeg(1)), ("b.jpg", pictures.jpeg(2, 32))]))
    chip, other = Chip.objects.order_by("name")
    for data in (b"\xff\xd8 no picture", pictures.jpeg(3, 48), b""):
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


def test_any_thread_may_have_a_jpeg_decoded_and_a_lost_child_is_replaced():
    data = [pictures.jpeg(i, 40 + i) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(reading.decode, data))
    for got, one in zip(found, data, strict=True):
        assert np.array_equal(got, exact(one))
    os.kill(reading._single.child.pid, signal.SIGKILL)
    reading._single.child.wait()
    assert np.array_equal(reading.decode(data[0]), exact(data[0]))
    with pytest.raises(reading.Refused):
        reading.decode(b"no picture")
    assert np.array_equal(reading.decode(data[1]), exact(data[1]))
