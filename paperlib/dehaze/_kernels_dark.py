"""Dark channel and atmospheric light of uint8 images, compiled by numba, for `dehaze`.

One erosion of the bytes, each channel for itself, serves both dark channels, that of the image and
that of I/A, since a minimum commutes with the division by A. Only the candidates for A are looked
at one by one: most rows hold none.
"""

from __future__ import annotations

import numpy as np

from ._kernels_windows import U, along, copy, down, hide, inner, window
from ._plain_uint8 import HALF


@inner
def _spread(row, red, green, blue):
    for x in range(U(red.size)):
        k = x * U(3)
        red[x] = row[k]
        green[x] = row[k + U(1)]
        blue[x] = row[k + U(2)]


@inner
def _luma(red, green, blue, out):
    for x in range(out.size):
        out[x] = 299 * np.int32(red[x]) + 587 * np.int32(green[x]) + 114 * np.int32(blue[x]) - HALF


@inner
def erode(image, valid, patch, ends, kept, eroded, luma):
    """Minima over the window, each channel for itself; and the luma, where `luma` has rows.

    eroded  (h, 3 s): a row of red, one of green, one of blue, s apart; more than w of each
    """
    masked, bright = valid.size > 0, luma.size > 0
    height, width = image.shape[0], image.shape[1] // 3
    up, below = window(patch, height)
    left, right = window(patch, width)
    step = eroded.shape[1] // 3
    line, other, now = ends[0], ends[1], ends[2, : eroded.shape[1]]
    red, green = line[left : left + width], line[step + left : step + left + width]
    blue = line[2 * step + left : 2 * step + left + width]
    kept[:] = 255
    for y in range(height + below):
        if y < height:
            line[:] = 255
            _spread(image[y], red, green, blue)
            if bright:
                _luma(red, green, blue, luma[y, :width])
                if masked:
                    hide(luma[y, :width], valid[y], 0)
            if masked:
                hide(red, valid[y], np.uint8(255))
                hide(green, valid[y], np.uint8(255))
                hide(blue, valid[y], np.uint8(255))
            along(line, other, left + right + 1, now)
        else:
            now[:] = 255
        down(now, y, up + below + 1, kept)
        if y >= below:
            copy(now, eroded[y - below])


@inner
def _darkest(red, green, blue, out):
    for x in range(out.size):
        out[x] = min(min(red[x], green[x]), blue[x])


@inner
def _highest(row):
    top = np.uint8(0)
    for x in range(row.size):
        top = max(top, row[x])
    return top


@inner
def _candidates(dark, row, valid, low, table):
    """Pixels with a dark channel of `low` or more into the table; returns how many."""
    n = 0
    for x in range(dark.size):
        d = np.intp(dark[x])
        if d < low or (valid.size and not valid[x]):
            continue
        n += 1
        seen = table[d]
        seen[0] += 1
        red, green, blue = np.int64(row[3 * x]), np.int64(row[3 * x + 1]), np.int64(row[3 * x + 2])
        total = red + green + blue
        if total > seen[1]:
            seen[1] = total
            seen[2] = 1
            seen[3], seen[4], seen[5] = red, green, blue
        elif total == seen[1]:
            seen[2] += 1
            seen[3] += red
            seen[4] += green
            seen[5] += blue
    return n


@inner
def search(image, eroded, valid, box, needed, dark, table):
    """Fill a table over the values of the dark channel of the pixels `box`.

    needed  number of candidates for A; values too dark to be candidates may be left out
    dark    work space, as long as a row
    table   (256, 6) int64: pixels; highest R+G+B; pixels that have it; sum of their colours (3)
    """
    top, bottom, left, right = box
    step = eroded.shape[1] // 3
    table[:] = 0
    table[:, 1] = -1
    low = above = np.intp(0)  # `above` pixels have a dark channel of `low` or more
    line = dark[: right - left]
    for y in range(top, bottom):
        red, green, blue = eroded[y, left:], eroded[y, step + left :], eroded[y, 2 * step + left :]
        _darkest(red, green, blue, line)
        if _highest(line) < low:
            continue
        seen = valid[y if valid.size else 0, left:right]
        above += _candidates(line, image[y, 3 * left : 3 * right], seen, low, table)
        while above - table[low, 0] >= needed:  # darker pixels can be no candidates any more
            above -= table[low, 0]
            low += 1


@inner
def light_of(needed, table, light):
    """The atmospheric light, 1…255, out of the tables."""
    low = 255
    seen = table[low, 0]
    while seen < needed:
        low -= 1
        seen += table[low, 0]
    highest = table[low, 1]
    for d in range(low, 256):
        highest = max(highest, table[d, 1])
    n = 0
    light[:] = 0.0
    for d in range(low, 256):
        if table[d, 1] == highest:
            n += table[d, 2]
            for c in range(3):
                light[c] += table[d, 3 + c]
    for c in range(3):
        light[c] = max(light[c] / n, 1.0)
