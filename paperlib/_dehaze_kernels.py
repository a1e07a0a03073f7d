"""The dark channel prior row by row, compiled by numba: the hot path of `dehaze`.

Everything here works on one block of RGB pixels, rows of `3 * w` values, whose borders are the
image's borders or far enough (`Parameters.halo`) from the pixels that are asked for. Nothing here
knows of files, threads, alpha, or dtypes other than uint8 and float64: `_dehaze_fast` does.

What makes it fast: minima over a window by doubling (log2(patch) passes of a vector minimum), taken
after the minimum over the channels, with which they commute; box means as running sums down the
rows and differences of prefix sums along them, so that only a few rows are live and stay in cache.
Sums are float64 throughout: the variance is a difference of nearly equal numbers, and the picture
is divided by the transmission.

Loops are written so that LLVM vectorises them: one index from 0 into slices made beforehand, or an
unsigned index where pixels are three values apart (a signed one is tested for wrap-around).
"""

from __future__ import annotations

import numba
import numpy as np

U = np.uint64
RED, GREEN, BLUE = 0.299, 0.587, 0.114

# No reference counting: the kernels allocate nothing, and a slice costs nothing then. No way to
# call the inner functions from Python: a fifth of the time to compile.
_options = {"nogil": True, "error_model": "numpy", "_nrt": False}
_inner = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_options)


def _entry(function):
    """Compiled at the first call and kept on disk, where there is a disk to keep it on."""
    try:
        return numba.njit(cache=True, **_options)(function)
    except RuntimeError:  # numba: neither the package nor the home folder can be written to
        return numba.njit(**_options)(function)


# --- windows --------------------------------------------------------------------------------------


@_inner
def _minimum(a, b, out):
    for x in range(out.size):
        out[x] = min(a[x], b[x])


@_inner
def _hide(row, valid, value):
    for x in range(row.size):
        row[x] = row[x] if valid[x] else value


def reach(patch, side):
    """How far the window reaches back and forth, no further than the side is long."""
    return min(patch // 2, side - 1), min(patch - 1 - patch // 2, side - 1)


_reach = _inner(reach)


@_inner
def _erode_row(a, b, size, out):
    """Minimum over [x, x + size) of `a` into `out`, by doubling; `b` is work space like `a`."""
    done = 1
    while 2 * done < size:
        n = a.size - 2 * done + 1
        _minimum(a[:n], a[done : done + n], b[:n])
        a, b = b, a
        done *= 2
    _minimum(a[: out.size], a[size - done : size - done + out.size], out)


@_inner
def _erode_rows(a, b, size):
    """The same down the columns; returns how often the two planes have changed places."""
    done = turns = 1
    while done < size:
        step = min(done, size - done)
        for y in range(a.shape[0] - done - step + 1):
            _minimum(a[y], a[y + step], b[y])
        a, b = b, a
        done += step
        turns += 1
    return turns - 1


# --- dark channel and atmospheric light -----------------------------------------------------------


@_inner
def _darkest(row, out):
    for x in range(U(out.size)):
        k = x * U(3)
        out[x] = min(min(row[k], row[k + U(1)]), row[k + U(2)])


@_inner
def _dark_plane(image, valid, patch, a, b, ends):
    """The dark channel of a uint8 block: the first h rows of `a` (0 is returned) or of `b` (1)."""
    height, width = image.shape[0], image.shape[1] // 3
    up, down = _reach(patch, height)
    left, right = _reach(patch, width)
    a[:up] = 255
    a[up + height : up + height + down] = 255
    for y in range(height):
        line, other = ends[0], ends[1]
        line[:left] = 255
        line[left + width :] = 255
        middle = line[left : left + width]
        _darkest(image[y], middle)
        if valid is not None:
            _hide(middle, valid[y], np.uint8(255))
        _erode_row(line, other, left + right + 1, a[up + y])
    return _erode_rows(a, b, up + down + 1) % 2


@_inner
def _count(dark, valid, count):
    for x in range(dark.size):
        if valid is None or valid[x]:
            count[dark[x]] += 1


@_inner
def _at_least(dark, valid, low):
    n = 0
    for x in range(dark.size):
        if valid is None:
            n += dark[x] >= low
        else:
            n += valid[x] and dark[x] >= low
    return n


@_inner
def _highest(row):
    top = np.uint8(0)
    for x in range(row.size):
        top = max(top, row[x])
    return top


@_inner
def _brightest(dark, row, valid, low, best, ties, colour):
    for x in range(dark.size):
        d = np.intp(dark[x])
        if d < low or (valid is not None and not valid[x]):
            continue
        red, green, blue = np.int64(row[3 * x]), np.int64(row[3 * x + 1]), np.int64(row[3 * x + 2])
        total = red + green + blue
        if total > best[d]:
            best[d] = total
            ties[d] = 0
            colour[d, :] = 0
        if total == best[d]:
            ties[d] += 1
            colour[d, 0] += red
            colour[d, 1] += green
            colour[d, 2] += blue


@_entry
def tabulate(image, valid, patch, box, needed, a, b, ends, table):
    """Fill a table over the values of a uint8 block's dark channel.

    table   (256, 6) int64: pixels; highest R+G+B; pixels that have it; sum of their colours (3);
            zeros on entry, but -1 for the brightness
    box     (top, bottom, left, right) of the pixels that count; the rest of the block is halo
    needed  number of candidates for A; values too dark to be candidates may be left out
    """
    count, best, ties, colour = table[:, 0], table[:, 1], table[:, 2], table[:, 3:]
    dark = b if _dark_plane(image, valid, patch, a, b, ends) else a
    top, bottom, left, right = box
    low = above = 0  # `above` pixels have a dark channel of `low` or more
    for y in range(top, bottom):
        line = dark[y, left:right]
        seen = None if valid is None else valid[y, left:right]
        _count(line, seen, count)
        if _highest(line) >= low:
            _brightest(line, image[y, 3 * left : 3 * right], seen, low, best, ties, colour)
            above += _at_least(line, seen, np.uint8(low))
            while above - count[low] >= needed:  # darker pixels can be no candidates any more
                above -= count[low]
                low += 1


@_inner
def _light(needed, floor, table, light):
    """The atmospheric light, in the image's units, out of the tables."""
    count, best, ties, colour = table[:, 0], table[:, 1], table[:, 2], table[:, 3:]
    low = count.size - 1
    seen = count[low]
    while seen < needed:
        low -= 1
        seen += count[low]
    highest = best[low]
    for d in range(low, count.size):
        highest = max(highest, best[d])
    n = 0
    light[:] = 0.0
    for d in range(low, count.size):
        if best[d] == highest:
            n += ties[d]
            for c in range(3):
                light[c] += colour[d, c]
    for c in range(3):
        light[c] = max(light[c] / n, floor)


# --- transmission, guided filter, recovery --------------------------------------------------------


@_inner
def _guide(row, to_luma, to_relative, g, m):
    """Luma in 0…1, and the minimum over the channels of I/A."""
    r0, g0, b0 = to_luma
    r1, g1, b1 = to_relative
    for x in range(U(g.size)):
        k = x * U(3)
        red, green, blue = row[k] * r0, row[k + U(1)] * g0, row[k + U(2)] * b0
        g[x] = red + green + blue
        m[x] = min(min(row[k] * r1, row[k + U(1)] * g1), row[k + U(2)] * b1)


@_inner
def _coarse(m, omega):
    for x in range(m.size):
        m[x] = 1 - omega * m[x]


@_inner
def _exchange(new_g, new_m, old_g, old_m, s0, s1, s2, s3):
    for x in range(s0.size):
        i, p = np.float64(new_g[x]), np.float64(new_m[x])
        j, q = np.float64(old_g[x]), np.float64(old_m[x])
        s0[x] += i - j
        s1[x] += p - q
        s2[x] += i * i - j * j
        s3[x] += i * p - j * q


@_inner
def _prefix(s, t, q, r):
    """Prefix sums of two rows; two chains of additions hide each other's latency."""
    a = b = 0.0
    for x in range(s.size):
        a += s[x]
        b += t[x]
        q[x] = a
        r[x] = b
    q[s.size :] = a
    r[s.size :] = b


@_inner
def _line(lo0, lo1, lo2, lo3, hi0, hi1, hi2, hi3, wx, wy, eps, a, b):
    """Slope and offset of the source's regression on the guide in each window."""
    for x in range(a.size):
        w = wx[x] * wy
        i = (hi0[x] - lo0[x]) * w
        p = (hi1[x] - lo1[x]) * w
        variance = max((hi2[x] - lo2[x]) * w - i * i, 0.0)
        slope = ((hi3[x] - lo3[x]) * w - i * p) / (variance + eps)
        a[x] = slope
        b[x] = p - slope * i


@_inner
def _enter(new_a, new_b, a, b, s, t):
    """Two rows into the ring, and into the running sums as the ring keeps them."""
    for x in range(a.size):
        a[x] = new_a[x]
        b[x] = new_b[x]
        s[x] += np.float64(a[x])
        t[x] += np.float64(b[x])


@_inner
def _replace(new_a, new_b, a, b, s, t):
    """The same in place of the two rows that leave the window."""
    for x in range(a.size):
        old_a, old_b = np.float64(a[x]), np.float64(b[x])
        a[x] = new_a[x]
        b[x] = new_b[x]
        s[x] += np.float64(a[x]) - old_a
        t[x] += np.float64(b[x]) - old_b


@_inner
def _inverse(lo0, lo1, hi0, hi1, wx, wy, g, t0, out):
    """1 / max(t, t0), where t is mean slope · guide + mean offset."""
    for x in range(out.size):
        t = ((hi0[x] - lo0[x]) * g[x] + (hi1[x] - lo1[x])) * (wx[x] * wy)
        out[x] = 1 / max(t, t0)


@_inner
def _add_count(valid, sign, s):
    for x in range(s.size):
        s[x] += sign * valid[x]


@_inner
def _reciprocal(lo, hi, out, kept):
    for x in range(out.size):
        n = hi[x] - lo[x]
        out[x] = 1 / n if n > 0 else 0.0
        kept[x] = out[x]


@_inner
def _copy(row, out):
    for x in range(out.size):
        out[x] = row[x]


@_inner
def _recover_bytes(row, inverse, light, out):
    red, green, blue = np.float32(light[0]), np.float32(light[1]), np.float32(light[2])
    half, low, high = np.float32(0.5), np.float32(0), np.float32(255)
    for x in range(U(inverse.size)):
        k, f = x * U(3), inverse[x]
        r = (np.float32(row[k]) - red) * f + red
        g = (np.float32(row[k + U(1)]) - green) * f + green
        b = (np.float32(row[k + U(2)]) - blue) * f + blue
        out[k] = np.int32(min(max(r, low), high) + half)
        out[k + U(1)] = np.int32(min(max(g, low), high) + half)
        out[k + U(2)] = np.int32(min(max(b, low), high) + half)


@_inner
def _recover_floats(row, inverse, light, out):
    for x in range(U(inverse.size)):
        for c in range(U(3)):
            k = x * U(3) + c
            out[k] = min(max((row[k] - light[c]) * inverse[x] + light[c], 0.0), 1.0)


@_inner
def _restore(row, valid, out):
    for x in range(valid.size):
        if not valid[x]:
            for c in range(3):
                out[3 * x + c] = row[3 * x + c]


@_entry
def clear(
    image, valid, light, peak, patch, omega, t0, radius, eps, box, g, m, n, ends, sums, ring, out
):
    """Transmission, guided filter and recovery of the pixels `box` of a block.

    image  (h, 3 w) uint8 or float64      valid  (h, w) bool, or None
    light  (3,) in the image's units      peak   255 or 1
    box    (top, bottom, left, right): the pixels wanted; the rest of the block is their halo
    out    (bottom - top, 3 (right - left)) of the image's dtype
    The other arrays are work space: see `_dehaze_fast.Space`.
    """
    height, width = image.shape[0], image.shape[1] // 3
    top, bottom, left, right = box
    one = g.dtype.type

    # coarse transmission, eq. 8, and the guide
    up, down = _reach(patch, height)
    back, forth = _reach(patch, width)
    to_luma = (one(RED / peak), one(GREEN / peak), one(BLUE / peak))
    to_relative = (one(1 / light[0]), one(1 / light[1]), one(1 / light[2]))
    m[:up] = np.inf
    m[up + height : up + height + down] = np.inf
    for y in range(height):
        line, other = ends[0], ends[1]
        line[:back] = np.inf
        line[back + width :] = np.inf
        middle = line[back : back + width]
        _guide(image[y], to_luma, to_relative, g[y], middle)
        if valid is not None:
            _hide(middle, valid[y], one(np.inf))
            _hide(g[y], valid[y], one(0))
        _erode_row(line, other, back + forth + 1, m[up + y])
    p = n if _erode_rows(m, n, up + down + 1) % 2 else m
    for y in range(height):
        _coarse(p[y], one(omega))
        if valid is not None:
            _hide(p[y], valid[y], one(0))

    # guided filter and recovery, one row at a time: row i of slope and offset needs the rows
    # i - ry … i + ry of guide and source, row y of the result those of slope and offset
    ry, rx = min(radius, height - 1), min(radius, width - 1)
    tall, wide = 2 * ry + 1, 2 * rx + 1
    sums[:] = 0.0
    nothing = ends[2, :width]
    nothing[:] = 0
    # prefix sums stand rx + 1 to the right of their pixel, after zeros and before their last value:
    # so the window of pixel x is lo[x] … hi[x] at the borders too
    s0, s1, s2, s3, sa, sb, sn = (
        sums[0, :width], sums[1, :width], sums[2, :width], sums[3, :width],
        sums[4, :width], sums[5, :width], sums[6, :width],
    )  # fmt: skip
    q = sums[7:14]
    at = rx + 1
    q0, q1, q2, q3, qa, qb, qn = q[0], q[1], q[2], q[3], q[4], q[5], q[6]
    weight, new_a, new_b, inverse = (
        sums[14, :width], sums[15, :width], sums[16, :width], ends[3, :width],
    )  # fmt: skip
    for x in range(width):
        weight[x] = 1 / (min(width - 1, x + rx) - max(0, x - rx) + 1)
    first = max(0, top - ry)
    for i in range(max(0, first - ry) - ry, bottom + ry):
        new, old = i + ry, i - ry - 1
        if new < height or old >= max(0, first - ry):
            enter, leave = new < height, old >= max(0, first - ry)
            _exchange(
                g[new] if enter else nothing, p[new] if enter else nothing,
                g[old] if leave else nothing, p[old] if leave else nothing, s0, s1, s2, s3,
            )  # fmt: skip
            if valid is not None:
                if enter:
                    _add_count(valid[new], 1, sn)
                if leave:
                    _add_count(valid[old], -1, sn)
        if i < first:
            continue
        a, b, wn = ring[0, i % tall], ring[1, i % tall], ring[2, i % tall]
        if i < height:
            _prefix(s0, s1, q0[at:], q1[at:])
            _prefix(s2, s3, q2[at:], q3[at:])
            wy = 1.0
            if valid is None:
                wy = 1 / (min(height - 1, i + ry) - max(0, i - ry) + 1)
            else:
                _prefix(sn, sn, qn[at:], qn[at:])
                _reciprocal(qn, qn[wide:], weight, wn)
            _line(
                q0, q1, q2, q3, q0[wide:], q1[wide:], q2[wide:], q3[wide:],
                weight, wy, eps, new_a, new_b,
            )  # fmt: skip
            if valid is not None:
                _hide(new_a, valid[i], 0.0)
                _hide(new_b, valid[i], 0.0)
        else:
            new_a[:] = 0.0
            new_b[:] = 0.0
        if i - tall < first:
            _enter(new_a, new_b, a, b, sa, sb)
        else:
            _replace(new_a, new_b, a, b, sa, sb)
        y = i - ry
        if y < top:
            continue
        _prefix(sa, sb, qa[at:], qb[at:])
        wy = 1.0
        if valid is None:
            wy = 1 / (min(height - 1, y + ry) - max(0, y - ry) + 1)
        else:
            _copy(ring[2, y % tall], weight)
        _inverse(qa, qb, qa[wide:], qb[wide:], weight, wy, g[y], t0, inverse)
        row = image[y, 3 * left : 3 * right]
        if peak > 1:
            _recover_bytes(row, inverse[left:right], light, out[y - top])
        else:
            _recover_floats(row, inverse[left:right], light, out[y - top])
        if valid is not None:
            _restore(row, valid[y, left:right], out[y - top])


@_entry
def chips(
    images, patch, omega, t0, needed, radius, eps, a, b, byte_ends, g, m, n, ends, sums, ring,
    table, light, out,
):  # fmt: skip
    """Small uint8 images (N, h, 3 w), each from start to end, into `out`.

    Calls the two functions above with the very types they are compiled for anyway.
    """
    height, width = images.shape[1], images.shape[2] // 3
    box = (0, height, 0, width)
    for index in range(images.shape[0]):
        image = images[index]
        for d in range(256):
            table[d, 0] = 0
            table[d, 1] = -1
        tabulate(image, None, patch, box, needed, a, b, byte_ends, table)
        _light(needed, 1.0, table, light)
        clear(
            image, None, light, 255.0, patch, omega, t0, radius, eps, box, g, m, n, ends, sums,
            ring, out[index],
        )  # fmt: skip
