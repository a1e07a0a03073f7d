"""The ways in which Kaggle, and what people unpack and pack again with, lay the chips out."""

from __future__ import annotations

import shutil
import tarfile
import zipfile

import chipmaker
import numpy as np
import pytest

from paperlib.chips import planet
from paperlib.utils.errors import PaperError


@pytest.fixture
def plain(tmp_path):
    return chipmaker.folder(tmp_path / "plain", chipmaker.chips(4))


def same(place, plain):
    """The chips of a folder are those of the plain one."""
    found, expected = (planet.read(p, 32, progress=False, cache=False) for p in (place, plain))
    assert list(found.names) == list(expected.names)
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_label_file_in_a_folder_of_its_name(tmp_path, plain):
    place = shutil.copytree(plain, tmp_path / "other")
    (place / "train_v2.csv").rename(place / "old")
    (place / "train_v2.csv").mkdir()
    (place / "old").rename(place / "train_v2.csv" / "train_v2.csv")
    same(place, plain)


def test_label_file_zipped_by_itself(tmp_path, plain):
    place = shutil.copytree(plain, tmp_path / "other")
    with zipfile.ZipFile(place / "train_v2.csv.zip", "w") as packed:
        packed.write(place / "train_v2.csv", "train_v2.csv")
    (place / "train_v2.csv").unlink()
    same(place, plain)
    with zipfile.ZipFile(place / "train_v2.csv.zip", "w") as packed:
        packed.writestr("other.csv", "")
    with pytest.raises(PaperError, match=r"train_v2\.csv\.zip: holds no train_v2\.csv.*unpack"):
        planet.read(place, 32, progress=False, cache=False)


def test_a_zip_with_the_separators_of_windows(tmp_path, plain):
    place = chipmaker.folder(tmp_path / "other", chipmaker.chips(4), kind="zip", prefix="x\\")
    with zipfile.ZipFile(place / "train-jpg.zip") as packed:
        assert all("\\" in name for name in packed.namelist())
    same(place, plain)


def test_a_tar_with_hard_links(tmp_path, plain):
    """GNU tar writes the second name of a file as a link to the first."""
    chips = chipmaker.chips(4)
    chips["train_3"] = chips["train_1"]
    twice = chipmaker.folder(tmp_path / "twice", chips)
    place = chipmaker.folder(tmp_path / "other", chips, kind="tar")
    (place / "train-jpg.tar").unlink()
    with tarfile.open(place / "train-jpg.tar", "w") as packed:
        for name in list(chips)[:3]:
            packed.add(twice / "train-jpg" / f"{name}.jpg", f"train-jpg/{name}.jpg")
        info = tarfile.TarInfo("train-jpg/train_3.jpg")
        info.type, info.linkname = tarfile.LNKTYPE, "train-jpg/train_1.jpg"
        packed.addfile(info)
    same(place, twice)


def test_what_only_kaggle_packs_is_named_with_the_cure(tmp_path, plain):
    place = shutil.copytree(plain, tmp_path / "other")
    shutil.rmtree(place / "train-jpg")
    (place / "train-jpg.tar.7z").write_bytes(b"7z")
    with pytest.raises(PaperError, match=r"unpack train-jpg\.tar\.7z first"):
        planet.read(place, 32, progress=False, cache=False)
