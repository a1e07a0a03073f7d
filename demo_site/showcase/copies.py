"""The gallery's copies of a chip, encoded here from pixels: no byte of an upload survives.

`original` (lossless) and `thumb` are made before the prediction, so that a worker can start again
from them; `dehazed` and `transmission` follow when no batch waits.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from . import storage
from .models import Chip

KINDS = {
    "original": "image/png",
    "thumb": "image/jpeg",
    "dehazed": "image/png",
    "transmission": "image/png",
}
SUFFIX = {kind: mime.rsplit("/", 1)[-1].replace("jpeg", "jpg") for kind, mime in KINDS.items()}
THUMB = 160  # pixels
SLICE = 64  # chips drawn in one task


def png(image: np.ndarray) -> bytes:
    """RGB `(H, W, 3)` or grey `(H, W)` uint8 -> PNG without metadata."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1].tobytes()


def plain_png(image: np.ndarray) -> bytes:
    """RGB `(H, W, 3)` uint8 -> PNG that is not packed at all: a tenth of the time of `png`."""
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = image.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    )


def thumb(image: np.ndarray) -> bytes:
    """A JPEG of at most `THUMB` pixels; a small chip is enlarged with its pixels kept visible."""
    height, width = image.shape[:2]
    scale = THUMB / max(height, width)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(image, size, interpolation=way)
    small = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def keep(chip: Chip, image: np.ndarray) -> None:
    """Store the original, not packed yet since a visitor waits, and its thumbnail."""
    storage.write(storage.chip_copy(chip.key, "original"), plain_png(image))
    storage.write(storage.chip_copy(chip.key, "thumb"), thumb(image))


def pixels(chip: Chip) -> np.ndarray:
    """RGB `(H, W, 3)` uint8 from the gallery's own copy."""
    data = np.frombuffer(storage.read(storage.chip_copy(chip.key, "original")), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].copy()


def draw(chip: Chip) -> None:
    """Dehazed copy and transmission map, with the paper's parameters scaled to the chip's size.

    The original is packed on the way: a third of the bytes, the same pixels.
    """
    from paperlib import dehaze

    image = pixels(chip)
    storage.write(storage.chip_copy(chip.key, "original"), png(image))
    patch, radius = scaled(min(image.shape[:2]))
    dark = dehaze.dark_channel(image, patch=patch)
    light = dehaze.atmospheric_light(image, dark)
    rough = dehaze.transmission(image, light, patch=patch)
    smooth = dehaze.guided_filter(dehaze.luma(image), rough, radius=radius)
    clear = dehaze.recover(image, smooth, light)
    storage.write(storage.chip_copy(chip.key, "dehazed"), png(clear))
    grey = np.rint(255 * np.clip(smooth, 0, 1)).astype(np.uint8)
    storage.write(storage.chip_copy(chip.key, "transmission"), png(grey))
    Chip.objects.filter(pk=chip.pk).update(views=True)


def scaled(size: int) -> tuple[int, int]:
    """Patch and radius in pixels: 15 and 40 at 256 pixels, in proportion elsewhere (odd patch)."""
    patch = max(round(15 * size / 256), 3) | 1
    return patch, max(round(40 * size / 256), 2)


def draw_missing(after: int = 0) -> int:
    """Draw up to `SLICE` chips that lack their views, then queue the rest behind the batches."""
    from .tasks import draw_views

    missing = Chip.objects.filter(views=False, pk__gt=after, confidence__gt=0).order_by("pk")
    found = list(missing[: SLICE + 1])
    for chip in found[:SLICE]:
        try:
            draw(chip)
        except FileNotFoundError:
            continue  # deleted meanwhile
    if len(found) > SLICE:
        draw_views.enqueue(found[SLICE - 1].pk)
    return min(len(found), SLICE)
