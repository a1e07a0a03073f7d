"""The dark channel prior on uint8 images, row by row, compiled by numba: the hot path of `dehaze`.

Everything here works on blocks of RGB pixels, rows of `3 * w` bytes, whose borders are the image's
borders or far enough (`Parameters.halo`) from the pixels that are asked for. Nothing here knows of
files, threads, or alpha: `fast` does.

What makes it fast: one erosion for both dark channels (`dark`); box means as running sums
down the rows and differences of prefix sums along them, so that only a few rows are live and stay
in cache; and 32 bits for everything, sixteen pixels to a vector. The sums are of integers, which
may overflow on the way, as only their differences count. They are exact, so a pixel's result does
not depend on where the block around it was cut.

The units: luma g is 299 R + 587 G + 114 B minus HALF, so that g/HALF is in -1…1; p/`unit`, in -1…1
too, is twice the haze (1 - transmission) minus one. Squares, products, slope and offset of the
guided filter are in steps as small as a window's sum in int32 has room for (`_plain_uint8.units`).
"""

from __future__ import annotations

import numpy as np

from ._kernels_dark import erode, light_of, search
from ._kernels_windows import U, count, entry, hide, inner, prefix_sums, restore
from ._plain_uint8 import HALF

# --- transmission, guided filter, recovery --------------------------------------------------------


@inner
def _haze(red, green, blue, factors, most, unit, out):
    """ω times the minimum over the channels of I/A, minus a half: what eq. 8 takes from 1.

    Only at the edge of a halo, where the window is cut, can I/A be above 1; `most` keeps it there.
    """
    r, g, b = factors
    for x in range(out.size):
        least = min(np.float32(red[x]) * r, np.float32(green[x]) * g)
        least = min(least, np.float32(blue[x]) * b)
        out[x] = np.int32(np.rint(min(least, most) - unit))


@inner
def _exchange(new_g, new_p, old_g, old_p, scale, s0, s1, s2, s3):
    """A row comes into the window in place of another: the sums of g, p, g² and gp."""
    square, cross, lift = scale
    half = np.float32(0.5)
    for x in range(new_g.size):
        i, p, j, q = new_g[x], new_p[x], old_g[x], old_p[x]
        s0[x] += i - j
        s1[x] += p - q
        f, g = np.float32(i), np.float32(j)
        # rounded by cutting off the fraction of what is not negative
        s2[x] += np.int32(f * f * square + half) - np.int32(g * g * square + half)
        u, v = f * np.float32(p), g * np.float32(q)
        s3[x] += np.int32(u * cross + lift) - np.int32(v * cross + lift)


@inner
def _line(lo0, lo1, lo2, lo3, hi0, hi1, hi2, hi3, weight, units, a, b):
    """Slope and offset of the source's regression on the guide in each window."""
    of_g, of_p, of_square, flat, fine = units
    for x in range(a.size):
        w = weight[x]
        i = np.float32(np.int32(hi0[x] - lo0[x])) * (w * of_g)
        p = np.float32(np.int32(hi1[x] - lo1[x])) * (w * of_p)
        ii = np.float32(np.int32(hi2[x] - lo2[x])) * (w * of_square)
        ip = np.float32(np.int32(hi3[x] - lo3[x])) * (w * of_square)
        slope = (ip - i * p) / (max(ii - i * i, np.float32(0)) + flat)
        # what is rounded off in the slope the offset makes good
        slope = np.rint(slope * fine)
        a[x] = np.int32(slope)
        b[x] = np.int32(np.rint(p * fine - slope * i))


@inner
def _replace(new_a, new_b, old_a, old_b, s, t):
    """A row of slopes and offsets into the running sums, in place of the one that leaves."""
    for x in range(new_a.size):
        s[x] += new_a[x] - old_a[x]
        t[x] += new_b[x] - old_b[x]


@inner
def _inverse(lo0, lo1, hi0, hi1, weight, unit, g, t0, out):
    """1 / max(t, t0), where 1 - t is mean slope · guide + mean offset."""
    half, one, of_g = np.float32(0.5), np.float32(1), np.float32(1 / HALF)
    for x in range(out.size):
        a = np.float32(np.int32(hi0[x] - lo0[x]))
        b = np.float32(np.int32(hi1[x] - lo1[x]))
        t = half - (a * (np.float32(g[x]) * of_g) + b) * (weight[x] * unit)
        out[x] = one / max(t, t0)


@inner
def _columns(reach, counts):
    """The number of pixels in each window of one row."""
    last = counts.size - 1
    for x in range(counts.size):
        counts[x] = min(last, x + reach) - max(0, x - reach) + 1


@inner
def _weigh(counts, rows, weight):
    """1 / the number of pixels in each window."""
    for x in range(counts.size):
        weight[x] = np.float32(1) / np.float32(max(counts[x] * rows, 1))


@inner
def _difference(lo, hi, out):
    for x in range(out.size):
        out[x] = hi[x] - lo[x]


@inner
def _recover(row, inverse, light, out):
    """J = (I - A) / t + A (eq. 9), clipped and rounded."""
    red, green, blue = np.float32(light[0]), np.float32(light[1]), np.float32(light[2])
    half, high = np.float32(0.5), np.float32(255.5)
    red_up, green_up, blue_up = red + half, green + half, blue + half
    for x in range(U(inverse.size)):
        k, f = x * U(3), inverse[x]
        r = (np.float32(row[k]) - red) * f + red_up
        g = (np.float32(row[k + U(1)]) - green) * f + green_up
        b = (np.float32(row[k + U(2)]) - blue) * f + blue_up
        out[k] = np.int32(min(max(r, half), high))
        out[k + U(1)] = np.int32(min(max(g, half), high))
        out[k + U(2)] = np.int32(min(max(b, half), high))


@entry
def clear(
    images, valid, light, needed, patch, omega, t0, radius, eps, steps, box, ends, kept, eroded,
    luma, space, ring, table, out,
):  # fmt: skip
    """Dark channel, transmission, guided filter and recovery of the pixels `box` of blocks.

    images  (n, h, 3 w)
    valid   (h, w) bool, True where a pixel counts; (0, 0) where all do
    light   (3,) in 1…255, used where `needed` is 0; else that number of candidates is looked for in
            each image
    box     (top, bottom, left, right): the pixels wanted; the rest of a block is their halo
    steps   `_plain_uint8.units` of this window and eps
    table   what A is chosen from, see `_kernels_dark.search`
    out     (n, bottom - top, 3 (right - left)); (n, 0, 0) where only the table is wanted
    The other arrays are work space: see `_workspace`.

    All in one function for images with and without no-data, and for the table alone: compiling
    takes seconds, and more of it is shared so than in any other way.
    """
    masked = valid.size > 0
    height, width = images.shape[1], images.shape[2] // 3
    top, bottom, left, right = box
    channel = eroded.shape[1] // 3
    sums, prefix, weights, over_t = space
    s0, s1, s2, s3, sa, sb, sn = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6]
    nothing, counts = sums[7, :width], sums[8, :width]
    q0, q1, q2, q3, qa, qb = prefix[0], prefix[1], prefix[2], prefix[3], prefix[4], prefix[5]
    weight, weight_y = weights[0, :width], weights[1, :width]
    now = now_y = 0  # rows of the windows that `weight` and `weight_y` are of

    unit, fine = np.float32(steps[0]), np.float32(steps[1])
    double = 2 * omega * steps[0]
    most = np.float32(double)
    scale = np.float32(steps[0] / HALF**2), np.float32(1 / HALF), np.float32(steps[0] + 0.5)
    of_g, of_p = np.float32(1 / HALF), np.float32(1 / steps[0])
    units = of_g, of_p, of_p, np.float32(4 * eps), fine
    back = np.float32(0.5 / steps[1])

    ry, rx = min(radius, height - 1), min(radius, width - 1)
    tall = 2 * ry + 1
    held = tall + 1  # rows kept: those of the window and the one that leaves
    first = max(0, top - ry)
    start = max(0, first - ry)
    # prefix sums stand `at` to the right of their pixel, after zeros and before their last value:
    # so the window of pixel x is lo[x] … hi[x] at the borders too
    at = prefix.shape[1] - sums.shape[1]
    prefix[:, :at] = 0
    lo, hi = at - rx - 1, at + rx
    _columns(rx, counts)

    for index in range(images.shape[0]):
        image = images[index]
        erode(image, valid, patch, ends, kept, eroded, luma)
        if needed:
            search(image, eroded, valid, box, needed, ends[0], table)
        if not out.size:
            continue
        if needed:
            light_of(needed, table, light)
        # A in single precision: the same whether it came in 0…1 or in 0…255
        factors = (
            np.float32(double / np.float32(light[0])),
            np.float32(double / np.float32(light[1])),
            np.float32(double / np.float32(light[2])),
        )
        # guided filter and recovery, one row at a time: row i of slope and offset needs the rows
        # i - ry … i + ry of guide and source, row y of the result those of slope and offset
        sums[:8] = 0
        for i in range(start - ry, bottom + ry):
            enter, leave = i + ry, i - ry - 1
            come, go = enter < height, leave >= start
            if come:
                p = ring[0, enter % held, :width]
                red, green = eroded[enter], eroded[enter, channel:]
                _haze(red, green, eroded[enter, 2 * channel :], factors, most, unit, p)
                if masked:
                    hide(p, valid[enter], 0)
                    count(valid[enter], np.int32(1), sn)
            if go and masked:
                count(valid[leave], np.int32(-1), sn)
            if come or go:
                _exchange(
                    luma[enter, :width] if come else nothing,
                    ring[0, enter % held, :width] if come else nothing,
                    luma[leave, :width] if go else nothing,
                    ring[0, leave % held, :width] if go else nothing, scale, s0, s1, s2, s3,
                )  # fmt: skip
            if i < first:
                continue
            a, b = ring[1, i % held, :width], ring[2, i % held, :width]
            if i < height:
                if masked:
                    prefix_sums(sums[6:7], prefix[:1], at)
                    weight = weights[2 + i % tall, :width]
                    _difference(q0[lo:], q0[hi:], counts)
                    _weigh(counts, np.intp(1), weight)
                else:
                    rows = min(height - 1, i + ry) - max(0, i - ry) + 1
                    if rows != now:
                        now = rows
                        _weigh(counts, rows, weight)
                prefix_sums(sums[:4], prefix[:4], at)
                _line(
                    q0[lo:], q1[lo:], q2[lo:], q3[lo:], q0[hi:], q1[hi:], q2[hi:], q3[hi:],
                    weight, units, a, b,
                )  # fmt: skip
                if masked:
                    hide(a, valid[i], 0)
                    hide(b, valid[i], 0)
            gone, full = (i - tall) % held, i - tall >= first
            _replace(
                a if i < height else nothing, b if i < height else nothing,
                ring[1, gone, :width] if full else nothing,
                ring[2, gone, :width] if full else nothing, sa, sb,
            )  # fmt: skip
            y = i - ry
            if y < top:
                continue
            if masked:
                weight_y = weights[2 + y % tall, :width]
            else:
                rows = min(height - 1, y + ry) - max(0, y - ry) + 1
                if rows != now_y:
                    now_y = rows
                    _weigh(counts, rows, weight_y)
            prefix_sums(sums[4:6], prefix[4:6], at)
            _inverse(
                qa[lo:], qb[lo:], qa[hi:], qb[hi:], weight_y, back, luma[y, :width], np.float32(t0),
                over_t,
            )  # fmt: skip
            row = image[y, 3 * left : 3 * right]
            _recover(row, over_t[left:right], light, out[index, y - top])
            if masked:
                restore(row, valid[y, left:right], out[index, y - top])
