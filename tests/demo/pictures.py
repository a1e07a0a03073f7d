"""Pictures for the tests, made from a seed: honest ones, and some that are not."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from urllib.parse import quote

import numpy as np
from PIL import Image


def pixels(seed: int, size: int | tuple[int, int] = 64) -> np.ndarray:
    """RGB `(H, W, 3)` uint8: a colour of its own with a little structure."""
    height, width = (size, size) if isinstance(size, int) else size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(height // 16, 1), max(width // 16, 1), 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def encode(image: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def png(seed: int, size=64) -> bytes:
    return encode(pixels(seed, size))


def flat(value: int, size: int = 64) -> bytes:
    """A picture of one grey, which the planted model refuses for 13."""
    return encode(np.full((size, size, 3), value, np.uint8))


def jpeg(seed: int, size=64, **options) -> bytes:
    return encode(pixels(seed, size), "JPEG", quality=90, **options)


def planet_jpeg(seed: int, size: int = 64) -> bytes:
    """A JPEG as the competition's chips are."""
    return four_components(pixels(seed, size))


def four_components(image: np.ndarray) -> bytes:
    """RGB `(H, W, 3)` as the competition stored it: inverted, with an empty fourth component."""
    cmyk = np.zeros((*image.shape[:2], 4), np.uint8)
    cmyk[..., :3] = 255 - image
    buffer = io.BytesIO()
    Image.fromarray(cmyk, "CMYK").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def geotiff(bands: np.ndarray, **profile) -> bytes:
    """Bands `(C, H, W)` as a GeoTIFF; `profile` goes to rasterio."""
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    count, height, width = bands.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype,
            crs="EPSG:32720", transform=from_origin(0, 0, 3, 3), **profile,
        ) as image:  # fmt: skip
            image.write(bands)
        return memory.read()


def archive(entries, method=zipfile.ZIP_DEFLATED) -> bytes:
    """`[(name or ZipInfo, bytes)]` as a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as handle:
        for name, data in entries:
            handle.writestr(name, data)
    return buffer.getvalue()


def png_bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that claims, and holds, about `side` × `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    # One flushed block of 64 rows, repeated: the same stream, without compressing gigabytes here.
    rows = bytes((1 + 3 * side) * 64)
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    total = 1
    for _ in range(side // 64):
        total = zlib.adler32(rows, total)
    data = b"\x78\xda" + block * (side // 64) + b"\x03\x00" + struct.pack(">I", total)
    side_rows = side // 64 * 64
    head = struct.pack(">IIBBBBB", side, side_rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def form(files: list[tuple[str, bytes]]) -> tuple[bytes, str]:
    """A multipart body with names that no browser would send; body and content type."""
    edge = "edge-of-a-part"
    body = b""
    for name, data in files:
        body += (
            (
                f'--{edge}\r\nContent-Disposition: form-data; name="files"; '
                f"filename*=UTF-8''{quote(name, safe='')}\r\n"
                "Content-Type: image/svg+xml\r\n\r\n"
            ).encode()
            + data
            + b"\r\n"
        )
    return body + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"
