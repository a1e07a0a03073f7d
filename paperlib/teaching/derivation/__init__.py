"""The derivation of the dark channel prior as one self-contained page, `derivation.html`.

    page()                        # the committed page, text
    page({"mine": photo})         # with pictures of one's own in front
    python -m paperlib.teaching.derivation    # writes the page anew from its parts

The parts are in this folder: `page.html`, `style.css`, `formulas.py`, and the scripts: the
equations (`method.js`), what is asked (`questions.js`), the state and its maps (`maps.js`), the
probed pixel (`probe.js`), sliders, guesses and pictures (`controls.js`). The page needs no server
and no network, so it can be mailed, put on a web space, or opened from a disk.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from ...chips import scenes
from .formulas import EQUATIONS, equation

PAGE = Path(__file__).parents[1] / "derivation.html"
SCRIPTS = ("method.js", "questions.js", "maps.js", "probe.js", "controls.js")
LARGEST = 512  # pixels a side of a picture of one's own; the page shrinks to the same

#: Scenes to choose from: name -> (index, tags).
SCENES: dict[str, tuple[int, tuple[str, ...]]] = {
    "river in the forest": (12, ("clear", "primary", "water")),
    "closed forest": (5, ("clear", "primary")),
    "fields, road and houses": (
        12,
        ("clear", "primary", "agriculture", "road", "habitation"),
    ),
    "mine": (9, ("clear", "primary", "conventional_mine")),
    "bare ground": (13, ("clear", "bare_ground")),
    "clouds over a road": (12, ("partly_cloudy", "primary", "road")),
}


def scene_of(name: str) -> np.ndarray:
    """One of `SCENES` without haze, `(256, 256, 3)` uint8."""
    index, tags = SCENES[name]
    return scenes.scene(index, tags=tags).clear


def page(
    images: Mapping[str, np.ndarray] | None = None,
    *,
    hazy: bool = False,
    language: str = "",
    bench: bool = False,
) -> str:
    """The page as text, optionally with pictures of one's own.

    images    name -> picture; see `picture_of` for what is accepted
    hazy      the pictures have haze already: it is taken away, none is put on
    language  "en" or "zh"; empty for English with a button
    bench     only the sliders with all maps, without the derivation
    """
    text = PAGE.read_text(encoding="utf-8")
    root = f'<html lang="{language or "en"}"'
    root += f' data-language="{language}"' if language else ""
    root += ' data-mode="bench"' if bench else ""
    text = text.replace('<html lang="en"', root, 1)
    own = {
        str(name): {"source": _address(picture_of(image, str(name))), "hazy": hazy}
        for name, image in (images or {}).items()
    }
    return _put(text, "own", own)


def picture_of(image: object, name: str = "picture") -> np.ndarray:
    """Any usual form of a picture as `(H, W, 3)` uint8 of `LARGEST` pixels a side at most.

    image  `(H, W)`, `(H, W, 1, 3 or 4)`: uint8, uint16, bool, integers in 0…255 or floats in 0…1;
           a PIL image, a list, or the path of a picture file
    Raises `ValueError` or `FileNotFoundError` in words that say what to do.
    """
    if isinstance(image, str | Path):
        array = cv2.imread(str(image), cv2.IMREAD_COLOR)
        if array is None:
            raise FileNotFoundError(f"{name}: {image} is no picture file that can be read")
        array = array[..., ::-1]
    else:
        array = np.asarray(image)
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{name}: an array (H, W, 3) is wanted, not {array.dtype} {array.shape}")
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        raise ValueError(f"{name}: three colours are wanted in the last axis, not {array.shape}")
    array = array[..., None] if array.ndim == 2 else array[..., :3]
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError(f"{name}: floats lie in 0…1; divide by their maximum")
        array = np.rint(array * 255)
    elif array.dtype == bool:
        array = array * 255
    elif array.dtype == np.uint16:
        array = np.rint(array / 257)
    elif array.min() < 0 or array.max() > 255:
        raise ValueError(f"{name}: whole numbers lie in 0…255, not {array.min()}…{array.max()}")
    array = np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)), np.uint8)
    scale = LARGEST / max(array.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in array.shape[1::-1])
        array = cv2.resize(array, size, interpolation=cv2.INTER_AREA)
    return array


def build() -> str:
    """The page from its parts, with the scenes embedded as lossless WebP."""
    parts = files(__package__)
    read = {name: (parts / name).read_text(encoding="utf-8") for name in SCRIPTS}
    script = "\n".join(read.values()).replace('"use strict";\n', "")
    text = (parts / "page.html").read_text(encoding="utf-8")
    text = text.replace("/*STYLE*/", (parts / "style.css").read_text(encoding="utf-8"))
    text = text.replace("/*SCRIPT*/", f'"use strict";\n{script}')
    for number in EQUATIONS:
        text = text.replace(f"<!--EQ{number}-->", equation(number))
    return _put(text, "scenes", {name: _address(scene_of(name)) for name in SCENES})


def _address(picture: np.ndarray) -> str:
    quality = [cv2.IMWRITE_WEBP_QUALITY, 101]  # above 100: lossless
    _, data = cv2.imencode(".webp", np.ascontiguousarray(picture[..., ::-1]), quality)
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()


def _put(text: str, name: str, what: object) -> str:
    """`text` with the JSON of one of its data blocks changed."""
    data = json.dumps(what, ensure_ascii=False, indent=0).replace("</", "<\\/")
    start = text.index(f'<script type="application/json" id="{name}">')
    start = text.index(">", start) + 1
    return text[:start] + data + text[text.index("</script>", start) :]
