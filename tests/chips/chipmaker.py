"""Small Planet folders for tests: generated chips, written as Planet wrote theirs."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paperlib.utils.errors import PaperError

TAGS = ("clear primary", "haze primary water", "cloudy", "agriculture clear primary road")


def pixels(seed: int, side: int = 32) -> np.ndarray:
    """`(side, side, 3)` uint8: smooth colours, so that JPEG changes little."""
    coarse = np.random.default_rng(seed).integers(20, 220, (3, 3, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    """A four-component JPEG of red, green, blue and 255, like the competition's chips."""
    # Pillow writes CMYK inverted, as Adobe does: C = 255 − R is stored as R, K = 0 as 255
    cmyk = np.concatenate([255 - rgb, np.zeros_like(rgb[..., :1])], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(cmyk, "CMYK").save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def chips(count: int = 12, side: int = 32) -> dict[str, bytes]:
    """Chip name -> JPEG bytes."""
    return {f"train_{i}": jpeg(pixels(i, side)) for i in range(count)}


def table(names, tags=TAGS) -> str:
    rows = [f"{name},{tags[i % len(tags)]}" for i, name in enumerate(names)]
    return "\n".join(["image_name,tags", *rows]) + "\n"


def folder(
    place: Path,
    members: dict[str, bytes],
    *,
    kind: str = "folder",
    text: str | None = None,
    prefix: str = "train-jpg/",
) -> Path:
    """Lay `members` (chip name, or file name with suffix) out in `place` with a label file."""
    place.mkdir(parents=True, exist_ok=True)
    text = table(n for n in members if "." not in n) if text is None else text
    (place / "train_v2.csv").write_text(text, encoding="utf-8", newline="")
    files = {name if "." in name else f"{name}.jpg": data for name, data in members.items()}
    if kind == "folder":
        (place / "train-jpg").mkdir(exist_ok=True)
        for name, data in files.items():
            (place / "train-jpg" / name).write_bytes(data)
    elif kind == "tar":
        with tarfile.open(place / "train-jpg.tar", "w") as packed:
            for name, data in files.items():
                info = tarfile.TarInfo(prefix + name)
                info.size = len(data)
                packed.addfile(info, io.BytesIO(data))
    else:
        with zipfile.ZipFile(place / "train-jpg.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in files.items():
                packed.writestr(prefix + name, data)
    return place


def refused(read, place: Path, *expected: str, **how) -> str:
    """The one line of a reader's error; it must have a cure and the expected words."""
    with pytest.raises(PaperError) as caught:
        read(place, **how)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.cure
    for word in expected:
        assert word in line, line
    return line
