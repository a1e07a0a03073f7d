"""A picture's bytes -> RGB pixels, cut into chips: JPEG, PNG, TIFF and GeoTIFF."""

from __future__ import annotations

import io
import warnings

MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_ORIENTATION, _ACROSS = 0x0112, {5, 6, 7, 8}  # EXIF's tag; values that exchange width and height


class Refused(Exception):
    """A reason from `failure_reasons.REASONS`."""


def sniff(data: bytes) -> str:
    """The format by content: `jpeg`, `png`, `tiff`, `zip` or `""`."""
    return next((kind for magic, kind in MAGIC if data.startswith(magic)), "")


def grid(width: int, height: int, chip: int) -> tuple[list[int], list[int]]:
    """Borders of columns and rows: tiles of nearly `chip` pixels that share the picture evenly."""
    columns, rows = max(round(width / chip), 1), max(round(height / chip), 1)
    return (
        [round(i * width / columns) for i in range(columns + 1)],
        [round(i * height / rows) for i in range(rows + 1)],
    )


def check_size(width: int, height: int, most: dict) -> None:
    """Before anything is decoded."""
    if min(width, height) < most["least_side"]:
        raise Refused("too_small")
    if width * height > most["pixels"]:
        raise Refused("too_many_pixels")


def picture(data: bytes, kind: str, most: dict):
    """Yield the head (`answers.Head`), then `(row, column, pixels)` of each chip."""
    source = {"jpeg": jpeg, "tiff": tiff}.get(kind, pillow)(data, most)
    width, height, corners = next(source)
    xs, ys = grid(width, height, most["chip"])
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows * columns > most["chips"]:
        raise Refused("too_many_chips")
    head = {"kind": kind, "width": width, "height": height, "rows": rows, "columns": columns}
    head["corners"] = corners
    yield head
    cut = next(source)
    for row in range(rows):
        for column in range(columns):
            yield row, column, cut(xs[column], ys[row], xs[column + 1], ys[row + 1])
    source.close()


def jpeg(data: bytes, most: dict):
    """JPEG, upright as the predictor reads it; yields as `pillow` does."""
    from paperlib.chips import jpeg

    turn = jpeg_orientation(data)
    try:
        height, width, components = jpeg.header(data)
    except jpeg.BadChip:
        yield from pillow(data, most)  # knows more oddities, and says what is wrong
        return
    check_size(width, height, most)
    yield (height, width, None) if turn in _ACROSS else (width, height, None)
    pixels = jpeg.decode(data, components)
    if pixels.shape != (height, width, 3):
        raise Refused("broken")  # a second header says something else
    yield from_array(upright(pixels, turn))


def jpeg_orientation(data: bytes) -> int:
    """`orientation` of a JPEG that need not be opened otherwise."""
    if b"Exif\0\0" not in data[:4096]:
        return 1
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return orientation(image)
    except Exception:  # the header may be damaged in any way; the picture need not be
        return 1


def orientation(image) -> int:
    """How a camera was held: 1 (upright) to 8, by the EXIF metadata of an opened picture."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # metadata may be damaged in any way; the picture need not be
        return 1


def upright(pixels, turn: int):
    """`(H, W, 3)` pixels turned as the EXIF `orientation` asks."""
    import numpy as np
    from PIL import Image, ImageOps

    if turn not in range(2, 9):
        return pixels
    image = Image.fromarray(pixels)
    image.getexif()[_ORIENTATION] = turn
    return np.asarray(ImageOps.exif_transpose(image))


def from_array(pixels):
    """A function that cuts `(left, top, right, bottom)` out of RGB pixels."""

    def cut(left: int, top: int, right: int, bottom: int):
        return pixels[top:bottom, left:right]

    return cut


def pillow(data: bytes, most: dict):
    """JPEG and PNG, upright: yield `(width, height, None)`, then a function that cuts `(left, top,
    right, bottom)`."""
    import numpy as np
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # our own ceiling is checked first
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
        check_size(*image.size, most)
        # A phone's MPO is a JPEG with a second view behind it: the first is the picture.
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise Refused("animated")
        image.load()  # complains about a truncated file
        turn = orientation(image)
        size = image.size[::-1] if turn in _ACROSS else image.size
        yield *size, None
        if image.mode.startswith("I;16"):
            pixels = np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        else:
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    yield from_array(upright(pixels, turn))


def tiff(data: bytes, most: dict):
    """TIFF and GeoTIFF of any depth, read window by window; yields as `pillow` does."""
    import numpy as np
    import rasterio
    from rasterio.enums import ColorInterp
    from rasterio.io import MemoryFile
    from rasterio.windows import Window

    warnings.simplefilter("ignore")
    # Only GDAL's own TIFF reader: a virtual dataset could name other files or addresses.
    with MemoryFile(data) as memory, memory.open(driver="GTiff") as image:
        check_size(image.width, image.height, most)
        if len(image.subdatasets) > 1:
            raise Refused("animated")
        kinds, count = image.colorinterp, image.count
        if any(np.dtype(t).kind == "c" for t in image.dtypes):
            raise Refused("unreadable")
        colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        named = {str(d).lower(): i + 1 for i, d in enumerate(image.descriptions) if d}
        if all(c in kinds for c in colours):
            bands = [kinds.index(c) + 1 for c in colours]
        elif {"red", "green", "blue"} <= set(named):
            bands = [named["red"], named["green"], named["blue"]]
        elif count == 4 and set(image.dtypes) == {"uint16"}:
            # Blue, green, red, near infrared, as satellites' four-band products come (the
            # competition's own, too), which seldom say so.
            bands = [3, 2, 1]
        else:
            bands = [1, 2, 3] if count >= 3 else [1, 1, 1]
        palette = None
        if kinds[0] == ColorInterp.palette:
            palette = np.zeros((256, 3), np.uint8)
            for index, colour in image.colormap(1).items():
                if 0 <= index < 256:
                    palette[index] = colour[:3]
        low, high = None, None
        if any(t != "uint8" for t in image.dtypes):
            shape = (3, min(image.height, 512), min(image.width, 512))
            few = image.read(bands, out_shape=shape, masked=True).astype(float)
            few = np.ma.masked_invalid(few).filled(np.nan).reshape(3, -1)
            if np.isnan(few).all(axis=1).any():
                raise Refused("unreadable")
            low, high = np.nanpercentile(few, (2, 98), axis=1)[..., None, None]

        def cut(left: int, top: int, right: int, bottom: int) -> np.ndarray:
            pixels = image.read(bands, window=Window(left, top, right - left, bottom - top))
            if palette is not None:
                pixels = palette[pixels[0]].transpose(2, 0, 1)
            elif low is not None:
                spread = np.maximum(high - low, 1e-12)
                pixels = np.nan_to_num(np.clip((pixels - low) / spread, 0, 1))
                pixels = np.rint(255 * pixels).astype(np.uint8)
            return np.ascontiguousarray(pixels.transpose(1, 2, 0))

        del rasterio
        yield image.width, image.height, corners(image)
        yield cut


def corners(image) -> list | None:
    """Longitude and latitude of a GeoTIFF's corners, clockwise from its first pixel's.

    None where it does not say.
    """
    from rasterio.warp import transform

    t, right, bottom = image.transform, image.width, image.height
    if image.crs is None or t.is_identity:
        return None
    at = ((0, 0), (right, 0), (right, bottom), (0, bottom))
    xs, ys = ([a * x + b * y + c for x, y in at] for a, b, c in (t[0:3], t[3:6]))
    try:
        found = transform(image.crs, "EPSG:4326", xs, ys)
    except Exception:  # a projection that nobody knows: the picture is as good without
        return None
    return [[float(x), float(y)] for x, y in zip(*found, strict=True)]


def geotiff(pixels) -> bytes:
    """RGB `(H, W, 3)` uint8 as a small GeoTIFF with a projection."""
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    height, width = pixels.shape[:2]
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=3, height=height, width=width, dtype="uint8",
            crs="EPSG:32720", transform=from_origin(0, 0, 3, 3),
        ) as image:  # fmt: skip
            image.write(pixels.transpose(2, 0, 1))
        return memory.read()
