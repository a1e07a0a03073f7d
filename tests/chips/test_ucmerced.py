"""The loader of UC Merced: its own labels, TIFF as well as JPEG, chips of nearly one size."""

from __future__ import annotations

import io
import tarfile
from functools import partial

import chipmaker
import numpy as np
import pytest
from PIL import Image

from paperlib.chips import archive, ucmerced, variants
from paperlib.labels import LABELS

pytestmark = pytest.mark.usefixtures("own_cache")


def picture(seed: int, height: int = 256, width: int = 256, kind: str = "JPEG") -> bytes:
    rgb = np.asarray(Image.fromarray(chipmaker.pixels(seed, 260)))[:height, :width]
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, kind, **({"quality": 100} if kind == "JPEG" else {}))
    return buffer.getvalue()


def header() -> str:
    return "\t".join(["IMAGE\\LABEL", *ucmerced.TAGS])


def row(name: str, *tags: str) -> str:
    return "\t".join([name, *("1" if tag in tags else "0" for tag in ucmerced.TAGS)])


ROWS = [row("forest00", "trees"), row("forest01", "trees", "grass"), row("beach00", "sand", "sea")]


def folder(place, pictures=None, rows=ROWS, images="images"):
    pictures = pictures or {f"{n}.jpg": picture(i) for i, n in enumerate(
        ["forest00", "forest01", "beach00"])}  # fmt: skip
    place.mkdir(parents=True, exist_ok=True)
    (place / ucmerced.TABLE).write_text("\n".join([header(), *rows]) + "\n")
    for name, data in pictures.items():
        path = place / images / name[:-6] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return place


def read(place, size=64, **how):
    return ucmerced.read(place, size, progress=False, **how)


refused = partial(chipmaker.refused, read)


def test_pixels_and_labels(tmp_path):
    chips = read(folder(tmp_path / "d"))
    assert chips.names.tolist() == ["forest00", "forest01", "beach00"]
    assert chips.tags == ucmerced.TAGS != LABELS
    assert chips.labels.shape == (3, 17)
    assert [[chips.tags[i] for i in np.flatnonzero(r)] for r in chips.labels] == [
        ["trees"],
        ["grass", "trees"],
        ["sand", "sea"],
    ]
    expected = np.asarray(Image.open(io.BytesIO(picture(2))).convert("RGB"))
    means = expected.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(chips.images[2] - means).max() <= 1
    assert chips.source == "UC Merced, 3 of 2,100 labelled chips, 64 px (shrunk from 256)"


def test_tiff_as_the_makers_hand_it_out_gives_the_same_pixels_as_they_are(tmp_path):
    pictures = {"forest00.tif": picture(0, kind="TIFF"), "forest01.png": picture(1, kind="PNG")}
    place = folder(tmp_path / "d", pictures, ROWS[:2], images="UCMerced_LandUse/Images")
    chips = read(place, 256)
    np.testing.assert_array_equal(chips.images[1], chipmaker.pixels(1, 260)[:256, :256])
    np.testing.assert_array_equal(chips.images[0], chipmaker.pixels(0, 260)[:256, :256])


def test_a_tar_of_the_folder(tmp_path):
    place = folder(tmp_path / "d")
    from_folder = read(place)
    with tarfile.open(place / "images.tar", "w") as packed:
        packed.add(place / "images", "images")
    (place / "images").rename(tmp_path / "elsewhere")
    assert read(place).fingerprint == from_folder.fingerprint


@pytest.mark.parametrize(("height", "width"), [(247, 247), (256, 251), (250, 256), (257, 257)])
def test_nearly_square_chips_keep_their_scale(height, width):
    rgb = chipmaker.pixels(3, 260)[:height, :width]
    full = ucmerced.square(rgb)
    assert full.shape == (256, 256, 3)
    h, w = min(height, 256), min(width, 256)
    np.testing.assert_array_equal(full[:h, :w], rgb[:h, :w])  # moved or stretched by nothing
    for i in range(256 - h):  # the row below the last is the one above it, and so on
        np.testing.assert_array_equal(full[h + i, :w], rgb[h - 2 - i, :w])
    for i in range(256 - w):
        np.testing.assert_array_equal(full[:h, w + i], rgb[:h, w - 2 - i])


BAD = {
    "empty": (b"", "is empty"),
    "not a picture": (b"hello", "is no JPEG, TIFF or PNG picture"),
    "cut JPEG": (picture(1)[:-99], "is cut off"),
    "cut PNG": (picture(1, kind="PNG")[:-999], "cannot be decoded"),
    "wrong size": (picture(1, 200, 256), "is 256×200 pixels, expected 256×256"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_chips(tmp_path, kind):
    data, reason = BAD[kind]
    pictures = {"forest00.jpg": picture(0), "forest01.jpg": data, "beach00.jpg": picture(2)}
    place = folder(tmp_path / "d", pictures)
    refused(place, "images: 1 of 3", f"forest01 {reason}", "--skip-bad")
    chips = read(place, skip_bad=True)
    assert chips.names.tolist() == ["forest00", "beach00"]
    assert [name for name, _ in chips.skipped] == ["forest01"]


ROW = row("forest02", "trees")
BAD_ROWS = {
    "a name twice": (ROWS[0], "forest00 the name is there again on line 5"),
    "too few fields": (ROW.rpartition("\t")[0], "forest02 line 5 has 17 fields, not 18"),
    "no number": (ROW.replace("\t1", "\tx"), "forest02 line 5 has 'x' where 0 or 1 must be"),
    "no label": (row("forest02"), "forest02 line 5 has no tags"),
    "missing chip": (ROW, "forest02 is not in images"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_bad_rows(tmp_path, kind):
    line, reason = BAD_ROWS[kind]
    place = folder(tmp_path / "d", rows=[*ROWS, line])
    refused(place, reason)
    assert len(read(place, skip_bad=True)) == (2 if kind == "a name twice" else 3)


def test_what_is_not_there(tmp_path):
    refused(tmp_path / "nowhere", "does not exist", ucmerced.TABLE)
    place = folder(tmp_path / "d")
    (place / "images").rename(tmp_path / "elsewhere")
    refused(place, "no images folder", "UCMerced_LandUse.zip")
    (place / ucmerced.TABLE).unlink()
    refused(place, f"holds no {ucmerced.TABLE}")


@pytest.mark.parametrize("text", ["", "image_name,tags\n", "IMAGE\\LABEL\tairplane\n"])
def test_wrong_header(tmp_path, text):
    place = folder(tmp_path / "d")
    (place / ucmerced.TABLE).write_text(text)
    refused(place, ucmerced.TABLE, "header", "IMAGE\\LABEL")


def test_no_rows_and_no_text(tmp_path):
    refused(folder(tmp_path / "d", rows=["", "\t"]), "holds no rows")
    place = folder(tmp_path / "e")
    (place / ucmerced.TABLE).write_bytes(b"\xff\xfe\0")
    refused(place, "not UTF-8")


def test_second_read_comes_from_the_cache(tmp_path, monkeypatch):
    place = folder(tmp_path / "d")
    first = read(place)

    def never(*_):
        raise AssertionError("opened the chips again")

    monkeypatch.setattr(archive, "open_archive", never)
    assert read(place).fingerprint == first.fingerprint


def test_dehazed(tmp_path, monkeypatch):
    """Dehazed as full squares; without weather labels `dehazed-hazy` leaves training chips."""
    seen = []

    def halve(images, *, workers=None):
        seen.append(images.shape)
        return images // 2

    monkeypatch.setattr(variants, "dehaze", halve)
    pictures = {"forest00.jpg": picture(0, 250, 256), "forest01.jpg": picture(1)}
    place = folder(tmp_path / "d", pictures, ROWS[:2])
    original, dehazed, mixed, training = (read(place, variant=v).images for v in variants.VARIANTS)
    np.testing.assert_array_equal(training, original)  # no label of haze to go by
    assert seen == [(2, 256, 256, 3)]
    assert np.abs(dehazed - original / 2).max() <= 1.5
    kept = (read(place).split == "train")[:, None, None, None]
    np.testing.assert_array_equal(mixed, np.where(kept, original, dehazed))


@pytest.mark.data
def test_the_real_set(shared):
    chips = read(shared / "data" / "ucmerced", 64)
    assert chips.images.shape == (1_681, 64, 64, 3)
    assert chips.skipped == ()
    parts = {split: len(chips.part(split)) for split in ("train", "validation", "test")}
    assert parts == {"train": 1_310, "validation": 371, "test": 0}
    counts = dict(zip(chips.tags, chips.labels.sum(axis=0).tolist(), strict=True))
    table = (shared / "data" / "ucmerced" / ucmerced.TABLE).read_text().splitlines()[1:]
    for i, tag in enumerate(ucmerced.TAGS, 1):
        assert counts[tag] == sum(line.split("\t")[i] == "1" for line in table), tag


@pytest.mark.parametrize(
    ("mode", "says"), [("I;16", "8 bits"), ("F", "8 bits"), ("bomb", "pixels")]
)
def test_a_tiff_that_pillow_would_cut_to_8_bits_or_not_open_is_refused(mode, says, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 if mode == "bomb" else None)
    values = np.full((64, 64), 0.5 if mode == "F" else 200)
    dtype = {"I;16": np.uint16, "F": np.float32, "bomb": np.uint8}[mode]
    buffer = io.BytesIO()
    Image.fromarray(values.astype(dtype)).save(buffer, "TIFF")
    with pytest.raises(archive.BadChip, match=says):
        ucmerced._UCMerced.decode(buffer.getvalue(), 1)
