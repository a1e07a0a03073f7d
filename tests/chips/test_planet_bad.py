"""Bad Planet data: each kind gets one line that names the file and the cure, and can be skipped
where it is about single chips. Nothing here may end in a traceback or in silently fewer chips."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from functools import partial

import chipmaker
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperlib.chips import jpeg, planet
from paperlib.chips.archive import BadChip
from paperlib.utils.errors import PaperError

pytestmark = pytest.mark.usefixtures("own_cache")


def read(place, **how):
    return planet.read(place, 32, progress=False, **how)


refused = partial(chipmaker.refused, read)

# --- the folder and the label file -------------------------------------------------------------


def test_no_such_folder(tmp_path):
    refused(tmp_path / "nowhere", "nowhere does not exist", "train_v2.csv", "paper data fetch")


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"")
    refused(tmp_path / "x.tar", "is not a folder")


def test_no_csv(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2))
    (place / "train_v2.csv").unlink()
    refused(place, str(place), "no train_v2.csv", "paper data fetch")


def test_no_chips(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(1), kind="tar")
    (place / "train-jpg.tar").rename(place / "train-jpg.tar.7z")
    refused(place, "train-jpg.zip", "unpack train-jpg.tar.7z first")


@pytest.mark.parametrize(
    "text",
    ["", "name,tags\ntrain_0,clear\n", "image_name;tags\ntrain_0;clear\n", "train_0,clear\n",
     "image_name,tags,extra\ntrain_0,clear,1\n"],
)  # fmt: skip
def test_wrong_header(tmp_path, text):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(1), text=text)
    refused(place, "train_v2.csv", "header", "image_name,tags")
    refused(place, "header", skip_bad=True)  # no row can be trusted


def test_no_rows(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(1), text="image_name,tags\n\n")
    refused(place, "train_v2.csv", "no rows")


def test_not_text(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(1))
    (place / "train_v2.csv").write_bytes("image_name,tags\ntrain_0,clear ".encode("utf-16"))
    refused(place, "train_v2.csv", "UTF-8")


def test_broken_quotes(tmp_path):
    text = 'image_name,tags\n"train_0"x,clear\n'
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(1), text=text)
    refused(place, "train_v2.csv, line 2")


BAD_ROWS = {
    "unknown tag": ("train_1,clear cumulus", "train_1 line 3 has the unknown tag 'cumulus'"),
    "a name twice": ("train_0,clear", "train_0 the name is there again on line 3"),
    "no tags": ("train_1,", "train_1 line 3 has no tags"),
    "one field": ("train_1 clear", "line 3 has 1 fields"),
    "three fields": ("train_1,clear,primary", "line 3 has 3 fields"),
    "no name": (",clear", "a row line 3 has no usable chip name"),
    "a path for a name": ("../train_1,clear", "no usable chip name"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_bad_rows(tmp_path, kind):
    row, reason = BAD_ROWS[kind]
    text = f"image_name,tags\ntrain_0,haze\n{row}\ntrain_2,water clear\n"
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(3), text=text)
    refused(place, "train_v2.csv", reason, "--skip-bad")
    chips = read(place, skip_bad=True)
    # of a name that comes twice, neither row can be trusted
    kept = ["train_2"] if kind == "a name twice" else ["train_0", "train_2"]
    assert chips.names.tolist() == kept
    assert len(chips.skipped) == 1
    assert chips.labels[-1].sum() == 2


def test_permission_denied(tmp_path, monkeypatch):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2), kind="tar")
    for name in ("train-jpg.tar", "train_v2.csv"):
        os.chmod(place / name, 0)
        if os.access(place / name, os.R_OK):  # the superuser may read anything
            _deny(monkeypatch, place / name)
        refused(place, name, "permission denied", "readable")


def _deny(monkeypatch, path):
    import builtins
    from pathlib import Path

    usual_open, usual_read = builtins.open, Path.read_bytes

    def deny(file):
        if os.fspath(file) == os.fspath(path):
            raise PermissionError(13, "Permission denied", os.fspath(path))

    def guarded_open(file, *args, **kwargs):
        if isinstance(file, str | os.PathLike):
            deny(file)
        return usual_open(file, *args, **kwargs)

    def guarded_read(self):
        deny(self)
        return usual_read(self)

    monkeypatch.setattr(builtins, "open", guarded_open)
    monkeypatch.setattr(Path, "read_bytes", guarded_read)


# --- single chips ------------------------------------------------------------------------------


def _wide():
    return chipmaker.jpeg(np.zeros((32, 48, 3), np.uint8))


def _huge_claim():
    data = chipmaker.jpeg(chipmaker.pixels(1))
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", 65_000, 65_000) + data[at + 9 :]


def _two_components():
    data = bytearray(chipmaker.jpeg(chipmaker.pixels(1)))
    data[data.index(b"\xff\xc0") + 9] = 2
    return bytes(data)


GOOD = chipmaker.jpeg(chipmaker.pixels(1))
BAD_CHIPS = {
    "empty": (b"", "is empty"),
    "unreadable": (b"no picture at all", "is not a JPEG"),
    "another format": (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "is not a JPEG"),
    "cut in its header": (GOOD[:100], "is cut off or damaged within its header"),
    "cut in its picture": (GOOD[:-40], "is cut off (it has no end marker)"),
    "cut and filled with zeros": (GOOD[:-40] + b"\0" * 40, "is cut off (it has no end marker)"),
    "no frame": (
        b"\xff\xd8\xff\xda\0\x08\1\1\0\0\x3f\0\xff\xd9",
        "is damaged (it has no frame header)",
    ),
    "another size": (chipmaker.jpeg(chipmaker.pixels(1, 40)), "is 40×40 pixels, the others 32×32"),
    "not square": (_wide(), "is 48×32 pixels"),
    "claims to be huge": (_huge_claim(), "is 65000×65000 pixels"),
    "two components": (_two_components(), "has 2 colour components"),
}


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
@pytest.mark.parametrize("damage", BAD_CHIPS)
def test_bad_chip(tmp_path, kind, damage):
    data, reason = BAD_CHIPS[damage]
    members = chipmaker.chips(6)
    good = read(chipmaker.folder(tmp_path / "good", members))
    place = chipmaker.folder(tmp_path / "d", {**members, "train_3": data}, kind=kind)
    refused(place, {"folder": "train-jpg: 1 of 6"}.get(kind, f".{kind}: 1 of 6"))
    refused(place, f"train_3 {reason}")
    for _ in range(2):  # decoded, then from the cache
        chips = read(place, skip_bad=True)
        assert chips.names.tolist() == [f"train_{i}" for i in (0, 1, 2, 4, 5)]
        ((name, why),) = chips.skipped
        assert name == "train_3"
        assert reason in why
        np.testing.assert_array_equal(chips.images, good.images[[0, 1, 2, 4, 5]])
        np.testing.assert_array_equal(chips.labels, good.labels[[0, 1, 2, 4, 5]])
    refused(place, "train_3")  # what is kept does not make a bad folder good


def test_damage_that_only_decoding_finds(tmp_path):
    data = bytearray(GOOD)
    at = data.index(b"\xff\xc4")  # the first Huffman table; it cannot have 255 codes of one bit
    data[at + 5] = 255
    place = chipmaker.folder(tmp_path / "d", {**chipmaker.chips(4), "train_2": bytes(data)})
    refused(place, "train_2 cannot be decoded")
    chips = read(place, skip_bad=True)
    assert chips.names.tolist() == ["train_0", "train_1", "train_3"]
    np.testing.assert_array_equal(chips.images[2], jpeg.exact(chipmaker.chips(4)["train_3"]))
    assert len(read(place, variant="dehazed", skip_bad=True)) == 3


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_chip_in_the_csv_and_not_in_the_archive(tmp_path, kind):
    names = [f"train_{i}" for i in range(9)]
    place = chipmaker.folder(
        tmp_path / "d", chipmaker.chips(4), kind=kind, text=chipmaker.table(names)
    )
    line = refused(place, "5 of 9 chips", "train_4 is not in train-jpg", "and 2 more")
    assert "train_8" not in line  # the first names and a count, not thousands of names
    chips = read(place, skip_bad=True)
    assert len(chips) == 4
    assert [name for name, _ in chips.skipped] == names[4:]


def test_chip_that_is_there_as_tif_only(tmp_path):
    members = {**chipmaker.chips(2), "train_2.tif": b"II*\0"}
    text = chipmaker.table(["train_0", "train_1", "train_2"])
    place = chipmaker.folder(tmp_path / "d", members, text=text)
    refused(place, "train_2 is not in train-jpg, except in another format than jpg or jpeg")


def test_link_to_nothing(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(3))
    (place / "train-jpg" / "train_1.jpg").unlink()
    (place / "train-jpg" / "train_1.jpg").symlink_to(tmp_path / "gone.jpg")
    refused(place, "train_1 cannot be read")


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_two_files_that_claim_one_chip(tmp_path, kind):
    members = {**chipmaker.chips(3), "train_1.jpeg": GOOD, "train_1.JPG": GOOD}
    place = chipmaker.folder(tmp_path / "d", members, kind=kind)
    refused(place, "train_1 is there twice", "train_1.jpeg")
    assert read(place, skip_bad=True).names.tolist() == ["train_0", "train_2"]


def test_no_chip_left(tmp_path):
    place = chipmaker.folder(tmp_path / "d", {"train_0": b""})
    refused(place, "no chip can be used", skip_bad=True)


# --- archives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.97])
def test_cut_tar(tmp_path, share):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(40), kind="tar")
    tar = place / "train-jpg.tar"
    whole = tar.read_bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in range(int(end * share), int(end * share) + 1600, 400):  # in a head, in a chip
        tar.write_bytes(whole[:cut])
        refused(place, "train-jpg.tar is cut off or damaged after train-jpg/train_", "of 40 chips")
        chips = read(place, skip_bad=True)
        assert 0 < len(chips) < 40
        assert len(chips) + len(chips.skipped) == 40


def test_tar_damaged_in_the_middle(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(20), kind="tar")
    tar = place / "train-jpg.tar"
    data = bytearray(tar.read_bytes())
    at = data.index(b"train-jpg/train_9.jpg")
    data[at : at + 512] = b"\xa5" * 512  # no header any more: tarfile takes it for the end
    tar.write_bytes(data)
    refused(place, "cut off or damaged after train-jpg/train_8.jpg", "11 of 20")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"x" * 5000, "not an uncompressed .tar"),
        (b"\x1f\x8b" + b"x" * 600, "not"),
    ],
)
def test_no_tar_at_all(tmp_path, data, said):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2), kind="tar")
    (place / "train-jpg.tar").write_bytes(data)
    refused(place, "train-jpg.tar", said, "download it again")


def test_compressed_tar(tmp_path):
    import gzip

    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2), kind="tar")
    tar = place / "train-jpg.tar"
    tar.write_bytes(gzip.compress(tar.read_bytes()))
    refused(place, "not an uncompressed .tar")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_cut_zip(tmp_path, share):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(20), kind="zip")
    archive = place / "train-jpg.zip"
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    refused(place, "train-jpg.zip is cut off or is not a .zip", "again")
    refused(place, "train-jpg.zip", skip_bad=True)  # its index is gone


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_byte_in_a_zip(tmp_path, method):
    place = chipmaker.folder(tmp_path / "d", {}, text=chipmaker.table(chipmaker.chips(3)))
    archive = place / "train-jpg.zip"
    with zipfile.ZipFile(archive, "w", method) as packed:
        for name, data in chipmaker.chips(3).items():
            packed.writestr(f"{name}.jpg", data)
    data = bytearray(archive.read_bytes())
    data[data.index(b"train_1.jpg") + 300] ^= 0xFF
    archive.write_bytes(data)
    refused(place, "train_1 is damaged in train-jpg.zip")
    assert len(read(place, skip_bad=True)) == 2


def test_zip_packed_another_way_or_encrypted(tmp_path):
    place = chipmaker.folder(tmp_path / "d", {}, text=chipmaker.table(["train_0"]))
    archive = place / "train-jpg.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("train_0.jpg", GOOD)
    refused(place, "train_0 is packed in train-jpg.zip in a way other than deflate")
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    refused(place, "train-jpg.zip is encrypted")


def test_zip_that_claims_too_much(tmp_path):
    place = chipmaker.folder(tmp_path / "d", {}, text=chipmaker.table(["train_0", "train_1"]))
    with zipfile.ZipFile(place / "train-jpg.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("train_0.jpg", GOOD)
        packed.writestr("train_1.jpg", bytes(65 << 20))
    refused(place, "train_1 has 68,157,440 bytes, more than any chip")


OUTSIDE = ["../train_1.jpg", "a/../../train_1.jpg", "/tmp/train_1.jpg", "C:/train_1.jpg",
           "..\\train_1.jpg", "\\\\host\\train_1.jpg"]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_member_that_tries_to_leave_the_folder(tmp_path, kind, name):
    place = chipmaker.folder(tmp_path / "d", {"train_0": GOOD}, kind=kind, prefix="")
    if kind == "tar":
        with tarfile.open(place / "train-jpg.tar", "a") as packed:
            info = tarfile.TarInfo(name)
            info.size = len(GOOD)
            packed.addfile(info, io.BytesIO(GOOD))
    else:
        with zipfile.ZipFile(place / "train-jpg.zip", "a") as packed:
            packed.writestr(name, GOOD)
    for skip_bad in (False, True):
        refused(place, f"train-jpg.{kind}", "would leave the folder", skip_bad=skip_bad)


@pytest.mark.parametrize(
    ("kind", "to"),
    [
        (tarfile.SYMTYPE, "train-jpg/train_0.jpg"),
        (tarfile.LNKTYPE, "/etc/hostname"),
        (tarfile.CHRTYPE, "train-jpg/train_0.jpg"),
    ],
)
def test_links_and_devices_in_a_tar(tmp_path, kind, to):
    place = chipmaker.folder(tmp_path / "d", {"train_0": GOOD}, kind="tar")
    with tarfile.open(place / "train-jpg.tar", "a") as packed:
        info = tarfile.TarInfo("train-jpg/train_1.jpg")
        info.type, info.linkname = kind, to
        packed.addfile(info)
    refused(place, "train_1.jpg' is a link or a device")


def test_link_in_a_zip(tmp_path):
    place = chipmaker.folder(tmp_path / "d", {"train_0": GOOD}, kind="zip")
    with zipfile.ZipFile(place / "train-jpg.zip", "a") as packed:
        info = zipfile.ZipInfo("train-jpg/train_1.jpg")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        packed.writestr(info, "/etc/hostname")
    refused(place, "train_1.jpg' is a link or a device")


@pytest.mark.parametrize("size", [b"\xff" * 12, b"-0000000777\0", b"0o000000777\0"])
def test_tar_that_would_lead_round_in_circles(tmp_path, size):
    """A negative size moves the reader back to a member it has passed."""
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(3), kind="tar")
    tar = place / "train-jpg.tar"
    data = bytearray(tar.read_bytes())
    at = data.index(b"train-jpg/train_1.jpg")
    data[at + 124 : at + 136] = size
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    tar.write_bytes(data)
    refused(place, "cut off or damaged after train-jpg/train_", "train_2 is not in train-jpg.tar")


def test_names_that_would_command_the_terminal(tmp_path):
    text = 'image_name,tags\n"train_0\n\x1b[2J",clear\n'
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(1), text=text)
    refused(place, r"train_0\n\x1b[2J line 3 has no usable chip name")


# --- anything at all ---------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(0, len(GOOD) - 1), st.integers(0, 60))
def test_any_damage_to_a_chip_is_a_picture_or_a_reason(noise, at, drop):
    data = GOOD[:at] + noise + GOOD[at + drop :]
    try:
        height, width, components = jpeg.header(data)
    except BadChip:
        return
    if height * width > 1 << 20:
        return
    try:
        rgb = jpeg.decode(data, components)
    except BadChip:
        return
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), kind=st.sampled_from(["tar", "zip"]))
def test_any_damage_to_an_archive_is_chips_or_one_line(tmp_path, data, kind):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(3), kind=kind)
    archive = place / f"train-jpg.{kind}"
    whole = bytearray(archive.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=30))
    whole[at : at + len(noise)] = noise
    archive.write_bytes(whole)
    try:
        chips = read(place, skip_bad=True, cache=False)
    except PaperError:
        return
    assert len(chips) + len(chips.skipped) == 3
