"""What headers of pictures say and GDAL does not: orientation, EXIF, tags, number of pictures."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, TiffImagePlugin, UnidentifiedImageError


def orientation(path: Path) -> int:
    """The EXIF or TIFF orientation of a picture, 1 where it has none."""
    turn = 1
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            turn = tiff_tags(path).get(274, 1)
        else:
            with Image.open(path) as image:
                turn = exif_of(image).get(0x112, 1)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, TypeError, KeyError):
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def tiff_tags(path: Path) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The tags of a TIFF's first page."""
    with open(path, "rb") as file:
        head = file.read(8)
        head += file.read(8) if 43 in head[2:4] else b""
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
    return tags


def exif_of(image: Image.Image) -> Image.Exif:
    """The EXIF of an opened picture; of a PNG what stands before its pixels, undecoded."""
    if image.format != "PNG":
        return image.getexif()
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    return exif


def frames(path: Path) -> int:
    """How many pictures an animated PNG or a JPEG of several pictures holds."""
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) if image.format in ("PNG", "MPO") else 1
    except (OSError, ValueError, SyntaxError):
        return 1
