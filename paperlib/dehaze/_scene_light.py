"""The atmospheric light of a scene that is seen only tile by tile, exactly as of a whole one.

The dark channel's values are looked at 16 bits at a time, the highest bits first: one streaming
pass for integers, two for float32, four for float64. Per value a table keeps the number of pixels,
the highest R+G+B, how many have it and the sum of their colours; tables of tiles add up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import equations
from ._light_table import joined, merged
from .arguments import SCALE

Box = tuple[int, int, int, int]
DIGIT = 16


def bits_of(dtype: np.dtype) -> int:
    return dtype.itemsize * 8


def look(
    colours: np.ndarray,
    valid: np.ndarray | None,
    patch: int,
    box: Box,
    question: int,
    level: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The digits found in one tile, their rows of the table, and its (lowest, highest) colours.

    colours   `(h, w, 1 or 3)`        valid  `(h, w)` bool, or None
    box       (top, bottom, left, right) of the pixels that count; the others are halo
    question  the higher bits of the values wanted, with a leading 1
    level     sums R+G+B nearer than half of this count as equal: values that were scaled and
              rounded on their way are as bright as before, and have the same light
    """
    from . import fast

    top, bottom, left, right = box
    inner = colours[top:bottom, left:right]
    seen = None if valid is None else valid[top:bottom, left:right]
    if colours.dtype == np.uint8:
        table = fast.light_table(colours, valid, patch, box, np.iinfo(np.int64).max)
        # uint8 needs no special case for one colour: dehazing gives that colour back
        return *_filled(table), np.array([[0.0], [1.0]])
    if valid is not None:
        colours = fast.blank(colours, valid)
    dark = equations.dark_channel(colours, patch, mask=valid)[top:bottom, left:right]
    pixels = inner.reshape(-1, inner.shape[2]) if seen is None else inner[seen]
    keys = dark.ravel() if seen is None else dark[seen]
    size = bits_of(keys.dtype)
    if keys.dtype.kind == "f":  # not negative, so their bits are ordered as they are
        keys = (keys + keys.dtype.type(0)).view(f"u{keys.dtype.itemsize}")
    keys = keys.astype(np.uint64)
    known = question.bit_length() - 1
    wanted = (keys >> np.uint64(size - known)) == question - (1 << known) if known else slice(None)
    chosen, keys = pixels[wanted].astype(np.float64), keys[wanted]
    shift = np.uint64(size - known - DIGIT)
    digits = ((keys >> shift) & np.uint64((1 << DIGIT) - 1)).astype(np.intp)
    table = np.zeros((1 << DIGIT, 6))
    table[:, 0] = np.bincount(digits, minlength=1 << DIGIT)
    table[:, 1] = -1
    channels = (0, 1, 2) if chosen.shape[1] == 3 else (0, 0, 0)
    total = chosen[:, channels[0]] + chosen[:, channels[1]] + chosen[:, channels[2]]
    if level:
        total = np.rint(total / level) * level
    np.maximum.at(table[:, 1], digits, total)
    best = total == table[digits, 1]
    table[:, 2] = np.bincount(digits[best], minlength=1 << DIGIT)
    for c, channel in enumerate(channels):
        table[:, 3 + c] = np.bincount(digits[best], chosen[best, channel], minlength=1 << DIGIT)
    empty = np.array([np.inf, -np.inf])[:, None]
    return *_filled(table), np.stack([pixels.min(0), pixels.max(0)]) if len(pixels) else empty


def _filled(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a table that hold pixels, and their numbers: few of 65,536 in a tile."""
    digits = np.flatnonzero(table[:, 0])
    return digits, table[digits]


class Search:
    """Asks its `question` of every tile until the light is known."""

    def __init__(self, dtype: str, fraction: float) -> None:
        self.dtype, self.fraction = np.dtype(dtype), fraction
        self.size = 256 if self.dtype == np.uint8 else 1 << DIGIT
        self.question, self.needed, self.over = 1, 0, False
        self.above: np.ndarray = np.array([0.0, -1, 0, 0, 0, 0])  # candidates of higher digits
        self.light: np.ndarray | None = None
        self._clear()

    def _clear(self) -> None:
        self.table = np.zeros((self.size, 6))
        self.table[:, 1] = -1
        self.limits = np.array([[np.inf], [-np.inf]])

    def add(self, found: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Take in one tile's answer."""
        digits, rows, limits = found
        self.table[digits] = merged(self.table[digits], rows)
        low, high = np.minimum(self.limits[0], limits[0]), np.maximum(self.limits[1], limits[1])
        self.limits = np.stack([low, high])

    def turn(self) -> None:
        """All tiles have answered: the light, or the next question."""
        counts = self.table[:, 0]
        if not self.needed:
            total = int(counts.sum())
            if total == 0 or (self.limits[0] == self.limits[1]).all():
                self.over = True  # no data, or one colour: nothing to tell haze from scene by
                return
            self.needed = math.ceil(self.fraction * total)
        seen = np.cumsum(counts[::-1])[::-1]
        digit = int(np.flatnonzero(seen >= self.needed)[-1])
        self.above = joined(np.concatenate([self.above[None], self.table[digit + 1 :]]))
        known = self.question.bit_length() - 1
        if known + DIGIT < bits_of(self.dtype):
            self.needed -= int(counts[digit + 1 :].sum())
            self.question = (self.question << DIGIT) | digit
            self._clear()
            return
        self.above = joined(np.stack([self.above, self.table[digit]]))
        mean = self.above[3:] / self.above[2] / SCALE[self.dtype]
        self.light = np.maximum(mean, equations.LIGHT_FLOOR)
        self.over = True

    def state(self) -> dict[str, Any]:
        """Arrays that `restore` takes, to continue after a kill."""
        return {
            "table": self.table,
            "limits": self.limits,
            "above": self.above,
            "numbers": np.array([self.needed, int(self.over), self.light is not None]),
            "question": np.frombuffer(self.question.to_bytes(16, "big"), np.uint8),
            "light": np.zeros(3) if self.light is None else self.light,
        }

    def restore(self, stored: Any) -> None:
        self.table, self.limits, self.above = stored["table"], stored["limits"], stored["above"]
        self.needed, over, known = (int(number) for number in stored["numbers"])
        self.over = bool(over)
        self.question = int.from_bytes(stored["question"].tobytes(), "big")
        self.light = stored["light"] if known else None
