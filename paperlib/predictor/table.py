"""A CSV of the labels of many image files, and beside it maps of those that are scenes."""

from __future__ import annotations

import csv
import io
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..utils import files
from ..utils.errors import PaperError
from . import maps, scene
from .model import Predictor


@dataclass
class Report:
    """What `write_csv` did.

    Attributes
    ----------
    labelled : int
        Rows of the CSV.
    failed : list of str
        One line for each file that could not be read.
    left_out : list of str
        One line for each scene with chips that hold no data.
    maps : list of Path
        The files beside the CSV.
    """

    labelled: int = 0
    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    maps: list[Path] = field(default_factory=list)


def write_csv(
    path: str | Path,
    model: Predictor,
    images: Mapping[str, Path],
    *,
    views: int | None = None,
    workers: int | None = None,
    chip: int = scene.CHIP,
    raster: bool = False,
    progress: bool = True,
) -> Report:
    """Label the images of `find_images` into a CSV, and scenes into maps beside it.

    Parameters
    ----------
    path : str or Path
        The CSV. Columns: `image_name`, `tags` (separated by spaces), then a probability for each
        tag. A scene has a row for each chip, `scene_row_column`.
    model : Predictor
    images : mapping of str to Path
        Georeferenced TIFFs of two chips or more on a side are scenes: see `scene.chips`.
    views : int, optional
        Symmetries averaged; by default what the card says.
    workers : int, optional
        Threads that read files.
    chip : int
        The side in pixels of the chips that scenes are cut into.
    raster : bool
        Write each scene as a GeoTIFF of probabilities, `<csv>_<scene>.tif`, instead of one
        GeoPackage, `<csv>.gpkg`, with a layer for each scene.
    progress : bool
        Show a bar.

    Returns
    -------
    Report
    """
    from tqdm.auto import tqdm

    path = Path(path)
    scenes = {name: file for name, file in images.items() if scene.is_scene(file, chip)}
    plain = {name: file for name, file in images.items() if name not in scenes}
    report, layers = Report(), []
    with results(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_name", "tags", *model.tags])

        def row(name: str, labels: list[str], probability: Any) -> None:
            writer.writerow([name, " ".join(labels), *(f"{p:.4f}" for p in probability)])
            report.labelled += 1

        with tqdm(total=len(plain), unit="chip", disable=not progress) as bar:
            found = model.predict_files(plain.values(), views=views, workers=workers)
            for name, result in zip(plain, found, strict=True):
                bar.update()
                if result.probability is None:
                    report.failed.append(result.error)
                else:
                    row(name, result.labels, result.probability)
            for name, source in scenes.items():
                try:
                    place = scene.look(source, chip)
                    bar.total += len(place)
                    labelled = list(_watched(scene.chips(model, place, views=views), bar))
                except PaperError as error:
                    report.failed.append(str(error))
                    continue
                bar.update(place.empty)
                for one in labelled:
                    row(maps.chip_name(name, one), one.labels, one.probability)
                if place.empty:
                    why = f"{place.empty} of {len(place)} chips hold no data, and are left out"
                    report.left_out.append(f"{source}: {why}")
                layers.append((name, place, labelled))
    if layers:
        report.maps = _write_maps(path, model, layers, raster)
    return report


def _watched(chips: Iterator[scene.Chip], bar) -> Iterator[scene.Chip]:
    for chip in chips:
        bar.update()
        yield chip


def _write_maps(path: Path, model: Predictor, layers: list, raster: bool) -> list[Path]:
    if not raster:
        target = path.with_suffix(".gpkg")
        maps.write_geopackage(target, model.tags, layers)
        return [target]
    written = []
    for name, place, labelled in layers:
        stem = name.replace("/", "_")
        written.append(path.with_name(f"{path.stem}_{stem}.tif"))
        maps.write_raster(written[-1], model.tags, place, labelled)
    return written


def check_results(path: str | Path) -> None:
    """`PaperError` where a file of results cannot be written, before anything is computed."""
    with results(path, keep=False):
        pass


@contextmanager
def results(path: str | Path, *, keep: bool = True) -> Iterator[IO[str]]:
    """A text file that appears under its name when the block ends well.

    A device, pipe or link is written to as it is. Where the file cannot be put in place at the end,
    the error names where its lines are.

    keep  False: only try whether it could be written
    """
    path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    name = files.shown(path)
    if os.path.isdir(path):  # without an error for a name too long
        raise PaperError(f"{name}: is a folder", "name a CSV file, as labels.csv")
    if os.path.exists(path) and not os.path.isfile(path):
        if not keep:
            yield io.StringIO()
            return
        with open(path, "w", newline="", encoding="utf-8") as file:
            yield file
        return
    partial = path.with_name(f"{path.stem[:100]}.{uuid.uuid4().hex[:8]}.partial{path.suffix[:50]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.exists()  # a name too long is only found here
        file = open(partial, "w", newline="", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PaperError(f"{name}: cannot be written ({why})", "give another --out") from None
    done = False
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        done = True
    finally:
        if not (done and keep):
            partial.unlink(missing_ok=True)
    if not keep:
        return
    try:
        os.replace(partial, path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PaperError(
            f"{name}: cannot be written ({why})", f"the results are in {files.shown(partial)}"
        ) from None
