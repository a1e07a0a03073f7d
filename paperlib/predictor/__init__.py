"""Chips in, labels out: the released model, at any image size, without the training code.

    model = predictor.load("planet32")
    found = model.predict(images)          # (N, H, W, 3) uint8, or a list of images of any sizes
    found.labels                           # [["clear", "primary"], …]

A release is a folder of two files: `network.onnx`, which ONNX Runtime predicts with, and
`card.json` (tags, thresholds, recalibration as plain numbers, and the model card). Neither Keras
nor TensorFlow is needed.

images    image files: which there are in folders, and how one is read
model     `Predictor`: arrays or files to probabilities and labels
release   a release's folder, read and written
scene     a GeoTIFF of any size, cut into chips by windows
table     a CSV of many files' labels, and maps of the scenes among them
maps      GeoPackage and GeoTIFF of a scene's labels
cluster   files and windows on the workers of a Dask cluster
"""

from .images import SUFFIXES, find_images, read_image
from .model import FileResult, Prediction, Predictor
from .release import RELEASED, load, names, save
from .table import Report, check_results, write_csv

__all__ = [
    "RELEASED",
    "SUFFIXES",
    "FileResult",
    "Prediction",
    "Predictor",
    "Report",
    "check_results",
    "find_images",
    "load",
    "names",
    "read_image",
    "save",
    "write_csv",
]
