"""What the compiled kernels of `dehaze` share: how they are compiled, and windows along a row.

Minima are taken by doubling: log2(patch) vector minima of a row with itself further along, then of
rows with earlier ones, so that only a few rows are live and stay in cache. Loops are written so
that LLVM vectorises them: one index from 0 into slices made beforehand, or an unsigned index where
pixels are three values apart (a signed one is tested for wrap-around).
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from ._workspace import LANES, reach

U = np.uint64

# No reference counting: the kernels allocate nothing, and a slice costs nothing then; with it a
# chip takes 1.2 times as long. No way to call the inner functions from Python: that is compiled
# too, a fifteenth of the time. No fused multiply-add: LLVM may choose another one for the last
# pixels of a row, and tiles would differ from the whole.
_options = {"nogil": True, "error_model": "numpy", "_nrt": False}
inner = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_options)


def entry(function):
    """Compiled at the first call and kept on disk, where there is a disk to keep it on."""
    # numba takes what it kept for out of date when the function's own file has changed, and
    # finds it by the function's name: so the name stands for the other files
    function.__qualname__ += f"_{_sources()}"
    try:
        return numba.njit(cache=True, no_cfunc_wrapper=True, **_options)(function)
    except RuntimeError:  # numba: neither the package nor the home folder can be written to
        return numba.njit(no_cfunc_wrapper=True, **_options)(function)


def compiled_before(function) -> bool:
    """Whether the disk holds the machine code of one of `entry`, so that calling it is quick."""
    folder = Path(getattr(function._cache, "cache_path", None) or "")
    return any(folder.glob(f"*.{function.py_func.__qualname__}-*.nbc"))


@functools.cache
def _sources() -> str:
    """A digest of the files that hold the kernels, and of those beside them."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@inner
def minimum(a, b, out):
    for x in range(out.size):
        out[x] = min(a[x], b[x])


@inner
def copy(row, out):
    for x in range(out.size):
        out[x] = row[x]


@inner
def hide(row, valid, value):
    """No-data as `value`."""
    for x in range(row.size):
        row[x] = row[x] if valid[x] else value


@inner
def count(valid, sign, sums):
    """Add a row's pixels that count to running numbers of them; `sign` -1 takes them away."""
    for x in range(min(valid.size, sums.size)):  # whichever is as wide as the row
        sums[x] += sign * valid[x]


@inner
def restore(row, valid, out):
    """Pixels of three values each: where they are no-data, as they were."""
    for x in range(valid.size):
        if not valid[x]:
            for c in range(3):
                out[3 * x + c] = row[3 * x + c]


window = inner(reach)


@inner
def along(a, b, size, out):
    """Minimum over [x, x + size) of `a` into `out`; `b` is work space like `a`."""
    done = 1
    while 2 * done < size:
        n = a.size - 2 * done + 1
        minimum(a[:n], a[done : done + n], b[:n])
        a, b = b, a
        done *= 2
    minimum(a[: out.size], a[size - done : size - done + out.size], out)


@inner
def _delay(row, kept):
    for x in range(row.size):
        now = row[x]
        row[x] = min(now, kept[x])
        kept[x] = now


@inner
def _delay_twice(row, kept, more):
    for x in range(row.size):
        now = row[x]
        both = min(now, kept[x])
        row[x] = min(both, more[x])
        kept[x] = now
        more[x] = both


@inner
def down(row, number, size, kept):
    """Minimum of a row and the `size` - 1 before it, in place; `kept` has as many rows or more.

    To be called on row after row; before the first, `kept` is filled with what no minimum takes.
    """
    done, place = 1, 0
    while done < size:
        lag = min(done, size - done)
        step = min(2 * done, size - 2 * done) if 2 * done < size else 0
        first = kept[place + number % lag]
        place += lag
        if step:
            _delay_twice(row, first, kept[place + number % step])
            place += step
        else:
            _delay(row, first)
        done *= 4


@intrinsic
def _prefix_sums(typing, row, out, blocks):
    """`prefix_sums` of so many blocks of LANES.

    LLVM does not find this by itself: four shifted additions in place of sixteen in a row. With a
    plain loop a chip takes 1.5 times as long, with the best one found, over two rows, 1.2 times.
    """
    signature = numba.void(row, out, numba.intp)

    def generate(context, builder, signature, values):
        vector = ir.VectorType(ir.IntType(32), LANES)
        zeros, free = ir.Constant(vector, [0] * LANES), ir.Constant(vector, ir.Undefined)

        def place(k, index):
            array = context.make_array(signature.args[k])(context, builder, values[k])
            pointer = builder.gep(array.data, [builder.mul(index, index.type(LANES))])
            return builder.bitcast(pointer, vector.as_pointer())

        def shuffled(a, b, lanes):
            return builder.shuffle_vector(a, b, ir.Constant(vector, lanes))

        before = cgutils.alloca_once_value(builder, zeros)
        with cgutils.for_range(builder, values[2]) as loop:
            sums = builder.load(place(0, loop.index), align=4)
            step = 1
            while step < LANES:
                lanes = [LANES + k - step if k >= step else k for k in range(LANES)]
                sums = builder.add(sums, shuffled(zeros, sums, lanes))
                step *= 2
            sums = builder.add(sums, builder.load(before))
            builder.store(sums, place(1, loop.index), align=4)
            builder.store(shuffled(sums, free, [LANES - 1] * LANES), before)
        return context.get_dummy_value()

    return signature, generate


@inner
def prefix_sums(rows, out, at):
    """Prefix sums of int32 rows of whole blocks of LANES, modulo 2^32, into `out` from `at` on."""
    for k in range(rows.shape[0]):
        _prefix_sums(rows[k], out[k, at:], rows.shape[1] // LANES)
