"""Many chips at once: a first look at every one's bytes, then decoding, both in parallel."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
import PIL
from tqdm import tqdm

from . import jpeg
from .archive import Archive, BadChip

#: Part of every cache key: raise the number when the same bytes come to give other pixels.
VERSION = (1, cv2.__version__, PIL.__version__)
_TASK = 256  # chips per task: long enough to hide the cost of a task, short enough for the bar

T = TypeVar("T")
R = TypeVar("R")


def parallel(
    task: Callable[[T], R], items: Sequence[T], workers: int, bar: str, progress: bool
) -> Iterator[R]:
    """`task` of each item, in order, on threads: reading and decoding leave Python's lock free."""
    tasks = [items[i : i + _TASK] for i in range(0, len(items), _TASK)]
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(items), desc=bar, unit="chip", disable=not progress) as shown,
    ):
        try:
            for done in pool.map(lambda part: [task(item) for item in part], tasks):
                shown.update(len(done))
                yield from done
        finally:  # an error or an interrupt does not wait for chips nobody will see
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Survey:
    """What the chips' bytes and headers say, before anything is decoded.

    shapes  chip name -> (height, width, components), for the chips that can be decoded
    bad     chip name -> why it cannot be used
    digest  sha256 over names and bytes: equal for equal chips in any kind of archive
    """

    shapes: dict[str, tuple[int, int, int]]
    bad: dict[str, str]
    digest: str

    @cached_property
    def usual(self) -> tuple[int, int]:
        """The height and width that most chips have; (0, 0) where there is no chip."""
        sizes = Counter(shape[:2] for shape in self.shapes.values())
        return max(sizes, key=lambda size: (sizes[size], size)) if sizes else (0, 0)


def survey(
    archive: Archive,
    names: Sequence[str],
    header: Callable[[bytes], tuple[int, int, int]] = jpeg.header,
    *,
    workers: int = 1,
    progress: bool = False,
) -> Survey:
    """Read the bytes and the header (height, width, components) of each named chip."""

    def look(name: str) -> tuple[bytes, tuple[int, int, int] | str]:
        if name in archive.twice:
            return b"twice", f"is there twice ({', '.join(archive.twice[name][:2])})"
        if name not in archive.chips:
            kinds = " or ".join(archive.suffixes[:2])
            other = f", except in another format than {kinds}" if name in archive.others else ""
            return b"missing", f"is not in {archive.path.name}{other}"
        try:
            data = archive.read(name)
        except BadChip as error:
            return b"unread", str(error)
        digest = hashlib.sha256(data).digest()
        try:
            return digest, header(data)
        except BadChip as error:
            return digest, str(error)

    total = hashlib.sha256()
    shapes: dict[str, tuple[int, int, int]] = {}
    bad: dict[str, str] = {}
    found = parallel(look, names, workers, "chips: looking", progress)
    for name, (digest, result) in zip(names, found, strict=True):
        total.update(name.encode() + b"\0" + digest)
        if isinstance(result, str):
            bad[name] = result
        else:
            shapes[name] = result
    return Survey(shapes, bad, total.hexdigest())


def decode_all(
    archive: Archive,
    shapes: dict[str, tuple[int, int, int]],
    size: int,
    decode: Callable[[bytes, int], np.ndarray] = jpeg.decode,
    fit: Callable[[np.ndarray, int], np.ndarray] = jpeg.fit,
    *,
    workers: int = 1,
    progress: bool = False,
) -> tuple[np.ndarray, dict[str, str]]:
    """Decode the chips of `shapes` and bring them to `(N, size, size, 3)` uint8.

    decode  bytes and number of components -> `(H, W, 3)`; fit  `(H, W, 3)` and size -> pixels

    Chips that cannot be decoded are named with the reason, and are not among the N.
    """
    names = list(shapes)
    images = np.empty((len(names), size, size, 3), np.uint8)

    def one(index: int) -> str:
        try:
            rgb = decode(archive.read(names[index]), shapes[names[index]][2])
        except BadChip as error:
            return str(error)
        images[index] = fit(rgb, size)
        return ""

    bar = f"chips: to {size} px"
    reasons = list(parallel(one, range(len(names)), workers, bar, progress))
    bad = {name: why for name, why in zip(names, reasons, strict=True) if why}
    return (images[[not why for why in reasons]] if bad else images), bad


def in_words(bad: Sequence[tuple[str, str]], total: int) -> str:
    """One line: how many chips cannot be used, and the first three with the reason."""
    first = "; ".join(_printable(f"{name or 'a row'} {why}") for name, why in bad[:3])
    more = f"; and {len(bad) - 3:,} more" if len(bad) > 3 else ""
    return f"{len(bad):,} of {total:,} chips cannot be used: {first}{more}"


def _printable(text: str) -> str:
    """File names may hold line ends and terminal commands; an error shows them, escaped."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
