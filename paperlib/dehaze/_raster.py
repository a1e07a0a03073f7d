"""Image files for `dehaze_scene`: what is in them, windows of their pixels, and a copy with others.

GeoTIFF, PNG and JPEG, all through rasterio (GDAL), so that georeference, bands, no-data and masks
mean the same for each.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from ..utils import files
from ..utils.errors import PaperError
from .arguments import SCALE

DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
CACHE = 96 << 20  # bytes of decoded blocks that GDAL keeps; its own default grows with the machine
CHUNK = 16 << 20  # bytes written at a time
LOSSY = ("jpeg", "ycbcr jpeg", "webp", "jxl", "lerc")


@dataclass(frozen=True)
class Raster:
    """What a worker must know of an image file to read its windows."""

    path: str
    height: int
    width: int
    dtype: str
    bands: int
    colours: tuple[int, ...]  # 1-based band numbers of red, green, blue, or of grey
    alpha: int  # 1-based, 0 for none
    nodata: float | None

    @property
    def pixel_bytes(self) -> int:
        return self.bands * np.dtype(self.dtype).itemsize


def open_raster(path: str | Path):
    """The file opened by rasterio; a `PaperError` names it where that fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            return rasterio.open(path)
        except RasterioError as error:
            raise PaperError(f"{path}: cannot be read as an image ({_line(error)})") from error


def describe(path: str | Path) -> Raster:
    """Look at a file's bands; `PaperError` for what cannot be dehazed."""
    path = Path(path)
    if not path.is_file():
        raise PaperError(f"{path}: no such file")
    with open_raster(path) as source:
        kinds, dtypes = source.colorinterp, set(source.dtypes)
        if ColorInterp.palette in kinds:
            raise PaperError(f"{path}: has a colour table", "convert it to RGB first")
        if len(dtypes) > 1 or np.dtype(source.dtypes[0]) not in SCALE:
            raise PaperError(
                f"{path}: bands of type {', '.join(sorted(dtypes))}",
                "all bands uint8, uint16, float32 or float64",
            )
        alpha = kinds.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in kinds else 0
        rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        if all(kind in kinds for kind in rgb):
            colours = tuple(kinds.index(kind) + 1 for kind in rgb)
        else:
            rest = [band for band in source.indexes if band != alpha]
            if len(rest) == 2:
                raise PaperError(f"{path}: two bands", "grey, RGB, or more bands with RGB first")
            colours = tuple(rest[:3])
        return Raster(
            str(path.resolve()), source.height, source.width, source.dtypes[0], source.count,
            colours, alpha, source.nodata,
        )  # fmt: skip


def check_target(source: Raster, target: Path) -> None:
    """`PaperError` where the target's format cannot hold the source."""
    driver = DRIVERS.get(target.suffix.lower())
    if driver is None:
        raise PaperError(f"{target}: unknown suffix", f"one of {', '.join(DRIVERS)}")
    if target.resolve() == Path(source.path):
        raise PaperError(f"{target}: source and target are the same file", "give another target")
    if driver == "PNG" and (source.dtype not in ("uint8", "uint16") or source.bands > 4):
        raise PaperError(
            f"{target}: PNG cannot hold {source.bands} bands of {source.dtype}", "write a .tif"
        )
    if driver == "JPEG" and (source.dtype != "uint8" or source.bands not in (1, 3)):
        raise PaperError(
            f"{target}: JPEG cannot hold {source.bands} bands of {source.dtype}", "write a .tif"
        )


def read(
    raster: Raster, handle, window: Window
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """All bands `(h, w, B)`, the colours `(h, w, 1 or 3)`, and the valid pixels (None: all)."""
    try:
        bands = np.ascontiguousarray(np.moveaxis(handle.read(window=window), 0, -1))
        masks = handle.read_masks(indexes=list(raster.colours), window=window)
    except RasterioError as error:
        raise PaperError(f"{raster.path}: cannot be read to its end ({_line(error)})") from error
    first = raster.colours[0] - 1
    if raster.colours == tuple(range(first + 1, first + 1 + len(raster.colours))):
        colours = bands[..., first : first + len(raster.colours)]
    else:
        colours = bands[..., [band - 1 for band in raster.colours]]
    valid = (masks != 0).any(axis=0)
    if raster.alpha:
        valid &= bands[..., raster.alpha - 1] > 0
    if colours.dtype.kind == "f":
        valid &= np.isfinite(colours).all(axis=2)
        inside = colours[valid]
        if inside.size and (inside.min() < 0 or inside.max() > 1):
            raise PaperError(
                f"{raster.path}: values {inside.min():g}…{inside.max():g}, expected 0…1",
                "scale the bands, or name the no-data value in the file",
            )
    return bands, colours, None if valid.all() else valid


def insert(
    raster: Raster, bands: np.ndarray, clear: np.ndarray, valid: np.ndarray | None
) -> np.ndarray:
    """`bands` with the colours replaced by `clear`; a valid pixel does not turn into no-data."""
    value = raster.nodata
    if value is not None and clear.dtype.kind == "u" and value == int(value):
        black = (clear == value).all(axis=2)
        if valid is not None:
            black &= valid
        clear[black] = value + 1 if value < SCALE[clear.dtype] else value - 1
    for channel, band in enumerate(raster.colours):
        bands[..., band - 1] = clear[..., channel]
    return bands


def write_like(
    raster: Raster, target: Path, rows: Callable[[int, int, int, int], np.ndarray]
) -> None:
    """Write `target` with the source's georeference, bands, no-data and tags, and other pixels.

    rows  (top, bottom, left, right) -> `(h, w, B)`, asked for block by block
    """
    driver = DRIVERS[target.suffix.lower()]
    with open_raster(raster.path) as source, files.replacing(target) as partial:
        profile = source.profile
        lossy = str(profile.get("compress", "")).lower() in LOSSY
        if profile["driver"] != "GTiff" or lossy:
            profile.update(compress="deflate", tiled=False)
            profile.pop("photometric", None)
            profile.pop("blockxsize", None)
            profile.pop("blockysize", None)
        profile.update(driver="GTiff", BIGTIFF="IF_SAFER")
        first = partial if driver == "GTiff" else partial.with_suffix(".tif")
        beside = Path(f"{partial}.aux.xml")  # GDAL's place for what the format itself cannot hold
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                _write(raster, source, first, profile, rows)
                if first != partial:
                    options = {"QUALITY": 95} if driver == "JPEG" else {}
                    copy_raster(first, partial, driver=driver, **options)
                    placed = source.crs or source.gcps[0] or not source.transform.is_identity
                    if beside.is_file() and (placed or source.nodata is not None):
                        beside.replace(f"{target}.aux.xml")
        except RasterioError as error:
            raise PaperError(f"{target}: cannot be written ({_line(error)})") from error
        finally:
            beside.unlink(missing_ok=True)
            if first != partial:
                first.unlink(missing_ok=True)


def _write(raster: Raster, source, path: Path, profile: dict, rows) -> None:
    with rasterio.open(path, "w", **profile) as target:
        target.colorinterp = source.colorinterp
        target.update_tags(**source.tags())
        for band in source.indexes:
            target.update_tags(band, **source.tags(band))
            if source.descriptions[band - 1]:
                target.set_band_description(band, source.descriptions[band - 1])
        if source.gcps[0]:
            target.gcps = source.gcps
        own_mask = rasterio.enums.MaskFlags.per_dataset in source.mask_flag_enums[0]
        own_mask = own_mask and not raster.alpha
        high, wide = target.block_shapes[0]
        # whole blocks at a time: a compressed block that is written twice takes room twice
        across = raster.width if wide >= raster.width else wide
        across *= max(1, CHUNK // (across * high * raster.pixel_bytes))
        down = high * max(1, CHUNK // (min(across, raster.width) * high * raster.pixel_bytes))
        for top in range(0, raster.height, down):
            bottom = min(raster.height, top + down)
            for left in range(0, raster.width, across):
                right = min(raster.width, left + across)
                window = Window(left, top, right - left, bottom - top)
                target.write(np.moveaxis(rows(top, bottom, left, right), -1, 0), window=window)
                if own_mask:
                    target.write_mask(source.dataset_mask(window=window), window=window)


def _line(error: Exception) -> str:
    return " ".join(str(error.__cause__ or error).split())
