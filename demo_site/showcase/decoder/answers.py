"""What the decoder's child answers, checked: it may have been taken over."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..failure_reasons import REASONS

_LARGEST, _LONGEST = 2**24, 2**16  # bytes and pixels of a side that one chip has at most


class Refused(Exception):
    """A file is not read; the argument is a code of `failure_reasons.REASONS`."""


class Away(OSError):
    """The decoder does not start: no fault of the file, and it passes."""


@dataclass(frozen=True)
class Head:
    """What a file is: for a picture its size and the grid it is cut into."""

    kind: str
    width: int = 0
    height: int = 0
    rows: int = 0
    columns: int = 0
    #: Longitude and latitude, clockwise from the first pixel's; None where the file does not say.
    corners: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Piece:
    """One chip of a picture, at its place in the grid."""

    row: int
    column: int
    size: tuple[int, int]  # height and width in the picture
    sha256: str  # of its shape and pixels
    pixels: np.ndarray  # RGB uint8: as in the picture, or of the side that was asked for


@dataclass(frozen=True)
class Member:
    """One file of an archive, or the reason why it stays packed."""

    position: int
    name: str
    reason: str
    data: bytes


#: What comes of a file: a head, and its parts.
Item = Head | Piece | Member


def _corners(given) -> tuple[tuple[float, float], ...] | None:
    found = tuple((float(x), float(y)) for x, y in given or ())
    good = all(abs(x) <= 180 and abs(y) <= 90 for x, y in found)  # not for what is no number
    return found if good and len(found) == 4 else None


def item(record: dict, data: memoryview) -> Item | Refused | None:
    """A record that the child sent, checked; None at the end of a file."""
    if "refused" in record:
        return Refused(record["refused"] if record["refused"] in REASONS else "broken")
    if "head" in record:
        head = Head(**record["head"])
        return replace(head, corners=_corners(head.corners))
    if "chip" in record:
        row, column, *size = map(int, record["chip"])
        height, width, _ = shape = tuple(map(int, record["shape"]))
        if not all(1 <= side <= _LONGEST for side in (*size, height, width)) or row < 0:
            raise ValueError("no chip is of this size")
        mark = record["sha256"]
        if not isinstance(mark, str) or len(mark) != 64 or len(data) > _LARGEST:
            raise ValueError("no chip")
        # A copy: a view would hold the whole frame for as long as one of its chips waits.
        pixels = np.frombuffer(bytes(data), np.uint8).reshape(shape)
        return Piece(row, column, (size[0], size[1]), mark, pixels)
    if "member" in record:
        position, name, reason = record["member"]
        return Member(int(position), str(name), str(reason), bytes(data))
    if "end" not in record:
        raise ValueError("an unknown record")
    return None
