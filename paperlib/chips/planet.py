"""The Planet Amazon chips in the competition's layout, as one array.

    DIR/train_v2.csv        image_name,tags; or train_v2.csv.zip, or train_v2.csv/train_v2.csv
    DIR/train-jpg/          train_0.jpg … ; or train-jpg.tar; or train-jpg.zip

Nothing is unpacked. Chips are decoded in parallel, and what was decoded is kept by content: by the
label file and the chips' own bytes, wherever they lie and whatever they are packed in.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from ..utils.errors import PaperError
from . import Chips
from .label_file import read_table
from .source import Source

TABLES = ("train_v2.csv", "train_classes.csv")  # the second is the public mirror's name for it
CONTAINERS = ("train-jpg", "train-jpg.tar", "train-jpg.zip")
GET = "get the chips with paper data fetch, or by hand as the README says"


def read(
    data: str | Path,
    size: int,
    *,
    variant: str = "original",
    skip_bad: bool = False,
    workers: int | None = None,
    progress: bool = True,
    cache: bool = True,
) -> Chips:
    """Read every labelled chip as `(N, size, size, 3)` uint8 RGB, in the label file's order.

    data      folder with `train_v2.csv` beside `train-jpg/`, `train-jpg.tar` or `train-jpg.zip`,
              itself or a folder below it
    size      height and width in pixels; shrinking averages areas, enlarging is bicubic
    variant   `"original"`, `"dehazed"` (at the chips' own size, then shrunk) or `"dehazed-hazy"`
    skip_bad  leave chips that cannot be used out, and list them in `.skipped`, instead of stopping
    workers   threads; by default one for each core this process may use
    progress  whether to show progress bars on stderr
    cache     whether to look for, and keep, the pixels in the project's cache folder

    Raises `PaperError`, one line that names the file and the cure, for a folder without chips, a
    label file or an archive that cannot be used, and (without `skip_bad`) any chip that cannot.
    """
    source = open_source(data, workers=workers, progress=progress)
    return source.chips(size, variant, skip_bad=skip_bad, keep=cache)


def open_source(data: str | Path, *, workers: int | None = None, progress: bool = False) -> Source:
    """The label file, read, and where the chips are; no chip is opened yet."""
    table, path = locate(data)
    return Source("Planet", read_table(table), path, workers=workers, progress=progress)


def locate(data: str | Path) -> tuple[Path, Path]:
    """The label file, and the folder or archive of the chips beside it.

    They lie in `data` or in a folder below it (at most two deep: the public mirror has them in
    `planet/planet/`). Raises `PaperError` where one of the two is not there.
    """
    data = Path(data)
    try:
        if not data.is_dir():
            what = "is not a folder" if data.exists() else "does not exist"
            raise PaperError(f"{data} {what}", f"give the folder that holds train_v2.csv; {GET}")
        # lazily: looking two folders down passes over every chip of an unpacked folder
        below = (p for deep in ("*/", "*/*/") for p in sorted(data.glob(deep)) if p.is_dir())
        # Kaggle packs single files as train_v2.csv.zip
        names = (*TABLES, *(f"{name}.zip" for name in TABLES))
        tables = (place / name for place in chain([data], below) for name in names)
        table = next((path for path in tables if path.is_file()), None)
        if table is None:
            raise PaperError(f"{data} holds no train_v2.csv", GET)
        place = table.parent
        if place.name in TABLES:  # Kaggle's list unpacks to train_v2.csv/train_v2.csv
            place = place.parent
        for name in CONTAINERS:
            path = place / name
            # an emptied folder beside the archive it was packed into does not hold the chips
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                return table, path
        packed = sorted(path.name for path in place.glob("train-jpg.*"))
    except PermissionError as error:
        raise PaperError(f"{error.filename}: permission denied", "make it readable") from None
    raise PaperError(
        f"{place} holds none of {', '.join(CONTAINERS)}",
        f"unpack {packed[0]} first" if packed else GET,
    )
