"""A CSV of the labels of many image files, and beside it maps of those that are scenes."""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import sqlite3
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..utils import files
from ..utils.errors import PaperError
from . import maps, scene
from .cluster import cluster
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
    thresholds: str = "chips",
    workers: int | None = None,
    chip: int = scene.CHIP,
    raster: bool = False,
    scheduler: str | None = None,
    progress: bool = True,
) -> Report:
    """Label the images of `find_images` into a CSV, and scenes into maps beside it.

    Rows are saved as they come: where the same call was interrupted, it continues after the last of
    them, with scenes from their beginning.

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
    thresholds : str
        As of `Predictor.predict`: "labels" finds rare ones.
    workers : int, optional
        Threads that read files.
    chip : int
        The side in pixels of the chips that scenes are cut into.
    raster : bool
        Write each scene as a GeoTIFF of probabilities, `<csv>_<scene>.tif`, instead of one
        GeoPackage, `<csv>.gpkg`, with a layer for each scene.
    scheduler : str, optional
        Address of a Dask scheduler whose workers label; they need this package, and the files at
        the same paths.
    progress : bool
        Show a bar.

    Returns
    -------
    Report
    """
    from tqdm.auto import tqdm

    path = Path(path)
    scenes = {name: file for name, file in images.items() if scene.is_scene(file, chip)}
    places = _places(path, scenes, raster)
    _check_places(places, images, path, model.tags)
    plain = {name: file for name, file in images.items() if name not in scenes}
    report, layers = Report(), []
    header = ["image_name", "tags", *model.tags]
    with (
        results(path, _key(model, images, views, thresholds, chip)) as file,
        cluster(scheduler, model) if scheduler else nullcontext() as others,
    ):
        done = _rows(file, header, plain)
        report.labelled = len(done)
        plain = {name: image for name, image in plain.items() if name not in done}
        writer = csv.writer(file, lineterminator="\n")
        if not done:
            writer.writerow(header)

        def row(name: str, labels: list[str], probability: Any) -> None:
            writer.writerow([name, " ".join(labels), *(f"{p:.4f}" for p in probability)])
            report.labelled += 1

        how = {"views": views, "thresholds": thresholds}
        chips = others.chips if others else partial(scene.chips, model)
        total = len(done) + len(plain)
        with tqdm(initial=len(done), total=total, unit="chip", disable=not progress) as bar:
            found = (others or model).predict_files(plain.values(), **how, workers=workers)
            for name, result in zip(plain, found, strict=True):
                bar.update()
                if result.probability is None:
                    report.failed.append(result.error)
                else:
                    row(name, result.labels, result.probability)
                    file.flush()
            for name, source in scenes.items():
                try:
                    place = scene.look(source, chip)
                    bar.total += len(place)
                    labelled = list(_watched(chips(place, **how), bar))
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
    if layers and not places:
        report.left_out.append(f"{files.shown(path)}: is no file, so that no map lies beside it")
    elif layers:
        try:
            report.maps = _write_maps(places, model, layers, raster)
        except (OSError, sqlite3.Error) as error:
            why = f"the map cannot be written ({error}); the labels are in {files.shown(path)}"
            raise PaperError(why, "give another --out") from error
    return report


def _watched(chips: Iterator[scene.Chip], bar) -> Iterator[scene.Chip]:
    for chip in chips:
        bar.update()
        yield chip


def _places(path: Path, scenes: Iterable[str], raster: bool) -> dict[str, Path]:
    """Scene -> where its map is written; nowhere beside a device or pipe."""
    if path.exists() and not path.is_file():
        return {}
    if not raster:
        return dict.fromkeys(scenes, path.with_suffix(".gpkg"))
    return {
        name: path.with_name(f"{path.stem[:100]}_{name.replace('/', '_')[-100:]}.tif")
        for name in scenes
    }


def _check_places(
    places: Mapping[str, Path], images: Mapping[str, Path], path: Path, tags: Sequence[str]
) -> None:
    """`PaperError` where a map would be written over anything but a map of an earlier run."""
    inputs, taken = {file.resolve() for file in images.values()}, {}
    for name, place in places.items():
        if place.resolve() in {path.resolve(), *inputs}:
            raise PaperError(
                f"{files.shown(place)}: a map would be written over it", "give another --out"
            )
        if place.exists() and not maps.is_map(place, tags):
            raise PaperError(
                f"{files.shown(place)}: is no map of an earlier run",
                "move it, or give another --out: the map of the scene goes there",
            )
        first = taken.setdefault(str(place).casefold(), name)
        if place.suffix == ".tif" and first != name:
            raise PaperError(
                f"{files.shown(place)}: would be the map of {first} and of {name}",
                "label them one by one, or without --raster",
            )


def _write_maps(
    places: Mapping[str, Path], model: Predictor, layers: list, raster: bool
) -> list[Path]:
    if not raster:
        target = next(iter(places.values()))
        maps.write_geopackage(target, model.tags, layers)
        return [target]
    for name, place, labelled in layers:
        maps.write_raster(places[name], model.tags, place, labelled)
    return [places[name] for name, *_ in layers]


def check_results(path: str | Path) -> None:
    """`PaperError` where a file of results cannot be written, before anything is computed."""
    path, _ = _target(path)
    if not os.path.exists(path) or path.is_file():
        with _opened(_partial(path, uuid.uuid4().hex), path) as file:
            os.unlink(file.name)


@contextmanager
def results(path: str | Path, key: str) -> Iterator[IO[str]]:
    """A text file, open for reading and writing, that appears under its name when the block ends
    well, and until then holds what an interrupted block of the same `key` has written.

    A device, pipe or link is written to as it is. Where the file cannot be put in place at the end,
    the error names where its lines are.
    """
    path, name = _target(path)
    if os.path.exists(path) and not path.is_file():
        with open(path, "w", newline="", encoding="utf-8") as file:
            yield file
        return
    partial = _partial(path, key)
    with _opened(partial, path) as file:
        if not files.try_lock(file):
            raise PaperError(f"{name}: another run is writing it", "wait for it, or end it first")
        try:
            yield file
        finally:
            file.flush()
            if not os.fstat(file.fileno()).st_size:
                partial.unlink(missing_ok=True)
        os.fsync(file.fileno())
        try:
            os.replace(partial, path)
        except OSError as error:
            raise _unwritable(name, error, f"the results are in {files.shown(partial)}") from None
    before, _, after = _partial(path, "\0").name.partition("\0")
    for left in path.parent.glob(f"{glob.escape(before)}????????{glob.escape(after)}"):
        if not files.is_locked(left):  # of a run that was interrupted, of other images
            left.unlink(missing_ok=True)


def _target(path: str | Path) -> tuple[Path, str]:
    """The file that is meant, and its name in messages; `PaperError` for a folder."""
    if os.path.islink(path) and (os.path.isfile(path) or not os.path.exists(path)):
        path = os.path.realpath(path)  # not of /dev/stdout, which leads to a pipe without a name
    path = Path(path)
    if os.path.isdir(path):  # without an error for a name too long
        raise PaperError(f"{files.shown(path)}: is a folder", "name a CSV file, as labels.csv")
    return path, files.shown(path)


def _partial(path: Path, key: str) -> Path:
    return path.with_name(f"{path.stem[:100]}.{key[:8]}.partial{path.suffix[:50]}")


def _opened(partial: Path, path: Path) -> IO[str]:
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        path.exists()  # a name too long is only found here
        return open(partial, "a+", newline="", encoding="utf-8")
    except OSError as error:
        raise _unwritable(files.shown(path), error, "give another --out") from None


def _unwritable(name: str, error: OSError, cure: str) -> PaperError:
    return PaperError(f"{name}: cannot be written ({(error.strerror or str(error)).lower()})", cure)


def _key(model: Predictor, images: Mapping[str, Path], *how: object) -> str:
    """What the rows are made from: the model, the files as they are now, and the options."""
    stats = [(name, *_stat(file)) for name, file in images.items()]
    told = json.dumps([model.card, stats, how], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def _stat(file: Path) -> tuple[int, int]:
    try:
        return (found := os.stat(file)).st_size, found.st_mtime_ns
    except OSError:  # said when it is read
        return 0, 0


def _rows(file: IO[str], header: list[str], images: Container[str]) -> set[str]:
    """The images whose rows an interrupted run has saved; the rows of scenes are dropped."""
    if not file.readable():  # a device or pipe
        return set()
    file.seek(0)
    text = file.read()
    lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))  # the last may be cut
    rows = [row for row in lines[1:] if row[0] in images] if lines[:1] == [header] else []
    file.truncate(0)
    if rows:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return {row[0] for row in rows}
