"""What the dark channel finds in real haze: numbers alone, of pictures that are not shipped.

    DIR/remote_sensing/    hazy aerial pictures, of which nothing is known
    DIR/pairs/hazy, clear  real scenes without haze, and with haze that others added
    CHIPS/                 Planet chips at full size with their label file

    paper full-resolution --part real-haze --hazy DIR --planet CHIPS

writes `results/ucmerced/real_haze.csv`, a row for each picture. The file holds no picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .. import dehaze, f2, predictor
from ..chips import planet, variants
from ..utils import files
from ..utils.errors import PaperError

NAME = "real_haze"
SETS = {
    "aerial": "hazy aerial pictures",
    "pair": "real scenes, haze added by others",
    "planet haze": "Planet chips labelled haze",
    "planet clear": "Planet chips labelled clear",
}
HALF = 0.5  # of the light comes through: below it haze is thick


def found(image: np.ndarray) -> dict[str, float]:
    """What the dark channel prior says of a picture `(H, W, 3)` uint8, windows scaled to its side.

    `red`, `green`, `blue`: the light A, in 0…1; `transmission`: its mean over the picture, not
    refined; `thick`: the fraction of pixels of which less than half comes through; `dark` and
    `dark_after`: the mean dark channel before and after, in 0…1.
    """
    scaled = variants.scaled(min(image.shape[:2]))
    patch = scaled["patch"]
    dark = dehaze.dark_channel(image, patch)
    light = dehaze.atmospheric_light(image, dark)
    t = dehaze.transmission(image, light, patch)
    after = dehaze.dark_channel(dehaze.dehaze(image, workers=1, **scaled), patch)
    return {
        **dict(zip(("red", "green", "blue"), map(float, light), strict=True)),
        "transmission": float(t.mean()),
        "thick": float((t < HALF).mean()),
        "dark": float(_unit(dark).mean()),
        "dark_after": float(_unit(after).mean()),
    }


def _unit(dark: np.ndarray) -> np.ndarray:
    return dark / 255 if np.issubdtype(dark.dtype, np.integer) else dark


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square difference of two pictures of one shape, in grey levels of 0…255."""
    return float(np.sqrt(((one.astype(float) - other) ** 2).mean()))


def measured(folder: Path, chips: Path) -> pd.DataFrame:
    """A row for each picture: `set`, `picture`, and `found`; of pairs `before` and `after`, the
    `distance` of the hazy and of the dehazed picture to the clear one; of chips `changed`, the
    number of labels that the released model gives or takes when they are dehazed, and whether it
    calls them hazy, `haze_before` and `haze_after`.

    Raises `PaperError` where there is no picture.
    """
    rows = []
    for path in predictor.find_images([folder / "remote_sensing"]).values():
        rows.append({"set": "aerial", "picture": path.stem, **found(predictor.read_image(path))})
    for path in predictor.find_images([folder / "pairs" / "hazy"]).values():
        hazy = predictor.read_image(path)
        clear = predictor.read_image(folder / "pairs" / "clear" / path.name)
        dehazed = dehaze.dehaze(hazy, workers=1, **variants.scaled(min(hazy.shape[:2])))
        ends = {"before": distance(hazy, clear), "after": distance(dehazed, clear)}
        rows.append({"set": "pair", "picture": path.stem, **found(hazy), **ends})
    rows += _planet(chips)
    if not rows:
        raise PaperError(f"{folder} holds no picture", "give the folder of hazy pictures")
    return pd.DataFrame(rows)


def _planet(folder: Path) -> Iterable[dict[str, object]]:
    """Rows of the Planet chips labelled haze or clear, at full size."""
    chips = planet.read(folder, 256)
    model = predictor.load("planet32")
    dehazed = variants.dehaze(chips.images, workers=1)
    before, after = (
        _given(model.predict(images).labels, model.tags) for images in (chips.images, dehazed)
    )
    haze = model.tags.index("haze")
    for i, name in enumerate(chips.names.tolist()):
        for tag in ("haze", "clear"):
            if chips.labels[i, chips.tags.index(tag)]:
                yield {
                    "set": f"planet {tag}",
                    "picture": name,
                    **found(chips.images[i]),
                    "changed": int((before[i] != after[i]).sum()),
                    "haze_before": int(before[i, haze]),
                    "haze_after": int(after[i, haze]),
                }


def _given(labels: Sequence[Sequence[str]], tags: Sequence[str]) -> np.ndarray:
    return np.array([[tag in mine for tag in tags] for mine in labels], np.uint8)


def ship(folder: str | Path, chips: str | Path, root: Path) -> Path:
    """Write the rows of `measured` into `root`/ucmerced."""
    path = root / "ucmerced" / f"{NAME}.csv"
    table = measured(Path(folder), Path(chips))
    files.write_text(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    return path


def read(folder: Path | None = None) -> pd.DataFrame:
    """The shipped rows; `PaperError` where there are none."""
    path = (folder or Path(__file__).parents[2] / "results" / "ucmerced") / f"{NAME}.csv"
    if not path.is_file():
        raise PaperError(f"{path} is not there", "run this in a checkout")
    return pd.read_csv(path)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each set: medians of `found`, `A` the mean of its channels; of pairs `nearer`, the
    mean change of the distance to the clear picture, with its 95 % bootstrap interval `low`, `high`
    (below 0: dehazing brings it nearer); of chips the means of `changed`, `haze_before` and
    `haze_after`.
    """
    rows = []
    for name, words in SETS.items():
        mine = table[table["set"] == name]
        if mine.empty:
            continue
        row = {"pictures": words, "count": len(mine)}
        row["A"] = mine[["red", "green", "blue"]].mean(axis=1).median()
        row |= {key: mine[key].median() for key in ("transmission", "thick", "dark", "dark_after")}
        if name == "pair":
            change = f2.mean_interval((mine["after"] - mine["before"]).to_numpy(float))
            row |= {"nearer": change.value, "low": change.low, "high": change.high}
        elif name != "aerial":
            row |= {key: mine[key].mean() for key in ("changed", "haze_before", "haze_after")}
        rows.append(row)
    return pd.DataFrame(rows)
