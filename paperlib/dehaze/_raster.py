"""Image files for `dehaze_scene`: what is in them, and windows of their pixels as they are meant.

GeoTIFF, PNG and JPEG, all through rasterio (GDAL), so that georeference, bands, no-data and masks
mean the same for each. `describe` looks at a file before any work begins: it says what has to be
done to its pixels (`_unpack`), and refuses what cannot be read as colours.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from ..utils.errors import PaperError
from ..utils.files import shown
from ._headers import orientation
from .arguments import SCALE

DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
CACHE = 96 << 20  # bytes of decoded blocks that GDAL keeps; its own default grows with the machine
BLOCK = 8 << 20  # bytes of a block above which a TIFF is unpacked first, forward
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
#: Types of pixels that are read and written -> GDAL's names.
NAMES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "float32": "Float32", "float64": "Float64",
}  # fmt: skip
NO_COLOURS = {  # colour models that no dehazing of red, green and blue can be made of
    ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black,
    ColorInterp.hue, ColorInterp.saturation, ColorInterp.lightness,
    ColorInterp.Y, ColorInterp.Cb, ColorInterp.Cr,
}  # fmt: skip


@dataclass(frozen=True)
class Raster:
    """What a worker must know of an image file to read its windows, as they will be written.

    name      what rasterio opens: `path`, or one page of it
    colours   1-based band numbers of red, green, blue, or of grey; alpha: 1-based, 0 for none
    nodata    for each colour, None where there is no such value
    together  the no-data colour, where only all bands together mean no-data (`NODATA_VALUES`)
    mask      whether the file has a mask of its own
    limits    values that count as 0 and 1; None: those of the dtype
    bits      per value, where fewer than the dtype has
    change    what is done to the pixels when unpacked: "", "bits", "palette" or "opaque"
    turn      the EXIF orientation that is undone when unpacked
    unpack    whether the pixels are read once, forward, into `_unpack.PIXELS` of this folder
    """

    path: str
    name: str
    height: int
    width: int
    dtype: str
    bands: int
    colours: tuple[int, ...]
    alpha: int
    nodata: tuple[float | None, ...]
    together: tuple[float, ...] | None = None
    mask: bool = False
    limits: tuple[float, float] | None = None
    bits: int = 0
    change: str = ""
    turn: int = 1
    unpack: str = ""

    @property
    def pixel_bytes(self) -> int:
        return self.bands * np.dtype(self.dtype).itemsize

    @property
    def masked(self) -> bool:
        """Whether some pixels may not count."""
        return bool(self.mask or self.alpha or any(value is not None for value in self.nodata))

    @property
    def working(self) -> str:
        """The dtype that is worked in."""
        if self.limits is None:
            return self.dtype
        return "float64" if self.dtype == "float64" else "float32"


def open_raster(path: str | Path):
    """The file opened by rasterio; a `PaperError` names it where that fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            return rasterio.open(path)
        except UnicodeEncodeError:
            raise PaperError(f"{shown(path)}: the name is not UTF-8", "rename it") from None
        except RasterioError as error:
            raise PaperError(f"{path}: cannot be read as an image ({line(error)})") from error


def pages(path: Path) -> list[str]:
    """What rasterio has to open for each page of a file."""
    if not path.is_file():
        raise PaperError(f"{shown(path)}: no such file")
    with open_raster(path) as source:
        inner = source.subdatasets
        if source.driver == "GTiff" and len(inner) > 1:
            return list(inner)
        if not source.count:
            raise PaperError(
                f"{path}: holds {len(inner)} data sets and no image of its own",
                "write the one you mean as GeoTIFF first (gdal_translate)",
            )
    return [str(path.resolve())]


def describe(
    path: str | Path,
    bands: Sequence[int] | None = None,
    limits: tuple[float, float] | None = None,
    *,
    page: str = "",
) -> Raster:
    """Look at a file's bands; `PaperError` for what cannot be dehazed.

    bands   1-based numbers of red, green and blue (or of one grey); None: as the file says
    limits  the values that count as black and white; None: as the file says
    """
    path = Path(path)
    page = page or pages(path)[0]
    with open_raster(page) as source:
        kinds = list(source.colorinterp)
        dtype = source.dtypes[0]
        structure = {**source.tags(ns="IMAGE_STRUCTURE"), **source.tags(1, ns="IMAGE_STRUCTURE")}
        bits = int(structure.get("NBITS", 0))
        bits = 0 if dtype[0] != "u" or bits >= np.dtype(dtype).itemsize * 8 else bits
        if len(set(source.dtypes)) > 1:
            raise PaperError(
                f"{path}: bands of types {', '.join(sorted(set(source.dtypes)))}",
                "write all bands as one type (gdal_translate -ot)",
            )
        if source.count == 1 and np.dtype(dtype).kind == "c":
            raise PaperError(f"{path}: complex values", "give an image of red, green and blue")
        if dtype not in NAMES:
            raise PaperError(f"{path}: {dtype} is not dehazed", "gdal_translate -ot Float32 first")
        odd = [kind for kind in kinds if kind in NO_COLOURS]
        if odd and not bands:
            raise PaperError(
                f"{path}: {', '.join(kind.name for kind in odd)} bands of {dtype}",
                "convert it to RGB first",
            )
        change, count = "", source.count
        nodata: tuple[float | None, ...] = source.nodatavals
        if ColorInterp.palette in kinds:
            if count > 1 or dtype != "uint8":
                raise PaperError(f"{path}: has a colour table", "gdal_translate -expand rgb FILE")
            change = "palette"
            table = palette_of(source)
            kinds = [ColorInterp.gray] if table.shape[1] == 1 else list(RGB)
            kinds = kinds if table.shape[1] < 4 else [*RGB, ColorInterp.alpha]
            count = len(kinds)
            nodata, bits = (None,) * count, 0
        elif source.count == 4 and structure.get("SOURCE_COLOR_SPACE"):
            change, count, kinds, nodata = "opaque", 3, kinds[:3], nodata[:3]
        elif dtype == "uint8" and 0 < bits < 8:
            change, bits = "bits", 0
            high = 2 ** int(structure["NBITS"]) - 1
            nodata = tuple(v if v is None else round(v * 255 / high) for v in nodata)
        alpha = kinds.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in kinds else 0
        colours = _colours(path, kinds, count, alpha, bands)
        flags = source.mask_flag_enums[0 if change else colours[0] - 1]
        values = source.tags().get("NODATA_VALUES", "").split()
        together = None
        if MaskFlags.per_dataset in flags and len(values) == count:
            together = tuple(float(values[band - 1]) for band in colours)
        mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        in_band = MaskFlags.nodata in flags and together is None
        turn = 1
        if source.crs is None and not source.gcps[0] and source.transform.is_identity:
            turn = orientation(path)
        across, down = source.width, source.height
        if turn > 4:
            across, down = down, across
        limits = limits or _own_limits(source, colours, dtype, bits, change)
        if np.dtype(dtype) not in SCALE and limits is None:
            raise PaperError(
                f"{path}: {count} bands of {dtype}",
                "name the values of black and white, as --range 0 10000",
            )
        high, wide = source.block_shapes[0]
        forward = source.driver != "GTiff" and high < source.height
        forward |= source.driver == "GTiff" and high * wide * source.count > BLOCK
        return Raster(
            str(path.resolve()), page, down, across, dtype, count, colours, alpha,
            tuple(_usable(nodata[band - 1], dtype) if in_band else None for band in colours),
            together, mask, limits, bits, change, turn,
            "yes" if change or turn > 1 or forward else "",
        )  # fmt: skip


def _colours(path, kinds, count: int, alpha: int, bands) -> tuple[int, ...]:
    if bands:
        if len(bands) not in (1, 3) or min(bands) < 1 or max(bands) > count or alpha in bands:
            raise PaperError(
                f"{path}: bands {','.join(map(str, bands))} of {count}",
                "name red, green and blue, as --bands 3,2,1",
            )
        return tuple(bands)
    if all(kind in kinds for kind in RGB):
        return tuple(kinds.index(kind) + 1 for kind in RGB)
    rest = [band for band in range(1, count + 1) if band != alpha]
    if len(rest) == 2:
        raise PaperError(f"{path}: two bands", "grey, RGB, or more bands with RGB first")
    return tuple(rest[:3])


def _own_limits(source, colours, dtype: str, bits: int, change: str) -> tuple[float, float] | None:
    """The values that the file itself says are 0 and 1: by its scale, or by its depth."""
    scale, offset = source.scales[colours[0] - 1], source.offsets[colours[0] - 1]
    if not change and (scale, offset) != (1.0, 0.0) and scale > 0 and math.isfinite(offset):
        return -offset / scale, (1 - offset) / scale
    if dtype in ("uint16", "uint32") and 0 < bits < np.dtype(dtype).itemsize * 8:
        return 0.0, 2.0**bits - 1
    return None


def _usable(value: float | None, dtype: str) -> float | None:
    """A no-data value as the dtype holds it; None where it cannot."""
    if value is None or (np.dtype(dtype).kind == "f"):
        return None if value is None else float(np.array(value).astype(dtype))
    if not math.isfinite(value) or value != int(value):
        return None
    limits = np.iinfo(dtype)
    return value if limits.min <= value <= limits.max else None


def palette_of(source) -> np.ndarray:
    """`(256, 1, 3 or 4)` uint8: the colours of a colour table; grey where all its colours are."""
    table = np.zeros((256, 4), np.uint8)
    for value, colour in source.colormap(1).items():
        if value < 256:
            table[value] = colour
    used = table[: max(source.colormap(1)) + 1]
    if (used[:, 3] < 255).any():
        return table
    grey = (used[:, :1] == used[:, :3]).all()
    return table[:, :1] if grey else table[:, :3]


def check_target(source: Raster, target: Path) -> None:
    """`PaperError` where the target's format cannot hold the source."""
    driver = DRIVERS.get(target.suffix.lower())
    if driver is None:
        raise PaperError(f"{shown(target)}: unknown suffix", f"one of {', '.join(DRIVERS)}")
    if target.exists() and target.samefile(source.path):
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
    """All bands `(h, w, B)`, the colours `(h, w, 1 or 3)` as they are worked on, and the valid
    pixels (None: all).

    A pixel counts if any of its colours has data; one that is missing with a value that no pixel
    can have (-9999, NaN) leaves nothing to work with, and the pixel does not count.
    """
    bands, own = handle.read(window) if raster.unpack else read_file(raster, handle, window)
    first = raster.colours[0] - 1
    if raster.colours == tuple(range(first + 1, first + 1 + len(raster.colours))):
        colours = bands[..., first : first + len(raster.colours)]
    else:
        colours = bands[..., [band - 1 for band in raster.colours]]
    valid = None if own is None else own > 0
    if raster.alpha:
        valid = _and(valid, bands[..., raster.alpha - 1] > 0)
    missing = None
    if any(value is not None for value in raster.nodata):
        missing = np.stack([_equals(colours[..., c], v) for c, v in enumerate(raster.nodata)], -1)
        valid = _and(valid, ~missing.all(axis=2))
    possible = None
    if raster.limits is not None:
        low, high = raster.limits
        with np.errstate(invalid="ignore", over="ignore"):
            colours = (colours.astype(raster.working) - low) / (high - low)
        colours = colours.astype(raster.working, copy=False)
    if colours.dtype.kind == "f":
        possible = np.isfinite(colours)
        valid = _and(valid, possible.all(axis=2))
        if missing is not None:
            with np.errstate(invalid="ignore"):
                valid &= ~(missing & ~((colours >= 0) & (colours <= 1))).any(axis=2)
        if raster.limits is not None:
            colours = np.clip(np.where(possible, colours, 0), 0, 1)
        inside = colours[valid]
        if inside.size and (inside.min() < 0 or inside.max() > 1):
            raise PaperError(
                f"{raster.path}: values {inside.min():g}…{inside.max():g}, expected 0…1",
                "name the values of black and white, as --range 0 1; or the no-data value in the "
                "file",
            )
    return bands, colours, None if valid is None or valid.all() else valid


def read_file(raster: Raster, handle, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """All bands of a window as the file has them, and its own mask (None: it has none)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NodataShadowWarning)
            shape = (window.height, window.width, handle.count)
            bands = np.empty(shape, handle.dtypes[0])
            handle.read(window=window, out=np.moveaxis(bands, -1, 0))
            mask = handle.read_masks(1, window=window) if raster.mask else None
    except RasterioError as error:
        raise PaperError(f"{raster.path}: cannot be read to its end ({line(error)})") from error
    return bands, mask


def _and(valid: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    return more if valid is None else valid & more


def _equals(plane: np.ndarray, value: float | None) -> np.ndarray:
    """Where a plane holds a no-data value, as closely as GDAL compares floats."""
    if value is None:
        return np.zeros(plane.shape, bool)
    if math.isnan(value):
        return np.isnan(plane)
    if plane.dtype.kind == "f" and math.isfinite(value):
        near = 4 * np.finfo(plane.dtype).eps * abs(value)
        with np.errstate(invalid="ignore"):
            return (plane == value) | (np.abs(plane - plane.dtype.type(value)) <= near)
    return plane == value


def insert(
    raster: Raster, bands: np.ndarray, clear: np.ndarray, valid: np.ndarray | None
) -> np.ndarray:
    """`bands` with the colours replaced by `clear`, in the file's own values.

    Where a band had data it has data afterwards, and where it had none it has none.
    """
    dtype = bands.dtype
    if raster.limits is not None:
        low, high = raster.limits
        clear = low + clear.astype(np.float64) * (high - low)
        if dtype.kind in "ui":
            clear = np.clip(np.rint(clear), np.iinfo(dtype).min, np.iinfo(dtype).max)
        clear = clear.astype(dtype)
    top = 2**raster.bits - 1 if raster.bits else SCALE.get(dtype, 0) or np.iinfo(dtype).max
    span = raster.limits[1] - raster.limits[0] if raster.limits else top
    for channel, band in enumerate(raster.colours):
        old, new = bands[..., band - 1], clear[..., channel].copy()
        value = raster.nodata[channel]
        if value is not None:
            before = _equals(old, value)
            after = _equals(new, value) & ~before
            if math.isfinite(value):
                step = 1 if dtype.kind in "ui" else max(1e-5 * span, 1e-6 * abs(value))
                new[after] = value + step if value + step <= top else value - step
            new[before] = old[before]
        if valid is not None:
            new[~valid] = old[~valid]
        bands[..., band - 1] = new
    if raster.together is not None:
        hit = np.ones(bands.shape[:2], bool) if valid is None else valid.copy()
        for band, value in zip(raster.colours, raster.together, strict=True):
            hit &= bands[..., band - 1] == value
        value = raster.together[0]
        bands[hit, raster.colours[0] - 1] = value + 1 if value < top else value - 1
    return bands


def line(error: Exception) -> str:
    return " ".join(str(error.__cause__ or error).split())
