"""A georeferenced image of any size, cut into chips by windows and labelled in bounded memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..utils import files
from ..utils.errors import PaperError
from .model import Predictor

if TYPE_CHECKING:
    import rasterio

CHIP = 256  # pixels: the side of the chips that the released network learned from
GROUP = 128  # chips read before they are predicted
CACHE = 96 << 20  # bytes of decoded blocks that GDAL keeps; its own default grows with the machine
LEAST = 0.5  # of a chip's pixels must hold data, and of its side lie in the scene


class Chip(NamedTuple):
    """One labelled chip of a scene.

    row, column : its place in the grid of chips, from the upper left
    box : top, bottom, left, right in pixels of the scene
    probability : (L,) after recalibration
    """

    row: int
    column: int
    box: tuple[int, int, int, int]
    probability: np.ndarray
    labels: list[str]


@dataclass
class Scene:
    """A scene's georeference, its grid of chips, and how many chips were left out.

    Attributes
    ----------
    path : Path
    crs : rasterio.crs.CRS or None
    transform : affine.Affine
        Column and row in pixels -> coordinates.
    rows, columns : list of (int, int)
        Where each row of the grid begins and ends, and each column, in pixels.
    empty : int
        Chips without data, counted while `chips` goes through them.
    """

    path: Path
    crs: rasterio.crs.CRS | None
    transform: rasterio.Affine
    rows: list[tuple[int, int]]
    columns: list[tuple[int, int]]
    empty: int = field(default=0)

    def corners(self, box: tuple[int, int, int, int]) -> list[tuple[float, float]]:
        """The four corners of a chip in the scene's coordinates, clockwise from the upper left."""
        top, bottom, left, right = box
        a, b, c, d, e, f = self.transform[:6]
        pixels = ((left, top), (right, top), (right, bottom), (left, bottom))
        return [(a * x + b * y + c, d * x + e * y + f) for x, y in pixels]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)


def is_scene(path: Path, chip: int = CHIP) -> bool:
    """Whether a file is cut into chips: a georeferenced TIFF of two chips or more on a side."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        with _open(path) as source:
            placed = source.crs is not None or not source.transform.is_identity
            return placed and max(source.height, source.width) >= 2 * chip
    except PaperError:
        return False  # the reader of images says what is wrong


def look(path: Path, chip: int = CHIP) -> Scene:
    """The scene's grid: chips of `chip` pixels from the upper left corner on.

    What is left at the right and lower border is a chip, too, where it is half a chip or wider.

    Raises
    ------
    PaperError
        For bands that are not three or more of 8 bits.
    """
    with _open(path) as source:
        if set(source.dtypes) != {"uint8"} or source.count < 3:
            kinds = ", ".join(sorted(set(source.dtypes)))
            raise PaperError(
                f"{path}: {source.count} band(s) of {kinds}",
                "three bands of 8 bits: red, green, blue (gdal_translate -ot Byte -scale)",
            )
        return Scene(
            path,
            source.crs,
            source.transform,
            _steps(source.height, chip),
            _steps(source.width, chip),
        )


def chips(
    model: Predictor,
    scene: Scene,
    *,
    views: int | None = None,
    thresholds: str = "chips",
    rows: range | None = None,
) -> Iterator[Chip]:
    """Every chip of a scene with data, labelled, row by row.

    Parameters
    ----------
    model : Predictor
    scene : Scene
        Of `look`; its `empty` counts the chips that are left out because less than half of their
        pixels hold data.
    views, thresholds
        As of `Predictor.predict`.
    rows : range, optional
        The rows of the grid that are gone through; by default all.

    Yields
    ------
    Chip
    """
    import rasterio

    places: list[tuple[int, int, tuple[int, int, int, int]]] = []
    fitted: list[np.ndarray] = []
    how = {"views": views, "thresholds": thresholds}
    with rasterio.Env(GDAL_CACHEMAX=CACHE), _open(scene.path) as source:
        bands = _colours(source)
        for row in range(len(scene.rows)) if rows is None else rows:
            top, bottom = scene.rows[row]
            for column, (left, right) in enumerate(scene.columns):
                box = (top, bottom, left, right)
                pixels = _read(source, bands, box)
                if pixels is None:
                    scene.empty += 1
                    continue
                places.append((row, column, box))
                fitted.append(model.fit(pixels))
                if len(fitted) == GROUP:
                    yield from _labelled(model, places, fitted, how)
                    places, fitted = [], []
    if fitted:
        yield from _labelled(model, places, fitted, how)


def _labelled(model: Predictor, places: list, fitted: list, how: dict) -> Iterator[Chip]:
    found = model.predict(np.stack(fitted), **how)
    for place, probability, labels in zip(places, found.probability, found.labels, strict=True):
        yield Chip(*place, probability, labels)


def _open(path: Path):
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            return rasterio.open(path)
        except RasterioError as error:
            raise PaperError(f"{path}: cannot be read ({error})", "give a GeoTIFF") from error
        except UnicodeEncodeError:
            raise PaperError(f"{files.shown(path)}: the name is not UTF-8", "rename it") from None


def _colours(source) -> list[int]:
    """The numbers of the bands red, green, blue: as the file says, else the first three."""
    from rasterio.enums import ColorInterp

    kinds = source.colorinterp
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    return [kinds.index(k) + 1 for k in rgb] if all(k in kinds for k in rgb) else [1, 2, 3]


def _read(source, bands: list[int], box: tuple[int, int, int, int]) -> np.ndarray | None:
    """`(h, w, 3)` uint8; None where less than half of it is data."""
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    top, bottom, left, right = box
    window = Window(left, top, right - left, bottom - top)
    try:
        if (source.dataset_mask(window=window) > 0).mean() < LEAST:
            return None
        return np.ascontiguousarray(np.moveaxis(source.read(bands, window=window), 0, -1))
    except RasterioError as error:
        raise PaperError(
            f"{source.name}: cannot be read to its end ({error.__cause__ or error})"
        ) from error


def _steps(length: int, chip: int) -> list[tuple[int, int]]:
    starts = range(0, length, chip)
    found = [(start, min(start + chip, length)) for start in starts]
    return [step for step in found if step[1] - step[0] >= LEAST * chip] or found[:1]
