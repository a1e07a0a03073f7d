"""Generated scenes: labelled chips of a made-up Amazon, with the haze-free truth beside each.

Label sets are drawn with the frequencies of the real chips (`label_sets.csv`: how many of 32,351
Planet chips carry each combination of tags), then painted, then hazed by equation 3 with a known
light A and transmission t. Scene `index` of `seed` is the same picture on any number of processes.
"""

from __future__ import annotations

import csv
import functools
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from tqdm import tqdm

from ...labels import COUNT, INDEX, LABELS, PUBLISHED_COUNTS, WEATHER, encode_many
from ...utils import cache, code
from ...utils.system import cores
from .. import Chips, variants
from . import land, rare, sky
from .canvas import SIZE, Canvas

Variant = Literal["original", "dehazed", "clear"]
VARIANTS: tuple[Variant, ...] = ("original", "dehazed", "clear")
_BLOCK = 250


@dataclass(frozen=True, eq=False)
class Scene:
    """One generated chip.

    image         `(S, S, 3)` uint8 RGB, what the camera sees: clear·t + 255·A·(1 − t), rounded
    clear         `(S, S, 3)` uint8, the same scene without haze (clouds stay)
    transmission  `(S, S)` float32, the true t
    light         `(3,)` float32, the true A in 0…1
    tags          the labels, in the order of `labels.LABELS`
    """

    image: np.ndarray
    clear: np.ndarray
    transmission: np.ndarray
    light: np.ndarray
    tags: tuple[str, ...]


@functools.cache
def label_sets() -> tuple[tuple[tuple[str, ...], ...], np.ndarray]:
    """The combinations of tags on real chips, and how many chips have each: (K sets, `(K,)`)."""
    with Path(__file__).with_name("label_sets.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return tuple(tuple(r["tags"].split()) for r in rows), np.array([int(r["chips"]) for r in rows])


def tags_of(index: int, *, seed: int = 0) -> tuple[str, ...]:
    """The labels of scene `index`: one of the real combinations, as often as it really occurs."""
    sets, counts = label_sets()
    draw = _rng(index, seed, 0).integers(counts.sum())
    return sets[int(np.searchsorted(np.cumsum(counts), draw, side="right"))]


def scene(
    index: int, *, seed: int = 0, size: int = SIZE, tags: Iterable[str] | None = None
) -> Scene:
    """Draw scene `index` of `seed`.

    size   height and width; the scene is drawn at 256 pixels and resized (antialiased), so that
           equation 3 holds exactly at 256 and within rounding at other sizes
    tags   the labels to draw instead of those that `tags_of` gives this index
    Raises `ValueError` for a negative index, a size below 1, an unknown tag or two weathers.
    """
    if size < 1:
        raise ValueError(f"size: at least 1 pixel, not {size}")
    tags = tags_of(index, seed=seed) if tags is None else _ordered(tags)
    canvas = Canvas(_rng(index, seed, 1))
    clear, t, light = _weather(canvas, _ground(canvas, tags), tags)
    image = _haze(clear, t, light)
    if size != SIZE:
        image, clear, t = (resize(a, size) for a in (image, clear, t))
    return Scene(image, clear, t, light, tags)


def examples(per_label: int = 8, *, seed: int = 0) -> dict[str, list[Scene]]:
    """For each of the 17 labels the first scenes with it, no scene under two labels.

    Rare labels choose first, so that common ones do not take their few scenes.
    """
    if per_label < 1:
        raise ValueError(f"per_label: at least 1, not {per_label}")
    found: dict[str, list[int]] = {tag: [] for tag in LABELS}
    rarest_first = sorted(LABELS, key=PUBLISHED_COUNTS.__getitem__)
    index = 0
    while any(len(of_tag) < per_label for of_tag in found.values()):
        tags = tags_of(index, seed=seed)
        for tag in rarest_first:
            if tag in tags and len(found[tag]) < per_label:
                found[tag].append(index)
                break
        index += 1
    return {tag: [scene(i, seed=seed) for i in of_tag] for tag, of_tag in found.items()}


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Shrink by averaging over each new pixel's area (antialiased); enlarge bilinearly."""
    if image.shape[:2] == (size, size):
        return image
    shrink = size < image.shape[0]
    way = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=way)


def read(
    count: int,
    *,
    size: int = 32,
    seed: int = 0,
    variant: Variant = "original",
    workers: int | None = None,
    progress: bool = True,
) -> Chips:
    """Scenes 0…count−1 as chips, drawn once and then saved in the cache folder.

    size     height and width the 256-pixel scenes are shrunk to
    variant  `"original"` as the camera sees them; `"dehazed"` by `dehaze.dehaze` at 256 pixels and
             then shrunk; `"clear"` the true haze-free scenes
    workers  threads; by default one for each core this process may use. The result does not
             depend on it
    A killed run continues from the last finished block of 250 scenes.
    """
    if count < 1:
        raise ValueError(f"count: at least 1 scene, not {count}")
    if variant not in VARIANTS:
        raise ValueError(f"variant: one of {', '.join(VARIANTS)}, not {variant!r}")
    entry = f"scenes-{variant}-{size}px-seed{seed}-{_fingerprint(variant)[:16]}-{count}"
    if saved := cache.load(entry):
        images = saved[0]
    else:
        images = _blocks(count, size, seed, variant, entry, workers or cores(), progress)
        cache.save(entry, images)
        cache.drop_blocks(entry)
    names = np.array([f"scene_{i:06d}" for i in range(count)])
    labels = encode_many([tags_of(i, seed=seed) for i in range(count)])
    note = "" if variant == "original" else f", {variant}"
    return Chips(names, images, labels, f"{count} generated scenes, seed {seed}, {size} px{note}")


def _blocks(
    count: int, size: int, seed: int, variant: str, entry: str, workers: int, progress: bool
) -> np.ndarray:
    """Draw block by block; each finished full block is a file, so that a killed run goes on."""
    images = np.empty((count, size, size, 3), np.uint8)
    with (
        tqdm(total=count, desc=f"drawing scenes ({variant})", disable=not progress) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):

        def draw(first: int, last: int) -> np.ndarray:
            jobs = pool.map(lambda i: _picture(i, size, seed, variant), range(first, last))
            for i, picture in zip(range(first, last), jobs, strict=True):
                images[i] = picture
                bar.update()
            return images[first:last]

        for first in range(0, count, _BLOCK):
            last = min(first + _BLOCK, count)
            if last - first < _BLOCK:
                draw(first, last)
            else:
                make = functools.partial(draw, first, last)
                images[first:last] = cache.block(entry, first // _BLOCK, make)
                bar.update(last - bar.n)  # nothing, unless it was drawn before
    return images


def _picture(index: int, size: int, seed: int, variant: str) -> np.ndarray:
    drawn = scene(index, seed=seed)
    if variant == "clear":
        return resize(drawn.clear, size)
    if variant == "dehazed":
        from ... import dehaze

        return resize(dehaze.dehaze(drawn.image), size)
    return resize(drawn.image, size)


@functools.cache
def _fingerprint(variant: str) -> str:
    """sha256 over the code that makes the pixels: a changed drawing never comes from the cache."""
    digest = hashlib.sha256(f"{np.__version__} {cv2.__version__}".encode())
    drawing = [f"{__name__}{part}" for part in ("", ".canvas", ".land", ".rare", ".sky")]
    digest.update(code.total(code.reached(["paperlib.labels"], alone=drawing)).encode())
    if variant == "dehazed":
        digest.update(variants.code_stamp().encode())
    return digest.hexdigest()


def _rng(index: int, seed: int, stream: int) -> np.random.Generator:
    if index < 0:
        raise ValueError(f"index: 0 or more, not {index}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, stream])))


def _ordered(tags: Iterable[str]) -> tuple[str, ...]:
    given = set(tags)
    if unknown := given - set(LABELS):
        raise ValueError(f"tags: {', '.join(sorted(unknown))} is not among the {COUNT} labels")
    if len(given & set(WEATHER)) > 1:
        raise ValueError(f"tags: one weather at most, not {', '.join(given & set(WEATHER))}")
    return tuple(sorted(given, key=INDEX.__getitem__))


def _ground(c: Canvas, tags: tuple[str, ...]) -> np.ndarray:
    """Draw what the tags say, then light it: (256, 256, 3) float32 grey levels."""
    on = set(tags)
    if "primary" in on or on <= set(WEATHER) or on & set(rare.DRAWN_FIRST):
        land.primary(c)
    elif on <= {*WEATHER, "water", "bare_ground"} and "water" in on:
        land.open_water(c)
        on.discard("water")
    else:
        land.open_land(c)
    for drawn in (rare.DRAWN_FIRST, land.DRAWN, rare.DRAWN_LATER):
        for tag, draw in drawn.items():
            if tag in on:
                draw(c)
    return _lit(c)


def _lit(c: Canvas) -> np.ndarray:
    """Blur as the camera does, shade crowns and relief, tint as the product does: float32."""
    keep = c.uniform(0.5, 0.85)  # of the colours' saturation: the product is a dull one
    dull = keep * np.eye(3) + (1 - keep) * np.array([[0.299, 0.587, 0.114]] * 3)
    flat = cv2.transform(cv2.GaussianBlur(c.image, (0, 0), c.uniform(0.5, 0.9)), dull)
    crowns = cv2.GaussianBlur(c.crowns, (5, 5), 1.0)
    shade = cv2.multiply(
        crowns, c.texture("canopy"), scale=c.uniform(0.2, 0.42) / 255, dtype=cv2.CV_32F
    )
    shade = cv2.scaleAdd(c.texture("grain"), 0.03, shade)
    shade = np.maximum(1 + cv2.scaleAdd(c.texture("relief"), c.uniform(0.01, 0.08), shade), 0.06)
    cast = np.exp(np.clip(c.rng.normal(0, 0.16), -0.4, 0.3) + c.rng.normal(0, 0.05, 3))
    if c.chance(0.04):  # the sepia of some Planet products
        cast *= (1.25, 0.9, 0.5)
    gain = cv2.merge([shade * np.float32(v) for v in cast])
    return cv2.multiply(flat, gain, dtype=cv2.CV_32F)


def _weather(
    c: Canvas, ground: np.ndarray, tags: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clouds over the ground, then the haze: the haze-free scene, t and A."""
    weather = next((tag for tag in tags if tag in WEATHER), "clear")
    t, light = sky.transmission(c, weather), sky.light(c)
    if weather == "partly_cloudy":
        amount = float(np.clip(c.rng.lognormal(-1.9, 0.7), 0.02, 0.6))
        ground = sky.clouds(c, ground, amount)
    elif weather == "cloudy":
        if c.chance(0.55):
            t = sky.veil(c)
        else:
            ground = sky.clouds(c, ground, c.uniform(0.7, 0.98))
    noise = c.texture("grain") * np.float32(0.8)
    return cv2.add(ground, cv2.merge([noise] * 3), dtype=cv2.CV_8U), t, light


def _haze(clear: np.ndarray, t: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Equation 3 as `dehaze.add_haze` has it, in float32 and some ten times faster."""
    level = (*(light.astype(float) * 255).tolist(), 0.0)
    attenuated = cv2.multiply(cv2.subtract(clear, level, dtype=cv2.CV_32F), cv2.merge([t] * 3))
    return cv2.add(attenuated, level, dtype=cv2.CV_8U)
