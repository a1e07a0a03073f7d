"""Image files: which there are in folders, and how one is read, or refused by name."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..utils import files
from ..utils.errors import PaperError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
CURE = "give an 8-bit JPEG, PNG or TIFF"
MOST_PIXELS = 100_000_000  # 300 MB decoded, for each thread that reads


def read_image(path: str | Path) -> np.ndarray:
    """An image file -> `(H, W, 3)` uint8 RGB, upright.

    JPEG (of one, three or four components), PNG, TIFF, WebP, BMP. Raises `PaperError` for a file
    that is not there, empty, cut, not an image, of several images, or not of 8 bits.
    """
    from ..chips.archive import BadChip

    name = files.shown(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PaperError(f"{name}: cannot be read ({error.strerror})", CURE) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(data)
    except BadChip as error:
        raise PaperError(f"{name}: {error}", CURE) from None
    except Exception as error:  # a decoder may stumble over a bad file in any way
        from PIL import UnidentifiedImageError

        why = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # whose text holds an object's address
            why = f"it begins with {data[:4].hex(' ')}"
        raise PaperError(f"{name}: is no image that can be read ({why})", CURE) from None


def _decode(data: bytes) -> np.ndarray:
    from PIL import Image, ImageOps

    from ..chips import jpeg
    from ..chips.archive import BadChip

    if data[:2] == b"\xff\xd8" or not data:
        height, width, components = jpeg.header(data)
        _check_size(width, height)
        pixels = jpeg.decode(data, components)
        if b"Exif\0\0" in data[:4096]:  # a camera's; a chip has none
            with Image.open(io.BytesIO(data)) as image:
                turn = image.getexif().get(0x112, 1)
            upright = Image.fromarray(pixels)
            upright.getexif()[0x112] = turn
            pixels = np.array(ImageOps.exif_transpose(upright))
        return pixels
    bands, bits = _depth(data)
    if bits > 8:
        raise BadChip(f"has {bands} band{'s' * (bands > 1)} of {bits} bits")
    with Image.open(io.BytesIO(data)) as image:
        _check_size(*image.size)
        if getattr(image, "n_frames", 1) > 1:
            raise BadChip(f"holds {image.n_frames} images, not one")
        if image.mode.startswith(("I", "F")):
            raise BadChip(f"has more than 8 bits per channel (mode {image.mode})")
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def _check_size(width: int, height: int) -> None:
    from ..chips.archive import BadChip

    if height * width > MOST_PIXELS:
        raise BadChip(f"is {width}×{height} pixels, more than {MOST_PIXELS:,}: cut it into chips")


def _depth(data: bytes) -> tuple[int, int]:
    """Bands and bits per band of a PNG or TIFF, by its header; zeros for other files.

    Pillow gives the high bytes of 16-bit colour without a word, so it is not asked.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 25:
        return {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(data[25], 0), data[24]
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return 0, 0
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if 43 in data[2:4] else 8])
    file = io.BytesIO(data)
    file.seek(tags.next)
    tags.load(file)
    bits = tags.get(258, (1,))
    return tags.get(277, 1), max(bits) if isinstance(bits, tuple) else bits


def find_images(inputs: Sequence[str | Path]) -> dict[str, Path]:
    """Files and folders -> image name: path, sorted; folders are searched to any depth.

    The name is the file's, without suffix; where two files share it, the path as it was found.
    """
    found: list[Path] = []
    for given in map(Path, inputs):
        if given.is_dir():
            found += [path for path in files.below(given) if path.suffix.lower() in SUFFIXES]
        elif given.exists():
            found.append(given)
        else:
            raise PaperError(
                f"{files.shown(given)} is not there", "give image files, or a folder of them"
            )
    found = list(dict.fromkeys(found))
    if not found:
        raise PaperError(
            f"{', '.join(map(str, inputs))}: no images here ({', '.join(SUFFIXES)})",
            "give image files, or a folder of them",
        )
    claims = Counter(path.stem for path in found)
    return {
        files.shown(path.as_posix() if claims[path.stem] > 1 else path.stem): path for path in found
    }
