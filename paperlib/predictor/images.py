"""Image files: which there are in folders, and how one is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..utils.errors import PaperError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")


def read_image(path: str | Path) -> np.ndarray:
    """An image file -> `(H, W, 3)` uint8 RGB.

    JPEG (of one, three or four components), PNG, TIFF, WebP, BMP. Raises `PaperError` for a file
    that is not there, empty, cut, not an image, or not of 8 bits.
    """
    import io

    from PIL import Image

    from ..chips import jpeg
    from ..chips.archive import BadChip

    cure = "give an 8-bit JPEG, PNG or TIFF"
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PaperError(f"{path}: cannot be read ({error.strerror})", cure) from None
    try:
        if data[:2] == b"\xff\xd8" or not data:
            height, width, components = jpeg.header(data)
            if max(height, width) > jpeg.LARGEST_SIDE:
                raise BadChip(f"is {width}×{height} pixels, more than {jpeg.LARGEST_SIDE}")
            return jpeg.decode(data, components)
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) > jpeg.LARGEST_SIDE:
                size = f"{image.size[0]}×{image.size[1]}"
                raise BadChip(f"is {size} pixels, more than {jpeg.LARGEST_SIDE}")
            if image.mode.startswith(("I", "F")):
                raise BadChip(f"has more than 8 bits per channel (mode {image.mode})")
            return np.array(image.convert("RGB"))
    except BadChip as error:
        raise PaperError(f"{path}: {error}", cure) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PaperError(f"{path}: is no image that can be read ({error})", cure) from None


def find_images(inputs: Sequence[str | Path]) -> dict[str, Path]:
    """Files and folders -> image name: path, sorted; folders are searched to any depth.

    The name is the file's, without suffix; where two files share it, the path as it was found.
    """
    found: list[Path] = []
    for given in map(Path, inputs):
        if given.is_dir():
            found += sorted(
                p for p in given.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
            )
        elif given.exists():
            found.append(given)
        else:
            raise PaperError(f"{given} is not there", "give image files, or a folder of them")
    found = list(dict.fromkeys(found))
    if not found:
        raise PaperError(
            f"{', '.join(map(str, inputs))}: no images here ({', '.join(SUFFIXES)})",
            "give image files, or a folder of them",
        )
    claims = Counter(path.stem for path in found)
    return {path.as_posix() if claims[path.stem] > 1 else path.stem: path for path in found}
