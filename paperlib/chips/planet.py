"""The Planet Amazon chips in the competition's layout, as one array.

    DIR/train_v2.csv        image_name,tags
    DIR/train-jpg/          train_0.jpg … ; or train-jpg.tar; or train-jpg.zip

Nothing is unpacked. Chips are decoded in parallel, and what was decoded is kept by content: by the
label file and the chips' own bytes, wherever they lie and whatever they are packed in.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import PaperError
from ..labels import PUBLISHED_CHIPS, encode_many
from . import Chips, archive, cache, decode, reader, variants
from .table import read_table

TABLES = ("train_v2.csv", "train_classes.csv")  # the second is the public mirror's name for it
CONTAINERS = ("train-jpg", "train-jpg.tar", "train-jpg.zip")
GET = "get the chips with paper data fetch, or by hand as the README says"
_BLOCK = 512  # chips dehazed at full size at once, and what a killed run loses at most


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
    variants.require(variant)
    if size < 1:
        raise ValueError(f"size: expected 1 pixel or more, got {size}")
    source = Source(data, workers=workers, progress=progress)
    if source.table.bad and not skip_bad:
        raise source.bad_rows()
    images, side, bad = _original(source, size, skip_bad, cache)
    skipped = dict(bad)
    names = [name for name in source.names if name not in skipped]
    if not names:
        raise PaperError(f"{source.path}: no chip can be used", GET)
    labels = encode_many([source.table.rows[name] for name in names])
    if variant != "original":
        dehazed = _dehazed(source, names, size, cache)
        images = variants.compose(images, dehazed, labels) if "hazy" in variant else dehazed
    note = "" if variant == "original" else f", {variant}"
    if side != size:
        note = f" ({'shrunk' if side > size else 'enlarged'} from {side}){note}"
    return Chips(
        names=np.array(names),
        images=images,
        labels=labels,
        source=f"Planet, {len(names):,} of {PUBLISHED_CHIPS:,} labelled chips, {size} px{note}",
        skipped=(*source.table.bad, *bad),
    )


class Source:
    """The label file and the chips of one folder. The chips are only opened when asked for.

    table  the label file; path  the folder or archive; names  the chips of its usable rows
    """

    def __init__(self, data: str | Path, *, workers: int | None = None, progress: bool = False):
        table, self.path = locate(data)
        self.table = read_table(table)
        self.names = list(self.table.rows)
        self.how = {"workers": workers or reader.cores(), "progress": progress}

    @cached_property
    def archive(self) -> archive.Archive:
        return archive.open_archive(self.path)

    @cached_property
    def survey(self) -> reader.Survey:
        """The first look at all chips, those of another size than most counted as bad."""
        with self.archive as opened:
            found = reader.survey(opened, self.names, **self.how)
        height, width = found.usual
        shapes, bad = {}, dict(found.bad)
        for name, shape in found.shapes.items():
            if shape[:2] != (height, width):
                bad[name] = f"is {shape[1]}×{shape[0]} pixels, the others {width}×{height}"
            elif height != width or height > decode.LARGEST_SIDE:
                bad[name] = f"is {width}×{height} pixels, not a square chip"
            elif shape[2] not in (1, 3, 4):
                bad[name] = f"has {shape[2]} colour components"
            else:
                shapes[name] = shape
        in_order = {name: bad[name] for name in self.names if name in bad}
        return reader.Survey(shapes, in_order, found.digest)

    def content(self, keep: bool) -> str:
        """A hash of the label file and the chips' bytes.

        It is remembered by the files' sizes and times, so that a second read opens no chip; files
        that moved or were touched are read again and recognised by their bytes.
        """
        if not keep:
            return self.table.digest + self.survey.digest
        memo = "memo-" + cache.key(self.table.digest, archive.stamp(self.path))
        known = cache.recall(memo)
        if known is None:
            known = {"content": self.table.digest + self.survey.digest}
            cache.remember(memo, **known)
        return known["content"]

    def bad_rows(self) -> PaperError:
        total = len(self.table.rows) + len(self.table.bad)
        return PaperError(
            f"{self.table.path}: {reader.in_words(self.table.bad, total)}",
            "mend the file, or leave these chips out with --skip-bad",
        )

    def bad_chips(self, bad: list[tuple[str, str]]) -> PaperError:
        cut = f"{self.archive.cut}; " if self.archive.cut else f"{self.path}: "
        return PaperError(
            cut + reader.in_words(bad, len(self.names)),
            "copy or download the chips again, or leave these out with --skip-bad",
        )


def _original(
    source: Source, size: int, skip_bad: bool, keep: bool
) -> tuple[np.ndarray, int, list[tuple[str, str]]]:
    """Pixels of the usable chips, the side they have in their files, and the chips left out."""
    name = f"planet-{size}px-" + cache.key(source.content(keep), size, reader.VERSION)
    if keep and (found := cache.load(name)):
        images, note = found
        bad = [(chip, why) for chip, why in note["bad"]]
        if bad and not skip_bad:
            raise source.bad_chips(bad)
        return images, note["side"], bad
    looked = source.survey
    if looked.bad and not skip_bad:
        raise source.bad_chips(list(looked.bad.items()))
    with source.archive as opened:
        images, undecoded = reader.decode_all(opened, looked.shapes, size, **source.how)
    failed = {**looked.bad, **undecoded}
    bad = [(chip, failed[chip]) for chip in source.names if chip in failed]
    if bad and not skip_bad:
        raise source.bad_chips(bad)
    side = looked.usual[0]
    if keep:
        cache.save(name, images, bad=bad, side=side)
    return images, side, bad


def _dehazed(source: Source, names: list[str], size: int, keep: bool) -> np.ndarray:
    """The same chips dehazed at their own size, then brought to `size`.

    Full-size chips are only ever held a block at a time; each block's result is kept at once, so
    that a run that is killed goes on where it was.
    """
    key = cache.key(source.content(keep), names, size, reader.VERSION, variants.code_stamp())
    name = f"planet-dehazed-{size}px-{key}"
    if keep and (found := cache.load(name)):
        return found[0]
    shapes, how = source.survey.shapes, source.how
    images = np.empty((len(names), size, size, 3), np.uint8)

    def block(part: list[str]) -> np.ndarray:
        full, _ = reader.decode_all(
            opened, {n: shapes[n] for n in part}, shapes[part[0]][0], workers=how["workers"]
        )
        clear = variants.dehaze(full, workers=how["workers"])
        return np.stack([decode.fit(image, size) for image in clear])

    bar = tqdm(total=len(names), desc="chips: dehazing", unit="chip", disable=not how["progress"])
    with source.archive as opened, bar:
        for start in range(0, len(names), _BLOCK):
            part = names[start : start + _BLOCK]
            images[start : start + len(part)] = (
                cache.block(name, start, lambda part=part: block(part)) if keep else block(part)
            )
            bar.update(len(part))
    if keep:
        cache.save(name, images)
        cache.drop_blocks(name)
    return images


def locate(data: str | Path) -> tuple[Path, Path]:
    """The label file, and the folder or archive of the chips beside it.

    They lie in `data` or in a folder below it (at most two deep: the public mirror has them in
    `planet/planet/`). Raises `PaperError` where one of the two is not there.
    """
    data = Path(data)
    if not data.is_dir():
        what = "is not a folder" if data.exists() else "does not exist"
        raise PaperError(f"{data} {what}", f"give the folder that holds train_v2.csv; {GET}")
    try:
        below = [p for pattern in ("*/", "*/*/") for p in sorted(data.glob(pattern)) if p.is_dir()]
        tables = (place / name for place in [data, *below] for name in TABLES)
        table = next((path for path in tables if path.is_file()), None)
        if table is None:
            raise PaperError(f"{data} holds no train_v2.csv", GET)
        for name in CONTAINERS:
            path = table.parent / name
            # an emptied folder beside the archive it was packed into does not hold the chips
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                return table, path
        packed = sorted(path.name for path in table.parent.glob("train-jpg.*"))
    except PermissionError as error:
        raise PaperError(f"{error.filename}: permission denied", "make it readable") from None
    raise PaperError(
        f"{table.parent} holds none of {', '.join(CONTAINERS)}",
        f"unpack {packed[0]} first" if packed else GET,
    )
