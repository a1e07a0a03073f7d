"""The dark channel prior on the bench: haze of known t and A, every map on the way, the error.

Notebook 02 is written with these few functions; the interactive page is `dark_channel_widget`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count as naturals
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from .. import dehaze
from ..chips import scenes
from ..dehaze.steps import steps
from ..labels import INDEX
from ..utils.errors import PaperError

if TYPE_CHECKING:
    from ..project import Project

#: The haze of the demonstrations: a light grey, slightly blue, as in 0…1 per channel.
LIGHT = np.array([0.80, 0.83, 0.82])
DEPTHS = ("even", "slope", "bank")
MILD, STRONG = 0.7, 0.4


def depth_map(shape: tuple[int, int], strength: float, depth: str = "even") -> np.ndarray:
    """A transmission whose mean is about 1 − `strength`: `(H, W)` float64 in 0.02…1.

    depth   `"even"` (t constant), `"slope"` (thicker from one corner to the other) or `"bank"` (a
            bank of fog in the middle)
    Raises `ValueError` for a strength outside 0…1 or another depth.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength: from 0 to 1, not {strength}")
    if depth not in DEPTHS:
        raise ValueError(f"depth: one of {', '.join(DEPTHS)}, not {depth!r}")
    rows, columns = (np.linspace(-1, 1, side) for side in shape)
    if depth == "slope":
        thick = 1 + 0.35 * (rows[:, None] + columns[None, :])
    elif depth == "bank":
        thick = 0.55 + 0.95 * np.exp(-((rows[:, None] / 0.5) ** 2)) * np.ones_like(columns)
    else:
        thick = np.ones(shape)
    return np.clip(1 - strength * thick, 0.02, 1.0)


def glint(clear: np.ndarray, seed: int = 0) -> np.ndarray:
    """The sun mirrored on water: a band of `(H, W, 3)` uint8 turned nearly white."""
    height, width = clear.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    band = np.exp(-(((columns - 0.25 - 0.5 * rows) / 0.16) ** 2))
    waves = np.random.default_rng(seed).normal(0.85, 0.12, (height, width))
    share = (band * np.clip(waves, 0, 1))[..., None]
    return np.rint(clear * (1 - share) + 244 * share).astype(np.uint8)


def quality(truth: np.ndarray, image: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and SSIM of two uint8 pictures, as scikit-image computes them.

    `(H, W)` or `(H, W, 3)`. SSIM is the mean over the channels, window 7, so that pictures must
    be 7 pixels or more a side; PSNR of equal pictures is given as 99.
    """
    psnr = peak_signal_noise_ratio(truth, image, data_range=255) if (truth != image).any() else 99.0
    axis = 2 if truth.ndim == 3 else None
    return float(psnr), structural_similarity(truth, image, channel_axis=axis, data_range=255)


def sweep(
    hazy: np.ndarray, truth: np.ndarray, name: str, values: Sequence[float], **settings: object
) -> dict[float, float]:
    """Dehaze with one parameter of `steps` at several values: value -> PSNR in dB."""
    found = {}
    for value in values:
        clear = steps(hazy, **{name: value}, **settings).clear
        found[float(value)] = float(peak_signal_noise_ratio(truth, clear, data_range=255))
    return found


def chips_with(paper: Project, tag: str, most: int) -> np.ndarray:
    """Up to `most` chips of one weather: the reader's real ones, or generated ones at 256 pixels.

    Returns `(N, S, S, 3)` uint8. The generated are the first with the tag.
    """
    if paper.profile.source != "scenes" and paper.has_chips:
        chips = paper.chips()
        return chips.images[chips.labels[:, INDEX[tag]] == 1][:most]
    return np.stack([scenes.scene(index).image for index in _labelled(tag, most)])


def haze_free(tag: str, most: int) -> np.ndarray:
    """The truth behind the generated `chips_with` that tag: `(N, 256, 256, 3)` uint8."""
    return np.stack([scenes.scene(index).clear for index in _labelled(tag, most)])


def _labelled(tag: str, most: int) -> list[int]:
    """The first scenes with the tag."""
    return list(islice((i for i in naturals() if tag in scenes.tags_of(i)), most))


def histogram(images: np.ndarray | Sequence[np.ndarray], patch: int = 15) -> np.ndarray:
    """How many pixels of the dark channels have each of the values 0…255: `(256,)` int64."""
    counts = np.zeros(256, np.int64)
    for image in images:
        counts += np.bincount(dehaze.dark_channel(image, patch).ravel(), minlength=256)
    return counts


def fraction_below(counts: np.ndarray, level: int) -> float:
    """Fraction of the pixels of a `histogram` whose dark channel is below `level` (0…256)."""
    return float(counts[:level].sum() / max(1, counts.sum()))


def haze_table(count: int, *, seed: int = 0) -> pd.DataFrame:
    """PSNR and SSIM against the truth, before and after dehazing, on generated haze.

    count  scenes for each row; they have the label sets of real chips, cloudy ones left out
    Columns: haze, depth, scenes; psnr and ssim of the hazy input and of the result; psnr_light and
    ssim_light with the true A handed over; mean |t − truth|, and the same with the true A.
    """
    grounds = _grounds(count, seed)
    rows = []
    for name, level in (("mild", MILD), ("strong", STRONG)):
        for depth in ("even", "slope"):
            rows.append({"haze": name, "t_mean": level, "depth": depth, "scenes": count})
            rows[-1] |= _mean([_trial(clear, level, depth) for clear in grounds])
    return pd.DataFrame(rows)


def _trial(clear: np.ndarray, level: float, depth: str) -> dict[str, float]:
    t = depth_map(clear.shape[:2], 1 - level, depth)
    hazy = dehaze.add_haze(clear, t, LIGHT)
    found, told = steps(hazy), steps(hazy, light=LIGHT)
    values: dict[str, float] = {}
    for suffix, picture in (("_hazy", hazy), ("_dehazed", found.clear), ("_light", told.clear)):
        values[f"psnr{suffix}"], values[f"ssim{suffix}"] = quality(clear, picture)
    values["t_error"] = float(np.abs(found.fine - t).mean())
    values["t_error_light"] = float(np.abs(told.fine - t).mean())
    return values


GROUNDS: dict[str, tuple[str, ...]] = {
    "forest": ("clear", "primary"),
    "forest, river, road": ("clear", "primary", "water", "road"),
    "forest and cloud": ("partly_cloudy", "primary"),
    "fields": ("clear", "primary", "agriculture"),
    "bare ground": ("clear", "bare_ground"),
}


def depth_table(count: int, *, level: float = 0.6, seed: int = 0) -> pd.DataFrame:
    """On haze of constant depth: mean |t − truth| by kind of ground, A told and A estimated.

    count  scenes for each kind of ground
    level  the true t
    Columns: ground, dark (mean dark channel of the haze-free scene, 0…1), t_error_light (true A),
    t_error (A estimated) and light_error (mean |A − truth|).
    """
    rows = []
    for ground, tags in GROUNDS.items():
        values = []
        for index in range(count):
            clear = scenes.scene(index, seed=seed, tags=tags).clear
            hazy = dehaze.add_haze(clear, level, LIGHT)
            found, told = steps(hazy), steps(hazy, light=LIGHT)
            values.append(
                {
                    "dark": float(dehaze.dark_channel(clear).mean() / 255),
                    "t_error_light": float(np.abs(told.fine - level).mean()),
                    "t_error": float(np.abs(found.fine - level).mean()),
                    "light_error": float(np.abs(found.light - LIGHT).mean()),
                }
            )
        rows.append({"ground": ground} | _mean(values))
    return pd.DataFrame(rows)


def pairs_table(folder: str | Path) -> pd.DataFrame:
    """PSNR and SSIM before and after dehazing on pictures whose haze-free picture is known.

    folder  with `hazy/` and `clear/`; equal file names are the same place
    Raises `PaperError` where there are no pairs, or one that cannot be read or differs in size.
    """
    folder = Path(folder)
    names = sorted(
        path.name
        for path in folder.glob("hazy/*")
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".tif")
        and (folder / "clear" / path.name).is_file()
    )
    if not names:
        raise PaperError(
            f"{folder}: no pairs", "give a folder with hazy/NAME.jpg beside clear/NAME.jpg"
        )
    rows = []
    for name in names:
        hazy, clear = (_read(folder / part / name) for part in ("hazy", "clear"))
        if hazy.shape != clear.shape:
            raise PaperError(
                f"{folder / 'hazy' / name}: {hazy.shape[:2]} beside a clear {clear.shape[:2]}",
                "both pictures of a pair must have one size",
            )
        row: dict[str, object] = {"name": Path(name).stem}
        for suffix, picture in (("_hazy", hazy), ("_dehazed", dehaze.dehaze(hazy))):
            row[f"psnr{suffix}"], row[f"ssim{suffix}"] = quality(clear, picture)
        rows.append(row)
    return pd.DataFrame(rows)


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PaperError(f"{path}: not a readable picture", "put a whole JPEG or PNG there")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _grounds(count: int, seed: int) -> list[np.ndarray]:
    """The haze-free pictures of the first `count` scenes that are not cloudy."""
    grounds, index = [], 0
    while len(grounds) < count:
        if "cloudy" not in scenes.tags_of(index, seed=seed):
            grounds.append(scenes.scene(index, seed=seed).clear)
        index += 1
    return grounds


def _mean(values: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([v[key] for v in values])) for key in values[0]}
