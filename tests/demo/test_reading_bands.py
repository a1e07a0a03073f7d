"""Which bands of a GeoTIFF are taken for red, green and blue."""

from __future__ import annotations

import numpy as np
import pictures
import pytest
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from showcase.decoder.answers import Piece
from showcase.decoder.client import Decoder

RED, GREEN, BLUE, OTHER = (pictures.pixels(i)[..., 0] for i in range(4))


@pytest.fixture(scope="module")
def reader():
    reader = Decoder()
    yield reader
    reader.close()


def order(reader, data: bytes) -> str:
    """The bands that became the three channels, by which of them they vary with."""
    (piece,) = [item for item in reader.read(data, chips=1) if isinstance(item, Piece)]
    named = {"r": RED, "g": GREEN, "b": BLUE, "o": OTHER}
    found = ""
    for channel in np.moveaxis(piece.pixels, -1, 0).astype(float):
        like = {k: np.corrcoef(channel.ravel(), v.ravel())[0, 1] for k, v in named.items()}
        found += max(like, key=like.get)
        assert like[found[-1]] > 0.98
    return found


def bands(names: str, kind: str = "uint16") -> np.ndarray:
    scale = 1 if kind == "uint8" else 20
    named = {"r": RED, "g": GREEN, "b": BLUE, "o": OTHER}
    return np.stack([named[n].astype(kind) * scale for n in names])


@pytest.mark.parametrize(
    ("names", "kind", "profile"),
    [
        pytest.param("bgro", "uint16", {"photometric": "MINISBLACK"}, id="the competition's"),
        pytest.param("bgro", "uint16", {}, id="unnamed"),
        pytest.param("rgb", "uint16", {"photometric": "MINISBLACK"}, id="three of 16 bits"),
        pytest.param("rgbo", "uint8", {"photometric": "MINISBLACK"}, id="four of 8 bits"),
        pytest.param("rgbo", "uint16", {"photometric": "RGB"}, id="four of 16 bits, named"),
        pytest.param("rgboo", "uint16", {"photometric": "MINISBLACK"}, id="five"),
    ],
)
def test_colours_are_found(reader, names, kind, profile):
    assert order(reader, pictures.geotiff(bands(names, kind), **profile)) == "rgb"


@pytest.mark.parametrize("way", ["colour interpretation", "description"])
def test_what_the_file_says_of_its_bands_goes_before(reader, way):
    shape = {"count": 4, "height": 64, "width": 64, "dtype": "uint16"}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", photometric="MINISBLACK", **shape) as image:
            if way == "description":
                image.descriptions = ("nir", "Red", "Green", "Blue")
            else:
                c = ColorInterp
                image.colorinterp = (c.undefined, c.red, c.green, c.blue)
            image.write(bands("orgb"))
        data = memory.read()
    assert order(reader, data) == "rgb"
