"""UC Merced land use with 17 labels of its own: small, real, full-size pictures.

    DIR/LandUse_Multilabeled.txt    IMAGE\\LABEL and one column of 0 and 1 per label, tabs between
    DIR/images/CLASS/NAME.jpg       or .tif and Images/, as the makers hand them out; also a .tar
                                    or .zip of them

USGS aerial imagery (public domain), 21 classes of 100 by Yang & Newsam 2010; labels by Chaudhuri et
al. 2018 (doi:10.1109/TGRS.2017.2760909). A chip has 256×256 pixels of one foot; a few dozen are a
few pixels smaller or larger: these are filled up by mirroring at the right and lower edge, or cut
there, so that a pixel is a foot in every chip.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..utils.errors import PaperError
from . import Chips, jpeg
from .archive import BadChip
from .label_file import LabelTable, read_bytes
from .source import Source

TAGS = (
    "airplane",
    "bare-soil",
    "buildings",
    "cars",
    "chaparral",
    "court",
    "dock",
    "field",
    "grass",
    "mobile-home",
    "pavement",
    "sand",
    "sea",
    "ship",
    "tanks",
    "trees",
    "water",
)
WHOLE = 2_100  # chips of the whole set
SIDE = 256  # pixels
TOLERANCE = 16  # pixels by which a side may differ from that
TABLE = "LandUse_Multilabeled.txt"
SUFFIXES = ("jpg", "tif", "jpeg", "tiff", "png")
CONTAINERS = ("images", "Images", "images.tar", "images.zip", "Images.tar", "Images.zip")
BY_HAND = (
    "by hand: (1) get UCMerced_LandUse.zip from http://weegee.vision.ucmerced.edu/datasets/"
    f"landuse.html and rename it to Images.zip; (2) get {TABLE}, in the multi-labels of "
    "http://bigearth.eu/datasets.html; (3) put both into DIR; (4) run paper data check DIR"
)
GET = f"paper data fetch DIR --set ucmerced gets them; {BY_HAND}"


def read(
    data: str | Path,
    size: int,
    *,
    variant: str = "original",
    skip_bad: bool = False,
    workers: int | None = None,
    progress: bool = True,
    cache: bool = True,
) -> Chips:
    """Read every labelled chip as `(N, size, size, 3)` uint8 RGB, in the label file's order.

    The arguments, the variants, the cache and the errors are those of `planet.read`; the labels are
    `TAGS`. Chips are read from `images/` (in folders by class) beside the label file, in `data` or
    one folder below it.
    """
    source = open_source(data, workers=workers, progress=progress)
    return source.chips(size, variant, skip_bad=skip_bad, keep=cache)


def open_source(data: str | Path, *, workers: int | None = None, progress: bool = False) -> Source:
    """The label file, read, and where the chips are; no chip is opened yet."""
    table, path = locate(data)
    return _UCMerced("UC Merced", read_table(table), path, workers=workers, progress=progress)


class _UCMerced(Source):
    """JPEG or TIFF of three components, of nearly one size."""

    suffixes = SUFFIXES

    @staticmethod
    def header(data: bytes) -> tuple[int, int, int]:
        if data[:2] == b"\xff\xd8" or not data:
            return jpeg.header(data)
        image = _open(data)
        return image.height, image.width, len(image.getbands())

    @staticmethod
    def decode(data: bytes, components: int) -> np.ndarray:
        if data[:2] == b"\xff\xd8":
            return jpeg.decode(data, components)
        image = _open(data)
        if image.mode not in ("1", "L", "P", "RGB", "RGBA"):  # Pillow would cut to 8 bits
            raise BadChip(f"is not of 8 bits per channel (mode {image.mode})")
        try:
            return np.array(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise BadChip(f"cannot be decoded ({error})") from None

    @staticmethod
    def fit(rgb: np.ndarray, size: int) -> np.ndarray:
        return jpeg.fit(square(rgb), size)

    def refuse(self, shape: tuple[int, int, int], usual: tuple[int, int]) -> str:
        height, width, components = shape
        if abs(height - SIDE) > TOLERANCE or abs(width - SIDE) > TOLERANCE:
            return f"is {width}×{height} pixels, expected {SIDE}×{SIDE} or a few less"
        return "" if components in (1, 3, 4) else f"has {components} colour components"


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=["TIFF", "PNG"])
    except Image.DecompressionBombError:
        raise BadChip("has far too many pixels") from None
    except (OSError, SyntaxError, ValueError):
        raise BadChip("is no JPEG, TIFF or PNG picture") from None


def square(rgb: np.ndarray) -> np.ndarray:
    """`(H, W, 3)` of nearly 256×256 -> `(256, 256, 3)`: cut or mirrored at the right and below."""
    rgb = rgb[:SIDE, :SIDE]
    below, right = SIDE - rgb.shape[0], SIDE - rgb.shape[1]
    if below == right == 0:
        return rgb
    return cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_REFLECT_101)


def locate(data: str | Path) -> tuple[Path, Path]:
    """The label file, and the folder or archive of the chips beside it or one folder below.

    Raises `PaperError` where one of the two is not there.
    """
    data = Path(data)
    try:
        if not data.is_dir():
            what = "is not a folder" if data.exists() else "does not exist"
            raise PaperError(f"{data} {what}", f"give the folder that holds {TABLE}; {GET}")
        below = [data, *sorted(path for path in data.glob("*/") if path.is_dir())]
        table = next((path / TABLE for path in below if (path / TABLE).is_file()), None)
        if table is None:
            raise PaperError(f"{data} holds no {TABLE}", GET)
        for place in below:
            for name in CONTAINERS:
                if (place / name).exists():
                    return table, place / name
    except PermissionError as error:
        raise PaperError(f"{error.filename}: permission denied", "make it readable") from None
    raise PaperError(f"{data} holds no images folder", GET)


def read_table(path: Path) -> LabelTable:
    """Read the label file; rows that cannot be used are set aside in `.bad`.

    Raises `PaperError` where the file as a whole cannot be used.
    """
    data = read_bytes(path)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise PaperError(f"{path} is not UTF-8 text", "save it as text in UTF-8") from None
    header = [cell.strip() for cell in (lines[0] if lines else "").split("\t")]
    if header[:1] != ["IMAGE\\LABEL"] or tuple(header[1:]) != TAGS:
        raise PaperError(
            f"{path}: the header is {' '.join(header)[:60]!r}",
            "the first line must be IMAGE\\LABEL and the 17 labels, with tabs between them",
        )
    table = LabelTable(path, hashlib.sha256(data).hexdigest(), tags=TAGS, whole=WHOLE)
    for number, line in enumerate(lines[1:], 2):
        cells = [cell.strip() for cell in line.split("\t")]
        if not any(cells):
            continue
        name, *marks = cells
        if len(marks) != len(TAGS):
            table.bad.append((name, f"line {number} has {len(cells)} fields, not {len(header)}"))
        elif wrong := [mark for mark in marks if mark not in ("0", "1")]:
            table.bad.append((name, f"line {number} has {wrong[0]!r} where 0 or 1 must be"))
        else:
            tags = [tag for tag, mark in zip(TAGS, marks, strict=True) if mark == "1"]
            table.add(number, name, tags)
    if not table.rows and not table.bad:
        raise PaperError(f"{path} holds no rows", "copy or download it again")
    return table
