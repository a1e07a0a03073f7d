"""`paper data fetch` against a stand-in for kagglehub's two functions."""

from __future__ import annotations

import errno
import hashlib
import tarfile
import zipfile
from pathlib import Path

import chipmaker
import kagglehub
import pytest
import requests
from kagglehub.exceptions import DataCorruptionError, KaggleApiHTTPError, UnauthenticatedError
from typer.testing import CliRunner

from paperlib.chips import download, planet
from paperlib.cli import app
from paperlib.utils import files
from paperlib.utils.errors import PaperError

COUNT = 6
CHIPS = {name: chipmaker.jpeg(chipmaker.pixels(i, 256)) for i, name in enumerate(
    f"train_{i}" for i in range(COUNT))}  # fmt: skip
TABLE = chipmaker.table(CHIPS)


class Kaggle:
    """Stands in for kagglehub: two folders on disk, or an exception for either."""

    def __init__(self, root: Path):
        self.competition = root / "competition"
        self.mirror = root / "mirror"
        for folder in (self.competition, self.mirror):
            folder.mkdir(parents=True)
        self.calls: list[tuple[str, bool]] = []
        self.errors: dict[str, BaseException] = {}

    def download(self, handle: str, *, force_download: bool = False) -> str:
        self.calls.append((handle, force_download))
        if handle in self.errors:
            raise self.errors[handle]
        return str(self.competition if handle == download.COMPETITION else self.mirror)


@pytest.fixture
def kaggle(tmp_path, monkeypatch, own_cache):
    """The competition with the label file zipped and no chips, and the mirror with the chips."""
    stand_in = Kaggle(tmp_path / "kaggle")
    with zipfile.ZipFile(stand_in.competition / "train_v2.csv.zip", "w") as packed:
        packed.writestr("train_v2.csv", TABLE)
    place = chipmaker.folder(stand_in.mirror / "planet" / "planet", CHIPS, text=TABLE)
    (place / "train_v2.csv").rename(place / "train_classes.csv")
    monkeypatch.setattr(kagglehub, "competition_download", stand_in.download)
    monkeypatch.setattr(kagglehub, "dataset_download", stand_in.download)
    monkeypatch.setattr(download, "TABLE_SHA256", hashlib.sha256(TABLE.encode()).hexdigest())
    monkeypatch.setattr(download, "ROWS", COUNT)
    return stand_in


def fails(target, *expected) -> str:
    """The one line, which must end in the steps to do it by hand, and leave nothing behind."""
    with pytest.raises(PaperError) as caught:
        download.fetch(target, progress=False)
    line = str(caught.value)
    assert "\n" not in line
    for word in (*expected, "by hand", "/rules", "planets-dataset", "paper data check"):
        assert word in line, line
    assert not (target / "train_v2.csv").exists()
    assert not list(target.glob("*.partial*")) if target.exists() else True
    return line


def test_pinned_and_published_facts():
    assert download.MIRROR == "nikitarom/planets-dataset/versions/3"
    assert download.ROWS == 40_479
    assert download.TABLE_SHA256.startswith("fc9e60abeaa6d4c2")
    assert len(download.TABLE_SHA256) == 64


def test_lays_out_what_the_loader_reads(kaggle, tmp_path):
    target = download.fetch(tmp_path / "data", progress=False)
    assert [handle for handle, _ in kaggle.calls] == [download.COMPETITION, download.MIRROR]
    assert sorted(path.name for path in target.iterdir()) == ["train-jpg.tar", "train_v2.csv"]
    chips = planet.read(target, 32, progress=False)
    direct = planet.read(kaggle.mirror, 32, progress=False, cache=False)
    assert chips.fingerprint == direct.fingerprint


def test_equal_downloads_give_equal_bytes(kaggle, tmp_path):
    one, two = (download.fetch(tmp_path / n, progress=False) / "train-jpg.tar" for n in "ab")
    assert files.sha256(one) == files.sha256(two)


def test_chips_from_the_competition_where_it_has_them(kaggle, tmp_path):
    chipmaker.folder(kaggle.competition, CHIPS, kind="zip", text=TABLE)
    download.fetch(tmp_path / "data", progress=False)
    assert [handle for handle, _ in kaggle.calls] == [download.COMPETITION]


def test_what_is_there_is_kept(kaggle, tmp_path):
    download.fetch(tmp_path / "data", progress=False)
    kaggle.calls.clear()
    before = (tmp_path / "data" / "train-jpg.tar").stat().st_mtime_ns
    download.fetch(tmp_path / "data", progress=False)
    assert kaggle.calls == []
    assert (tmp_path / "data" / "train-jpg.tar").stat().st_mtime_ns == before


def test_another_label_file_is_not_written_over(kaggle, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train_v2.csv").write_text("mine")
    with pytest.raises(PaperError, match=r"train_v2\.csv is there with other contents"):
        download.fetch(tmp_path / "data", progress=False)
    assert (tmp_path / "data" / "train_v2.csv").read_text() == "mine"
    assert kaggle.calls == []


def _refused(status: int) -> KaggleApiHTTPError:
    response = requests.Response()
    response.status_code = status
    return KaggleApiHTTPError(f"{status} Client Error.\n\nlong text", response=response)


FAILURES = {
    "no network": (requests.ConnectionError("Max retries exceeded\nwith url"), "cannot be reached"),
    "time out": (requests.Timeout("read"), "cannot be reached"),
    "no credentials": (UnauthenticatedError(), "no Kaggle credentials"),
    "rules not accepted": (_refused(403), "rules are not accepted"),
    "withdrawn": (_refused(404), "no longer has it"),
    "half a download": (DataCorruptionError("md5"), "damaged; try once more with --again"),
    "half an archive": (zipfile.BadZipFile("x"), "damaged; try once more with --again"),
    "disk full": (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
    "anything else": (RuntimeError("odd\nthing"), "RuntimeError: odd"),
}


@pytest.mark.parametrize("handle", [download.COMPETITION, download.MIRROR])
@pytest.mark.parametrize("kind", FAILURES)
def test_every_failure_ends_in_the_steps_by_hand(kaggle, tmp_path, kind, handle):
    error, said = FAILURES[kind]
    kaggle.errors[handle] = error
    fails(tmp_path / "data", handle, said)
    # what the licence holds back is not taken from the mirror instead
    assert kaggle.calls[-1][0] == handle


def test_an_interrupt_is_an_interrupt(kaggle, tmp_path):
    kaggle.errors[download.MIRROR] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        download.fetch(tmp_path / "data", progress=False)


def test_wrong_hash(kaggle, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TABLE_SHA256", "0" * 64)
    fails(tmp_path / "data", "train_v2.csv is not the published one")


def test_no_label_file(kaggle, tmp_path):
    (kaggle.competition / "train_v2.csv.zip").unlink()
    (kaggle.mirror / "planet" / "planet" / "train_classes.csv").unlink()
    fails(tmp_path / "data", "train_v2.csv did not come")


def test_label_file_of_the_mirror_will_do_when_it_is_the_same(kaggle, tmp_path):
    (kaggle.competition / "train_v2.csv.zip").write_bytes(b"broken")
    download.fetch(tmp_path / "data", progress=False)
    assert (tmp_path / "data" / "train_v2.csv").read_text() == TABLE


def test_wrong_number_of_rows(kaggle, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ROWS", COUNT + 1)
    fails(tmp_path / "data", "train_v2.csv has 6 rows, not 7")


def test_no_chips_anywhere(kaggle, tmp_path):
    for path in (kaggle.mirror / "planet" / "planet" / "train-jpg").iterdir():
        path.unlink()
    fails(tmp_path / "data", "holds no train-jpg")


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "did not come"), (b"", "is empty"), (CHIPS["train_2"][:-60], "is cut off"),
     (chipmaker.jpeg(chipmaker.pixels(1)), "is not 256×256 pixels")],
)  # fmt: skip
def test_half_a_download_that_looks_whole(kaggle, tmp_path, data, said):
    chip = kaggle.mirror / "planet" / "planet" / "train-jpg" / "train_2.jpg"
    chip.unlink() if data is None else chip.write_bytes(data)
    fails(tmp_path / "data", f"train_2 {said}", "1 of 6", "--again")
    assert not (tmp_path / "data" / "train-jpg.tar").exists()


def test_again_downloads_anew(kaggle, tmp_path):
    download.fetch(tmp_path / "data", again=True, progress=False)
    assert all(force for _, force in kaggle.calls)


def test_disk_full_while_packing(kaggle, tmp_path, monkeypatch):
    written = tarfile.TarFile.addfile

    def full(self, info, *args):
        if "train_3" in info.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(self, info, *args)

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    fails(tmp_path / "data", "the disk is full")
    assert not list((tmp_path / "data").iterdir())


def test_layout_that_lost_chips(kaggle, tmp_path):
    download.fetch(tmp_path / "data", progress=False)
    tar = tmp_path / "data" / "train-jpg.tar"
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    with pytest.raises(PaperError, match="lacks chips; delete it and fetch again"):
        download.fetch(tmp_path / "data", progress=False)


def test_command(kaggle, tmp_path):
    result = CliRunner().invoke(app, ["data", "fetch", str(tmp_path / "data")])
    assert result.exit_code == 0
    assert "complete" in result.stdout


def test_an_archive_that_nobody_named_is_not_written_over(tmp_path, kaggle):
    own = tmp_path / "d" / "train-jpg.tar"
    own.parent.mkdir()
    own.write_bytes(b"the user's own")
    with pytest.raises(PaperError, match=r"is there without train_v2\.csv"):
        download.fetch(tmp_path / "d", progress=False)
    assert own.read_bytes() == b"the user's own"
