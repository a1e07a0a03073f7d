"""One data set's label file and chips: looked at, decoded, dehazed, and kept by content."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..utils import cache
from ..utils.errors import PaperError
from ..utils.system import cores
from . import Chips, archive, jpeg, reader, variants
from .label_file import LabelTable

_BLOCK = 512  # chips dehazed at full size at once, and what a killed run loses at most


class Source:
    """The chips of one folder or archive, by one label file; they are only opened when asked for.

    name      of the data set, for cache files and `Chips.source`
    table     the label file; its `names` are the chips that are looked for
    path      the folder, `.tar` or `.zip` that holds them
    workers   threads; one for each core this process may use where None
    progress  whether to show progress bars

    A data set that is not JPEGs of one square size overrides `suffixes`, `header`, `decode`,
    `refuse` and `fit`.
    """

    suffixes: tuple[str, ...] = archive.JPEG
    header = staticmethod(jpeg.header)
    decode = staticmethod(jpeg.decode)
    fit = staticmethod(jpeg.fit)

    def __init__(
        self,
        name: str,
        table: LabelTable,
        path: Path,
        *,
        workers: int | None = None,
        progress: bool = False,
    ) -> None:
        self.name, self.table, self.path = name, table, path
        self.names = list(table.rows)
        self.how = {"workers": workers or cores(), "progress": progress}

    def chips(self, size: int, variant: str, *, skip_bad: bool, keep: bool) -> Chips:
        """All usable chips at one size, in the label file's order; `read` of the data sets.

        Raises `PaperError` for bad rows and bad chips, unless `skip_bad`.
        """
        variants.require(variant)
        if size < 1:
            raise ValueError(f"size: expected 1 pixel or more, got {size}")
        if self.table.bad and not skip_bad:
            raise self._bad_rows()
        images, side, bad = self._original(size, skip_bad, keep)
        skipped = dict(bad)
        names = [name for name in self.names if name not in skipped]
        if not names:
            raise PaperError(f"{self.path}: no chip can be used", "copy or download them again")
        labels = self.table.encode(names)
        if variant != "original":
            dehazed = self._dehazed(names, size, keep)
            if variant == "dehazed":
                images = dehazed
            else:
                images = variants.compose(
                    images, dehazed, labels, np.array(names), self.table.tags, variant=variant
                )
        note = "" if variant == "original" else f", {variant}"
        if side != size:
            note = f" ({'shrunk' if side > size else 'enlarged'} from {side}){note}"
        return Chips(
            names=np.array(names),
            images=images,
            labels=labels,
            source=f"{self.name}, {len(names):,} of {self.table.whole:,} labelled chips, "
            f"{size} px{note}",
            tags=self.table.tags,
            skipped=(*self.table.bad, *bad),
        )

    @cached_property
    def archive(self) -> archive.Archive:
        return archive.open_archive(self.path, self.suffixes)

    @cached_property
    def survey(self) -> reader.Survey:
        """The first look at all chips; those of an unusable size count as bad."""
        with self.archive as opened:
            found = reader.survey(opened, self.names, self.header, **self.how)
        shapes, bad, usual = {}, dict(found.bad), found.usual
        for name, shape in found.shapes.items():
            if why := self.refuse(shape, usual):
                bad[name] = why
            else:
                shapes[name] = shape
        in_order = {name: bad[name] for name in self.names if name in bad}
        return reader.Survey(shapes, in_order, found.digest)

    def refuse(self, shape: tuple[int, int, int], usual: tuple[int, int]) -> str:
        """Why a chip of this (height, width, components) cannot be used, or `""`; `usual` is the
        size most chips have."""
        height, width, components = shape
        if (height, width) != usual:
            return f"is {width}×{height} pixels, the others {usual[1]}×{usual[0]}"
        if height != width or height > jpeg.LARGEST_SIDE:
            return f"is {width}×{height} pixels, not a square chip"
        return "" if components in (1, 3, 4) else f"has {components} colour components"

    def _original(
        self, size: int, skip_bad: bool, keep: bool
    ) -> tuple[np.ndarray, int, list[tuple[str, str]]]:
        """Pixels of the usable chips, the side they have in their files, and the chips left out."""
        key = self._key(size, keep)
        if keep and (found := cache.load(key)):
            images, note = found
            bad = [(chip, why) for chip, why in note["bad"]]
            if bad and not skip_bad:
                raise self._bad_chips(bad)
            return images, note["side"], bad
        looked = self.survey
        if looked.bad and not skip_bad:
            raise self._bad_chips(list(looked.bad.items()))
        with self.archive as opened:
            images, undecoded = reader.decode_all(
                opened, looked.shapes, size, self.decode, self.fit, **self.how
            )
        failed = {**looked.bad, **undecoded}
        bad = [(chip, failed[chip]) for chip in self.names if chip in failed]
        if bad and not skip_bad:
            raise self._bad_chips(bad)
        side = looked.usual[0]
        if keep:
            cache.save(key, images, bad=bad, side=side)
        return images, side, bad

    def _dehazed(self, names: list[str], size: int, keep: bool) -> np.ndarray:
        """The same chips dehazed at their own size, then brought to `size`.

        Full-size chips are only ever held a block at a time; each block's result is kept at once,
        so that a run that is killed goes on where it was.
        """
        key = self._key(size, keep, "dehazed", names, variants.code_stamp())
        if keep and (found := cache.load(key)):
            return found[0]
        looked, how = self.survey, self.how
        images = np.empty((len(names), size, size, 3), np.uint8)

        def block(part: list[str]) -> np.ndarray:
            shapes = {name: looked.shapes[name] for name in part}
            full, _ = reader.decode_all(
                opened, shapes, looked.usual[0], self.decode, self.fit, workers=how["workers"]
            )
            clear = variants.dehaze(full, workers=how["workers"])
            return np.stack([jpeg.fit(image, size) for image in clear])

        bar = tqdm(
            total=len(names), desc="chips: dehazing", unit="chip", disable=not how["progress"]
        )
        with self.archive as opened, bar:
            for start in range(0, len(names), _BLOCK):
                part = names[start : start + _BLOCK]
                images[start : start + len(part)] = (
                    cache.block(key, start, lambda part=part: block(part)) if keep else block(part)
                )
                bar.update(len(part))
        if keep:
            cache.save(key, images)
            cache.drop_blocks(key)
        return images

    def _key(self, size: int, keep: bool, *more: object) -> str:
        """The cache entry of these very chips, whatever they are packed in and wherever they lie.

        Which bytes the files hold is remembered by their sizes and times, so that a second read
        opens no chip; files that moved or were touched are read, and recognised by their bytes.
        """
        if not keep:
            return ""
        memo = "memo-" + cache.key(self.table.digest, archive.stamp(self.path))
        known = cache.recall(memo)
        if known is None or "content" not in known:
            known = {"content": self.table.digest + self.survey.digest}
            cache.remember(memo, **known)
        key = cache.key(known["content"], size, reader.VERSION, *more)
        return f"{self.name.lower().replace(' ', '-')}-{size}px-{key}"

    def _bad_rows(self) -> PaperError:
        total = len(self.table.rows) + len(self.table.bad)
        return PaperError(
            f"{self.table.path}: {reader.in_words(self.table.bad, total)}",
            "mend the file, or leave these chips out with --skip-bad",
        )

    def _bad_chips(self, bad: list[tuple[str, str]]) -> PaperError:
        cut = f"{self.archive.cut}; " if self.archive.cut else f"{self.path}: "
        return PaperError(
            cut + reader.in_words(bad, len(self.names)),
            "copy or download the chips again, or leave these out with --skip-bad",
        )
