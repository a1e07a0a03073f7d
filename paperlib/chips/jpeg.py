"""One JPEG's bytes -> RGB pixels, and pixels -> the size a network wants.

The Planet chips are JPEGs of four components: red, green, blue and a constant 255 (they were
written from RGBA without a colour transform). Readers take four components for CMYK in Adobe's
inverted convention, which comes to the same: C, M, Y = 255 − R, G, B and K = 0, so that
R = (255 − C)(255 − K)/255 is the red that was stored. `exact` does this with Pillow, as every other
JPEG is read; `decode` does it with OpenCV, where that gives the same pixels: by Pillow the first
reading of all chips takes 1.6 times as long.
"""

from __future__ import annotations

import functools
import io
import struct
import warnings

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin

from .archive import BadChip

LARGEST_SIDE = 4096  # pixels; a header that claims more is not a chip's, and is not decoded
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}
_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def header(data: bytes) -> tuple[int, int, int]:
    """Height, width and number of components, from the frame header; nothing is decoded.

    Raises `BadChip` for bytes that are empty, no JPEG, or end before the picture does.
    """
    if not data:
        raise BadChip("is empty")
    if data[:2] != b"\xff\xd8":
        raise BadChip(f"is not a JPEG (it begins with {data[:4].hex(' ')})")
    at, frame = 2, None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _NO_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _FRAME and at + 10 <= len(data):
            height, width, components = struct.unpack_from(">HHB", data, at + 5)
            frame = height, width, components
        at += 2 + length
        if marker == 0xDA:  # the picture itself follows, up to the end marker
            if frame is None or 0 in frame:
                raise BadChip("is damaged (it has no frame header)")
            if data.find(b"\xff\xd9", at) < 0:
                raise BadChip("is cut off (it has no end marker)")
            return frame
    raise BadChip("is cut off or damaged within its header")


def decode(data: bytes, components: int = 0) -> np.ndarray:
    """JPEG bytes -> `(H, W, 3)` uint8, RGB.

    components  what `header` gave; anything but 4 goes through Pillow

    Raises `BadChip` where the bytes cannot be decoded.
    """
    if components == 4 and _fast_is_exact():
        return _fast(data)
    return exact(data)


def exact(data: bytes) -> np.ndarray:
    """Decode by Pillow, which says so when the data end too soon."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise BadChip(f"cannot be decoded ({error})") from None


def _fast(data: bytes) -> np.ndarray:
    """Decode four components by OpenCV, whose result is Pillow's plus one.

    OpenCV computes K' − ((255 − R)·K' >> 8); with K' = 255 that is R + 1 for R ≤ 254, and 255 for
    R = 255. So a chip that holds a 255 (1 in 120) is decoded again by Pillow and the others lose
    one: exact where the fourth component is constant, as in every Planet chip, and within one
    level in a true CMYK picture.
    """
    bgr = _opencv(data)
    if bgr is None or bgr.max() == 255 or bgr.min() == 0:
        return exact(data)
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    rgb -= 1
    return rgb


def _opencv(data: bytes) -> np.ndarray | None:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


@functools.cache
def _fast_is_exact() -> bool:
    """Whether this build of OpenCV does what `_fast` undoes; tried once per process, in 1 ms."""
    ramp = np.linspace(40, 215, 32 * 24).astype(np.uint8).reshape(32, 24)
    cmyk = np.stack([ramp, ramp[::-1], ramp[:, ::-1], np.zeros_like(ramp)], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(cmyk, "CMYK").save(buffer, "JPEG", quality=95)
    bgr = _opencv(buffer.getvalue())
    return bgr is not None and np.array_equal(bgr[..., ::-1] - 1, exact(buffer.getvalue()))


def fit(rgb: np.ndarray, size: int) -> np.ndarray:
    """`(H, W, 3)` -> `(size, size, 3)` uint8.

    Shrinking averages over areas (`cv2.INTER_AREA`: each pixel is the mean of what it covers, so
    nothing aliases); enlarging is bicubic (`cv2.INTER_CUBIC`) and adds no detail.
    """
    height, width = rgb.shape[:2]
    if size < max(height, width):
        shrunk = min(size, width), min(size, height)
        rgb = cv2.resize(rgb, shrunk, interpolation=cv2.INTER_AREA)
    if rgb.shape[:2] == (size, size):
        return rgb
    return cv2.resize(rgb, (size, size), interpolation=cv2.INTER_CUBIC)
