"""The Planet loader: pixels, containers, splits, cache. Bad input is in test_planet_bad.py."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tarfile

import chipmaker
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from paperlib.chips import archive, jpeg, planet, reader, source, split, variants
from paperlib.labels import LABELS
from paperlib.utils import cache
from paperlib.utils.errors import PaperError

pytestmark = pytest.mark.usefixtures("own_cache")


def read(place, size=32, **how):
    return planet.read(place, size, progress=False, **how)


# --- one chip's pixels -------------------------------------------------------------------------


def test_four_components_are_red_green_blue_and_a_constant():
    red = np.zeros((16, 16, 3), np.uint8) + np.array([200, 40, 30], np.uint8)
    data = chipmaker.jpeg(red)
    assert jpeg.header(data) == (16, 16, 4)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    for rgb in (jpeg.decode(data, 4), jpeg.exact(data)):
        assert np.abs(rgb.astype(int) - red).max() <= 1  # not cyan, not blue


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([30, 75, 95, 100]))
def test_the_quick_way_gives_the_pixels_of_the_exact_one(seed, side, quality):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)  # 0 and 255 among them
    data = chipmaker.jpeg(rgb, quality)
    assert jpeg._fast_is_exact()
    np.testing.assert_array_equal(jpeg._fast(data), jpeg.exact(data))


def test_quick_way_takes_back_what_opencv_adds():
    data = chipmaker.jpeg(np.full((8, 8, 3), 100, np.uint8))
    assert (jpeg._opencv(data) == 101).all()
    assert (jpeg.decode(data, 4) == 100).all()


def test_another_opencv_would_be_noticed(monkeypatch):
    jpeg._fast_is_exact.cache_clear()
    usual = jpeg._opencv
    monkeypatch.setattr(jpeg, "_opencv", lambda data: usual(data) - 1)
    try:
        assert not jpeg._fast_is_exact()
        data = chipmaker.jpeg(chipmaker.pixels(1))
        np.testing.assert_array_equal(jpeg.decode(data, 4), jpeg.exact(data))
    finally:
        jpeg._fast_is_exact.cache_clear()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpegs_of_three_and_one_component(mode):
    image = Image.fromarray(chipmaker.pixels(5)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=100, subsampling=0)
    height, width, components = jpeg.header(buffer.getvalue())
    assert (height, width, components) == (32, 32, len(mode))
    rgb = jpeg.decode(buffer.getvalue(), components)
    assert np.abs(rgb.astype(int) - np.asarray(image.convert("RGB"))).max() <= 4


def test_orientation_marks_are_ignored():
    """Both ways show the pixels as they are stored; a satellite picture has no camera to turn."""
    rgb = chipmaker.pixels(2)
    exif = Image.Exif()
    exif[0x0112] = 6
    cmyk = np.concatenate([255 - rgb, np.zeros_like(rgb[..., :1])], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(cmyk, "CMYK").save(buffer, "JPEG", quality=95, subsampling=0, exif=exif)
    turned = jpeg.decode(buffer.getvalue(), 4)
    np.testing.assert_array_equal(turned, jpeg.decode(chipmaker.jpeg(rgb), 4))


def test_shrinking_is_the_mean_over_areas():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200  # every second column: picking single pixels would give 0 or 200
    assert (jpeg.fit(stripes, 4) == 100).all()
    blocks = np.arange(64, dtype=np.uint8).reshape(8, 8)[..., None].repeat(3, -1)
    by_hand = blocks.reshape(2, 4, 2, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(jpeg.fit(blocks, 2), by_hand, atol=0.5)


def test_enlarging_is_bicubic_and_keeps_a_flat_picture_flat():
    flat = np.full((4, 4, 3), 77, np.uint8)
    assert (jpeg.fit(flat, 9) == 77).all()
    long = np.zeros((3, 400, 3), np.uint8)  # one side shrinks, the other grows: no stripe is lost
    long[:, ::2] = 200
    for picture in (long, long.swapaxes(0, 1)):
        assert (np.abs(jpeg.fit(picture, 10).astype(int) - 100) <= 1).all()
    ramp = np.linspace(0, 240, 8).astype(np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2)
    expected = cv2.resize(ramp, (16, 16), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(jpeg.fit(ramp, 16), expected)


# --- the whole folder --------------------------------------------------------------------------


def test_pixels_labels_and_order(tmp_path):
    names = ["train_7", "train_0", "train_3"]
    members = {name: chipmaker.jpeg(chipmaker.pixels(i)) for i, name in enumerate(names)}
    chips = read(chipmaker.folder(tmp_path / "data", members))
    assert chips.names.tolist() == names  # the label file's order, not the folder's
    assert chips.images.dtype == np.uint8
    assert chips.images.shape == (3, 32, 32, 3)
    assert [LABELS[i] for i in np.flatnonzero(chips.labels[1])] == ["haze", "primary", "water"]
    for i in range(3):
        assert np.abs(chips.images[i].astype(int) - chipmaker.pixels(i)).mean() < 3
    assert chips.source == "Planet, 3 of 40,479 labelled chips, 32 px"
    assert chips.skipped == ()


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_any_container_gives_the_same_chips(tmp_path, kind):
    members = chipmaker.chips(9)
    chips = read(chipmaker.folder(tmp_path / kind, members, kind=kind), cache=False)
    for i, data in enumerate(members.values()):
        np.testing.assert_array_equal(chips.images[i], jpeg.exact(data))


def test_reading_where_there_is_no_pread(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pread")
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(9), kind="zip")
    chips = read(place, workers=4)
    for i, data in enumerate(chipmaker.chips(9).values()):
        np.testing.assert_array_equal(chips.images[i], jpeg.exact(data))


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("prefix", ["", "./train-jpg/", "planet/planet/train-jpg/"])
def test_members_may_lie_anywhere_in_an_archive(tmp_path, kind, prefix):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(3), kind=kind, prefix=prefix)
    assert len(read(place)) == 3


def test_chips_one_folder_down_in_the_folder(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(3))
    (place / "train-jpg").rename(tmp_path / "inner")
    (place / "train-jpg").mkdir()
    (tmp_path / "inner").rename(place / "train-jpg" / "train-jpg")
    assert len(read(place)) == 3


def test_data_may_be_a_folder_above_as_the_mirror_has_it(tmp_path):
    place = chipmaker.folder(tmp_path / "d" / "planet" / "planet", chipmaker.chips(3))
    (place / "train_v2.csv").rename(place / "train_classes.csv")
    assert len(read(tmp_path / "d")) == 3


def test_an_emptied_folder_beside_the_archive_is_passed_over(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(3), kind="tar")
    (place / "train-jpg").mkdir()
    assert len(read(place)) == 3


def test_what_other_systems_leave_behind(tmp_path):
    """A byte order mark, CRLF, blank lines, quotes, upper-case suffixes, resource forks."""
    text = '\ufeffimage_name,tags\r\n\r\n"train_0","haze primary"\r\ntrain_1.jpg, clear \r\n\r\n'
    chip = chipmaker.chips(2)
    members = {
        "train_0.JPG": chip["train_0"],
        "train_1.jpeg": chip["train_1"],
        "._train_0.jpg": b"\0\5\x16\7",
        ".DS_Store.x": b"",
        "Thumbs.db": b"",
    }
    for kind in ("folder", "tar", "zip"):
        place = chipmaker.folder(tmp_path / kind, members, kind=kind, text=text)
        chips = read(place)
        assert chips.names.tolist() == ["train_0", "train_1"]
        assert chips.labels.sum(axis=1).tolist() == [2, 1]


def test_long_names_in_a_tar(tmp_path):
    """GNU and PAX archives keep long names in members of their own."""
    for number, kind in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        place = chipmaker.folder(tmp_path / str(number), chipmaker.chips(2), kind="zip")
        (place / "train-jpg.zip").unlink()
        with tarfile.open(place / "train-jpg.tar", "w", format=kind) as packed:
            for name, data in chipmaker.chips(2).items():
                info = tarfile.TarInfo("a" * 90 + "/" + "b" * 90 + f"/{name}.jpg")
                info.size = len(data)
                packed.addfile(info, io.BytesIO(data))
        assert len(read(place)) == 2


def test_result_does_not_depend_on_the_number_of_workers(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(600, side=16), kind="tar")
    prints = {read(place, 8, workers=w, cache=False).fingerprint for w in (1, 2, 7)}
    assert len(prints) == 1


def test_shrunk_and_enlarged_chips_say_so(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2, side=64))
    assert read(place, 32).source.endswith("32 px (shrunk from 64)")
    assert read(place, 96).source.endswith("96 px (enlarged from 64)")
    shrunk = jpeg.fit(jpeg.exact(chipmaker.chips(2, side=64)["train_1"]), 32)
    np.testing.assert_array_equal(read(place, 32).images[1], shrunk)


def test_arguments(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2))
    with pytest.raises(ValueError, match="size"):
        read(place, 0)
    with pytest.raises(ValueError, match="original, dehazed, dehazed-hazy"):
        read(place, variant="foggy")


# --- the cache ---------------------------------------------------------------------------------


def _no_decoding(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("decoded again")

    monkeypatch.setattr(reader, "decode_all", never)


def _no_looking(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("opened the chips again")

    monkeypatch.setattr(archive, "open_archive", never)


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_second_read_opens_no_chip(tmp_path, monkeypatch, kind):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(), kind=kind)
    first = read(place)
    _no_looking(monkeypatch)
    second = read(place)
    assert second.fingerprint == first.fingerprint
    assert second.source == first.source


def test_cache_is_by_content_not_by_place_or_container(tmp_path, monkeypatch):
    members = chipmaker.chips()
    first = read(chipmaker.folder(tmp_path / "a", members, kind="tar"))
    _no_decoding(monkeypatch)
    for kind in ("folder", "zip"):
        assert read(chipmaker.folder(tmp_path / kind, members, kind=kind)).fingerprint == (
            first.fingerprint
        )
    with pytest.raises(AssertionError, match="decoded again"):
        read(tmp_path / "a", 16)  # another size is another entry


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_changed_chip_is_noticed_even_with_its_old_time(tmp_path, kind):
    members = chipmaker.chips(4)
    place = chipmaker.folder(tmp_path / "d", members, kind=kind)
    first = read(place)
    target = place / ("train-jpg/train_2.jpg" if kind == "folder" else "train-jpg.tar")
    times = os.stat(target)
    other = chipmaker.jpeg(chipmaker.pixels(99))
    length = max(len(other), len(members["train_2"]))
    members["train_2"] = other.ljust(length, b"\0")
    chipmaker.folder(place, members, kind=kind)
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = read(place)
    assert (changed.images[2] != first.images[2]).any()
    np.testing.assert_array_equal(changed.images[[0, 1, 3]], first.images[[0, 1, 3]])


def test_changed_label_file_is_noticed(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(4))
    read(place)
    (place / "train_v2.csv").write_text("image_name,tags\ntrain_3,blooming\n")
    chips = read(place)
    assert chips.names.tolist() == ["train_3"]
    np.testing.assert_array_equal(chips.images[0], jpeg.exact(chipmaker.chips(4)["train_3"]))


@pytest.mark.parametrize("damage", ["note", "array", "shape"])
def test_damaged_cache_is_made_again(tmp_path, damage):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(4))
    first = read(place)
    (array,) = cache.folder().glob("planet-*.npy")
    if damage == "note":
        array.with_suffix(".json").write_text("{")
    elif damage == "array":
        array.write_bytes(array.read_bytes()[:200])
    else:
        np.save(array, np.zeros((1, 32, 32, 3), np.uint8))
    np.testing.assert_array_equal(read(place).images, first.images)


def test_writing_to_the_chips_leaves_the_cache_alone(tmp_path):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(4))
    first = read(place).images.copy()
    chips = read(place)
    chips.images[:] = 0
    np.testing.assert_array_equal(read(place).images, first)


def test_no_cache_writes_nothing(tmp_path):
    read(chipmaker.folder(tmp_path / "d", chipmaker.chips(4)), cache=False)
    assert not (tmp_path / "cache").exists()


def test_cache_that_cannot_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("PAPER_CACHE", str(blocked))
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2))
    with pytest.raises(PaperError, match="PAPER_CACHE"):
        read(place)
    assert len(read(place, cache=False)) == 2


# --- variants ----------------------------------------------------------------------------------


def test_scaled_windows():
    assert variants.scaled(256) == {"patch": 15, "radius": 40}
    assert variants.scaled(128) == {"patch": 7, "radius": 20}
    assert variants.scaled(32) == {"patch": 3, "radius": 5}
    for side in range(1, 1200):
        windows = variants.scaled(side)
        assert windows["patch"] % 2 == 1
        assert windows["patch"] >= 3
        assert windows["radius"] >= 1


def _halve(images, *, workers=None):
    """Stands in for dehazing: tells whether it saw full-size or shrunk chips."""
    _halve.seen.append(images.shape)
    return images // 2


@pytest.fixture
def halving(monkeypatch):
    _halve.seen = []
    monkeypatch.setattr(variants, "dehaze", _halve)


def test_dehazed_at_the_chips_own_size_then_shrunk(tmp_path, halving):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(5, side=64))
    chips = read(place, 16, variant="dehazed")
    assert _halve.seen == [(5, 64, 64, 3)]
    full = [jpeg.exact(data) for data in chipmaker.chips(5, side=64).values()]
    expected = np.stack([jpeg.fit(image // 2, 16) for image in full])
    np.testing.assert_array_equal(chips.images, expected)
    assert chips.source.endswith("16 px (shrunk from 64), dehazed")


def test_dehazed_hazy_leaves_training_chips_without_haze(tmp_path, halving):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(8))
    chips = read(place)
    original, dehazed, mixed, training = (read(place, variant=v).images for v in variants.VARIANTS)
    clear = np.tile([True, False, False, True], 2)  # as chipmaker.TAGS go round
    kept = clear & (chips.split == "train")  # the others' labels nobody knows
    assert kept.any()
    assert (clear & ~kept).any()
    np.testing.assert_array_equal(mixed[~kept], dehazed[~kept])
    np.testing.assert_array_equal(mixed[kept], original[kept])
    changed = ~clear & (chips.split == "train")  # section 4.2: no other chip, whatever its labels
    assert changed.any()
    np.testing.assert_array_equal(training[changed], dehazed[changed])
    np.testing.assert_array_equal(training[~changed], original[~changed])
    assert (dehazed != original).any(axis=(1, 2, 3)).all()


def test_dehazing_is_kept_by_block_and_goes_on(tmp_path, halving, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", 3)
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(8))
    undisturbed = read(place, variant="dehazed", cache=False).images

    def dies_at_the_third(images, *, workers=None):
        if len(_halve.seen) == 2:
            raise KeyboardInterrupt
        return _halve(images)

    _halve.seen = []
    monkeypatch.setattr(variants, "dehaze", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        read(place, variant="dehazed")
    _halve.seen = []
    monkeypatch.setattr(variants, "dehaze", _halve)
    np.testing.assert_array_equal(read(place, variant="dehazed").images, undisturbed)
    assert _halve.seen == [(2, 32, 32, 3)]  # six of the eight were kept
    assert not list(cache.folder().glob("*.blocks"))
    read(place, variant="dehazed")
    assert len(_halve.seen) == 1


def test_cache_does_not_outlive_a_change_of_the_dehazing_code(tmp_path, halving, monkeypatch):
    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2))
    read(place, variant="dehazed")
    read(place, variant="dehazed")
    assert len(_halve.seen) == 1
    monkeypatch.setattr(variants, "code_stamp", lambda: "changed")
    read(place, variant="dehazed")
    assert len(_halve.seen) == 2


def test_the_real_dehazing_is_what_dehaze_batch_gives(tmp_path):
    from paperlib.dehaze import dehaze

    place = chipmaker.folder(tmp_path / "d", chipmaker.chips(2))
    chips = read(place, variant="dehazed", workers=1)
    for i, data in enumerate(chipmaker.chips(2).values()):
        expected = dehaze(jpeg.exact(data), patch=3, radius=5)
        assert np.abs(chips.images[i].astype(int) - expected).max() <= 1


def test_compose_by_hand():
    original = np.zeros((3, 1, 1, 3), np.uint8)
    labels = np.array([[1, 0], [0, 1], [0, 0]], np.uint8)
    known = np.array([f"train_{i}" for i in range(200)])
    part = {name: known[split.split_many(known) == name][:3] for name in split.SPLITS}
    tags = ("haze", "road")
    mixed = variants.compose(original, original + 9, labels, part["train"], tags)
    assert mixed[:, 0, 0, 0].tolist() == [9, 0, 0]
    for held in ("validation", "test"):  # whose labels nobody knows: they must not show in pixels
        mixed = variants.compose(original, original + 9, labels, part[held], tags)
        assert mixed[:, 0, 0, 0].tolist() == [9, 9, 9]
    with pytest.raises(ValueError, match="dehazed"):
        variants.compose(original, original[:2], labels, part["train"], tags)


# --- the real chips ----------------------------------------------------------------------------


@pytest.mark.data
def test_real_chips_decode_exactly(shared):
    """Every full-size chip, and every fiftieth small one, both ways; and no fourth component."""
    folder = shared / "data" / "planet256" / "train-jpg"
    full = [path.read_bytes() for path in sorted(folder.iterdir())]
    with archive.open_archive(shared / "data" / "planet32" / "train-jpg.tar") as small:
        tiny = [small.read(name) for name in sorted(small.chips)[::50]]
    for data in (*full, *tiny):
        assert jpeg.header(data)[2] == 4
        np.testing.assert_array_equal(jpeg.decode(data, 4), jpeg.exact(data))
        assert np.asarray(Image.open(io.BytesIO(data)))[..., 3].max() == 0  # K: nothing


@pytest.mark.data
def test_real_small_chips_show_the_full_size_ones(shared, tmp_path):
    (tmp_path / "train-jpg.tar").symlink_to(shared / "data" / "planet32" / "train-jpg.tar")
    shutil.copy(shared / "data" / "planet256" / "train_v2.csv", tmp_path)
    full, tiny = read(shared / "data" / "planet256", 32), read(tmp_path, 32)
    assert full.names.tolist() == tiny.names.tolist()
    assert len(full) == 122
    difference = tiny.images.astype(float) - full.images
    assert np.abs(difference).mean() < 3  # the thumbnails were saved at quality 75
    # a wrong reading of the components would be far off
    assert np.abs(255.0 - tiny.images - full.images).mean() > 50
    assert np.abs(tiny.images[..., ::-1].astype(float) - full.images).mean() > 5


@pytest.mark.data
@pytest.mark.slow
def test_all_real_small_chips(shared):
    chips = read(shared / "data" / "planet32")
    assert chips.images.shape == (32_351, 32, 32, 3)
    assert {s: len(chips.part(s)) for s in ("train", "validation", "test")} == {
        "train": 25_891,
        "validation": 6_460,
        "test": 0,
    }
    assert 60 < chips.images.mean() < 110


def test_header_is_read_without_decoding():
    data = chipmaker.jpeg(chipmaker.pixels(0))
    at = data.index(b"\xff\xc0")
    huge = data[: at + 5] + struct.pack(">HH", 60_000, 50_000) + data[at + 9 :]
    assert jpeg.header(huge) == (60_000, 50_000, 4)
