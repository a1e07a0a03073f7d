"""The dark channel prior on float64 images, row by row, compiled by numba, for `dehaze`.

The same steps as `integers`, for what does not fit its integers. Blocks are rows of `3 * w`
values whose borders are the image's borders or far enough (`Parameters.halo`) from the pixels that
are asked for. Box means are running sums down the rows and differences of prefix sums along them.
"""

from __future__ import annotations

import numpy as np

from ._kernels_windows import U, along, copy, count, down, entry, hide, inner, restore, window

RED, GREEN, BLUE = 0.299, 0.587, 0.114


@inner
def _guide(row, to_luma, to_relative, g, m):
    """Luma in 0…1, and the minimum over the channels of I/A."""
    r0, g0, b0 = to_luma
    r1, g1, b1 = to_relative
    for x in range(U(g.size)):
        k = x * U(3)
        red, green, blue = row[k] * r0, row[k + U(1)] * g0, row[k + U(2)] * b0
        g[x] = red + green + blue
        m[x] = min(min(row[k] * r1, row[k + U(1)] * g1), row[k + U(2)] * b1)


@inner
def _coarse(m, omega, out):
    for x in range(m.size):
        out[x] = 1 - omega * m[x]


@inner
def _exchange(new_g, new_m, old_g, old_m, s0, s1, s2, s3):
    for x in range(s0.size):
        i, p = np.float64(new_g[x]), np.float64(new_m[x])
        j, q = np.float64(old_g[x]), np.float64(old_m[x])
        s0[x] += i - j
        s1[x] += p - q
        s2[x] += i * i - j * j
        s3[x] += i * p - j * q


@inner
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


@inner
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


@inner
def _enter(new_a, new_b, a, b, s, t):
    """Two rows into the ring, and into the running sums as the ring keeps them."""
    for x in range(a.size):
        a[x] = new_a[x]
        b[x] = new_b[x]
        s[x] += np.float64(a[x])
        t[x] += np.float64(b[x])


@inner
def _replace(new_a, new_b, a, b, s, t):
    """The same in place of the two rows that leave the window."""
    for x in range(a.size):
        old_a, old_b = np.float64(a[x]), np.float64(b[x])
        a[x] = new_a[x]
        b[x] = new_b[x]
        s[x] += np.float64(a[x]) - old_a
        t[x] += np.float64(b[x]) - old_b


@inner
def _inverse(lo0, lo1, hi0, hi1, wx, wy, g, t0, out):
    """1 / max(t, t0), where t is mean slope · guide + mean offset."""
    for x in range(out.size):
        t = ((hi0[x] - lo0[x]) * g[x] + (hi1[x] - lo1[x])) * (wx[x] * wy)
        out[x] = 1 / max(t, t0)


@inner
def _reciprocal(lo, hi, out, kept):
    for x in range(out.size):
        n = hi[x] - lo[x]
        out[x] = 1 / n if n > 0 else 0.0
        kept[x] = out[x]


@inner
def _recover(row, inverse, light, out):
    for x in range(U(inverse.size)):
        for c in range(U(3)):
            k = x * U(3) + c
            out[k] = min(max((row[k] - light[c]) * inverse[x] + light[c], 0.0), 1.0)


@entry
def clear(
    image, valid, light, patch, omega, t0, radius, eps, box, g, m, kept, ends, sums, ring, out
):
    """Transmission, guided filter and recovery of the pixels `box` of a block.

    image  (h, 3 w) in 0…1
    valid  (h, w) bool, True where a pixel counts; (0, 0) where all do
    light  (3,) in 0…1
    box    (top, bottom, left, right): the pixels wanted; the rest of the block is their halo
    out    (bottom - top, 3 (right - left))
    The other arrays are work space: see `space`.
    """
    masked = valid.size > 0
    height, width = image.shape[0], image.shape[1] // 3
    top, bottom, left, right = box

    # coarse transmission, eq. 8, and the guide
    up, below = window(patch, height)
    back, forth = window(patch, width)
    to_luma = (RED, GREEN, BLUE)
    to_relative = (1 / light[0], 1 / light[1], 1 / light[2])
    kept[:] = np.inf
    now = ends[2, :width]
    for y in range(height + below):
        if y < height:
            line, other = ends[0], ends[1]
            line[:back] = np.inf
            line[back + width :] = np.inf
            middle = line[back : back + width]
            _guide(image[y], to_luma, to_relative, g[y], middle)
            if masked:
                hide(middle, valid[y], np.inf)
                hide(g[y], valid[y], 0.0)
            along(line, other, back + forth + 1, now)
        else:
            now[:] = np.inf
        down(now, y, up + below + 1, kept)
        if y >= below:
            _coarse(now, omega, m[y - below])
            if masked:
                hide(m[y - below], valid[y - below], 0.0)

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
                g[new] if enter else nothing, m[new] if enter else nothing,
                g[old] if leave else nothing, m[old] if leave else nothing, s0, s1, s2, s3,
            )  # fmt: skip
            if masked:
                if enter:
                    count(valid[new], 1, sn)
                if leave:
                    count(valid[old], -1, sn)
        if i < first:
            continue
        a, b, wn = ring[0, i % tall], ring[1, i % tall], ring[2, i % tall]
        if i < height:
            _prefix(s0, s1, q0[at:], q1[at:])
            _prefix(s2, s3, q2[at:], q3[at:])
            wy = 1.0
            if not masked:
                wy = 1 / (min(height - 1, i + ry) - max(0, i - ry) + 1)
            else:
                _prefix(sn, sn, qn[at:], qn[at:])
                _reciprocal(qn, qn[wide:], weight, wn)
            _line(
                q0, q1, q2, q3, q0[wide:], q1[wide:], q2[wide:], q3[wide:],
                weight, wy, eps, new_a, new_b,
            )  # fmt: skip
            if masked:
                hide(new_a, valid[i], 0.0)
                hide(new_b, valid[i], 0.0)
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
        if not masked:
            wy = 1 / (min(height - 1, y + ry) - max(0, y - ry) + 1)
        else:
            copy(ring[2, y % tall], weight)
        _inverse(qa, qb, qa[wide:], qb[wide:], weight, wy, g[y], t0, inverse)
        row = image[y, 3 * left : 3 * right]
        _recover(row, inverse[left:right], light, out[y - top])
        if masked:
            restore(row, valid[y, left:right], out[y - top])
