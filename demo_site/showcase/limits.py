"""What the site accepts, in one place: pages show the numbers, uploads and worker enforce them."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

#: Formats by content. Nothing else is decoded, whatever a file is called.
FORMATS = {"jpeg": "JPEG", "png": "PNG", "tiff": "TIFF, GeoTIFF", "zip": "ZIP"}
#: What the file picker offers; a hint for the browser, not a check.
ACCEPT = ".jpg,.jpeg,.png,.tif,.tiff,.zip,image/jpeg,image/png,image/tiff,application/zip"
NAME = 120  # characters of a file name that are kept
MINIMUM = 8  # pixels a picture has at least on each side
ZIP_RATIO = 100  # unpacked bytes per packed byte
ZIP_MEMBERS = 5000  # files in one archive
KEEP_FAILED_HOURS = 24  # copies of failed files, so that they can be tried again
ABANDONED_MINUTES = 30  # an upload that was broken off is then worked on as far as it came
VANISH_DAYS = (1, 7, 30, 0)  # choices of the form; 0 keeps the batch
USUAL_DAYS = 30


@dataclass(frozen=True)
class Limits:
    files: int
    file_bytes: int
    batch_bytes: int
    pixels: int
    chips: int
    chip_pixels: int

    @property
    def file_mb(self) -> float:
        return self.file_bytes / 1e6

    @property
    def batch_mb(self) -> float:
        return self.batch_bytes / 1e6

    @property
    def megapixels(self) -> float:
        return self.pixels / 1e6


def limits() -> Limits:
    """The limits of this site, as its settings say."""
    s = settings.SHOWCASE
    return Limits(
        files=int(s["MAX_FILES"]),
        file_bytes=int(s["MAX_FILE_MB"] * 1e6),
        batch_bytes=int(s["MAX_BATCH_MB"] * 1e6),
        pixels=int(s["MAX_MEGAPIXELS"] * 1e6),
        chips=int(s["MAX_CHIPS"]),
        chip_pixels=int(s["CHIP_PIXELS"]),
    )
