"""The fast path against the reference: random cases, odd arrays, threads, real pictures.

`PAPER_EXAMPLES=5000 pytest tests/dehaze/test_dehaze_fast.py` tries thousands of cases.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperlib import dehaze as d
from paperlib.dehaze import _kernels_uint8, _plain_uint8, fast
from paperlib.dehaze.arguments import SCALE

EXAMPLES = int(os.environ.get("PAPER_EXAMPLES", "120"))
TOLERANCE = {"uint8": 1, "uint16": 1, "float32": 1e-5, "float64": 1e-5}
side = st.one_of(st.integers(1, 6), st.integers(1, 48))


@st.composite
def cases(draw):
    """An image of any accepted kind, with flat parts, ties and hard edges, and parameters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(side), draw(side)
    shape = (height, width, *draw(st.sampled_from([(), (1,), (3,), (3,), (4,)])))
    low, high = sorted((draw(st.floats(0, 1)), draw(st.floats(0, 1))))
    image = low + (high - low) * rng.random(shape)
    if draw(st.booleans()):
        image = np.round(image * 6) / 6  # ties
    if draw(st.booleans()):
        image[: height // 2, : width // 2] = draw(st.sampled_from([0, 0.5, 1]))
    dtype = np.dtype(draw(st.sampled_from(list(TOLERANCE))))
    image = (np.rint(image * SCALE[dtype]) if dtype.kind == "u" else image).astype(dtype)
    mask = rng.random((height, width)) < draw(st.floats(0, 1)) if draw(st.booleans()) else None
    parameters = {
        "patch": draw(st.integers(1, 60)),
        "radius": draw(st.integers(0, 60)),
        "omega": draw(st.floats(0, 1)),
        "t0": draw(st.floats(0.05, 1)),
        "fraction": draw(st.floats(1e-3, 1)),
        "eps": draw(st.sampled_from([1e-5, 1e-3, 0.1])),
    }
    return image, mask, parameters


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    """A process's first images are done without them."""
    monkeypatch.setattr(fast, "PLAIN", 0)


def difference(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    return np.abs(a.astype(np.float64) - b.astype(np.float64)).max()


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(cases())
def test_any_image_is_as_the_reference_makes_it(case):
    image, mask, parameters = case
    expected = d.dehaze_reference(image, mask=mask, **parameters)
    result = d.dehaze(image, mask=mask, **parameters)
    assert difference(result, expected) <= TOLERANCE[image.dtype.name]
    with pytest.MonkeyPatch.context() as patched:  # before numba is imported
        patched.setattr(fast, "_loaded", False)
        patched.setattr(fast, "PLAIN", 10**12)
        np.testing.assert_array_equal(d.dehaze(image, mask=mask, **parameters), result)
        patched.setattr(fast, "SMALL", 0)  # as a scene: light first, then a block
        np.testing.assert_array_equal(d.dehaze(image, mask=mask, **parameters), result)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_views_and_read_only_arrays(dtype):
    rng = np.random.default_rng(0)
    image = rng.random((50, 60, 3)) * SCALE[np.dtype(dtype)]
    image = image.astype(dtype)
    views = [image[::2, ::-1], image[5:, 7:33, ::-1], image.transpose(1, 0, 2), image[..., 1]]
    fixed = image.copy()
    fixed.flags.writeable = False
    for view in [*views, fixed, image.view()[1:]]:
        before = view.copy()
        result = d.dehaze(view, patch=4, radius=5)
        np.testing.assert_array_equal(result, d.dehaze(before, patch=4, radius=5))
        np.testing.assert_array_equal(view, before)
        assert result.flags.writeable
        assert not np.shares_memory(result, view)


def smooth(height, width, seed=0):
    """A picture with structure at every scale, uint8."""
    import cv2

    rng = np.random.default_rng(seed)
    image = sum(
        cv2.resize(rng.random((n, n, 3)), (width, height)) / 2**k
        for k, n in enumerate((3, 9, 40, 200))
    )
    return np.uint8(255 * (image - image.min()) / (image.max() - image.min()))


def test_strips_and_threads_leave_no_trace():
    image = smooth(1400, 500)  # three strips
    expected = d.dehaze_reference(image)
    one = d.dehaze(image, workers=1)
    assert difference(one, expected) <= 1
    for workers in (2, 5):
        np.testing.assert_array_equal(d.dehaze(image, workers=workers), one)
    mask = np.ones((1400, 500), bool)
    mask[600:900, 100:] = False
    masked = d.dehaze(image, mask=mask, workers=3)
    assert difference(masked, d.dehaze_reference(image, mask=mask)) <= 1
    np.testing.assert_array_equal(masked, d.dehaze(image, mask=mask, workers=1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_a_batch_is_its_images_one_by_one(dtype, channels):
    rng = np.random.default_rng(1)
    images = (rng.random((9, 21, 20, *channels)) * SCALE[np.dtype(dtype)]).astype(dtype)
    single = np.stack([d.dehaze(image, patch=3, radius=5) for image in images])
    for workers in (1, 2, 4):
        for batch in (images, list(images), images[::-1][::-1]):
            result = d.dehaze_batch(batch, workers=workers, patch=3, radius=5)
            np.testing.assert_array_equal(result, single)


def test_an_empty_batch_is_an_empty_batch():
    assert d.dehaze_batch(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 8, 8, 3)


@pytest.mark.data
def test_real_hazy_pictures(shared: Path):
    from PIL import Image

    files = sorted((shared / "data" / "hazy").rglob("*.*"))
    files = [file for file in files if file.suffix.lower() in (".jpg", ".png", ".tif")]
    assert len(files) > 30
    for file in files[:: 1 if EXAMPLES > 500 else 4]:
        image = np.asarray(Image.open(file).convert("RGB"))
        assert difference(d.dehaze(image), d.dehaze_reference(image)) <= 1
        small = np.float32(image[::4, ::4] / 255)
        assert difference(d.dehaze(small), d.dehaze_reference(small)) <= 1e-5


def awkward(rng):
    """A uint8 picture whose rounding errors do not average out: few colours, or hardly any."""
    height, width = rng.integers(30, 130, 2)
    image = np.full((height, width, 3), rng.integers(0, 256, 3), np.float64)
    kind = rng.integers(4)
    if kind == 0:  # spots
        image[rng.random((height, width)) < rng.choice([0.003, 0.1])] = rng.integers(0, 256, 3)
    elif kind == 1:  # noise
        image += rng.normal(0, rng.choice([1, 4, 20]), image.shape)
    elif kind == 2:  # squares
        for _ in range(rng.integers(1, 9)):
            y, x, size = rng.integers(0, height), rng.integers(0, width), rng.integers(1, 40)
            image[y : y + size, x : x + size] = rng.integers(0, 256, 3)
    else:  # two nearly equal halves, and a grid
        image[:, : rng.integers(1, width)] += rng.integers(-12, 13, 3)
        image[:: rng.integers(2, 30), :: rng.integers(2, 30)] = rng.integers(0, 256, 3)
    return np.uint8(np.clip(np.rint(image), 0, 255))


def test_integers_suffice_up_to_their_limit():
    """The hardest parameters that are still left to the integers, and the first that are not."""
    rng = np.random.default_rng(0)
    for _ in range(EXAMPLES // 3):
        radius, t0 = int(rng.integers(0, 62)), float(np.exp(rng.uniform(np.log(0.03), 0)))
        unit = _plain_uint8.units(radius, 1.0, 1.0)[0]
        eps = _plain_uint8.COARSE / unit / t0
        assert _plain_uint8.units(radius, eps * 1.001, t0) is not None
        assert _plain_uint8.units(radius, eps * 0.999, t0) is None
        image, patch = awkward(rng), int(rng.integers(1, 25))
        for factor in (1.001, 0.999):
            given = {"patch": patch, "radius": radius, "t0": t0, "eps": eps * factor}
            assert difference(d.dehaze(image, **given), d.dehaze_reference(image, **given)) <= 1
    assert _plain_uint8.units(40, 1e-3, 0.1) is not None  # the default
    assert _plain_uint8.units(4000, 1.0, 1.0) is None  # luma alone would overflow


def test_kernels_are_compiled_once_for_whatever_is_asked(monkeypatch):
    """Another set of types would cost a user seconds at the first mask, or for `omega=1`."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    mask = rng.random((20, 30)) < 0.8
    odd = {"omega": 1, "t0": np.float32(0.5), "eps": 1, "fraction": 1, "patch": np.int16(3)}
    for size in (fast.SMALL, 1):  # as a chip, and as a scene
        monkeypatch.setattr(fast, "SMALL", size)
        for pixels in (image, image[..., :3], image[..., 0], image[::2, ::-1, :3]):
            for arguments in ({}, {"mask": mask[: len(pixels)]}, odd):
                d.dehaze(pixels, **arguments)
    d.dehaze_batch(image[None, ..., :3])
    assert len(_kernels_uint8.clear.signatures) == 1


LEAN = """
import sys
import numpy as np
from paperlib import dehaze
image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
first = dehaze.dehaze(image), dehaze.dehaze_batch(image[None])[0]
assert "numba" not in sys.modules
dehaze.dehaze_batch(np.stack([image] * 65))
assert "numba" in sys.modules
assert all((each == dehaze.dehaze(image)).all() for each in first)
"""


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_without_numba_a_scene_has_the_same_bytes(monkeypatch, capsys, bands):
    image = smooth(700, 600)
    mask = np.ones(image.shape[:2], bool)
    mask[200:420, 100:350] = False
    alpha = np.where(mask, 255, 0).astype(np.uint8)
    image = {1: image[..., 0], 3: image, 4: np.dstack([image, alpha])}[bands]
    arguments = [{}, {"patch": 4, "radius": 9}] + [{"mask": mask}] * (bands != 4)
    monkeypatch.setattr(fast, "SMALL", 1)
    expected = [d.dehaze(image, **each) for each in arguments]
    assert fast._loaded
    for name, value in (("_loaded", False), ("_numba_there", lambda: False), ("_cleared", 0),
                        ("ROWS", 128), ("COLUMNS", 100), ("SLOW", 5 * image.size)):  # fmt: skip
        monkeypatch.setattr(fast, name, value)
    capsys.readouterr()
    for each, result in zip(arguments * 4, expected * 4, strict=True):
        np.testing.assert_array_equal(d.dehaze(image, workers=2, **each), result)
    assert not fast._loaded
    (said,) = capsys.readouterr().err.splitlines()
    assert "pip install 'paperlib[fast]'" in said


def test_the_first_small_images_wait_for_no_compiler():
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", LEAN], check=True, timeout=120)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64"])
def test_other_images_than_uint8_are_the_equations_to_the_bit(dtype):
    """Up to 512 × 1024 pixels; beyond, box sums begin at another row, in the last bit."""
    image = (smooth(300, 200) / 255 * SCALE[np.dtype(dtype)]).astype(dtype)
    mask = np.ones(image.shape[:2], bool)
    mask[100:160, 50:] = False
    for options in ({}, {"mask": mask}, {"workers": 2}):
        expected = d.dehaze_reference(image, mask=options.get("mask"))
        np.testing.assert_array_equal(d.dehaze(image, **options), expected)
    tall = np.tile(image, (3, 6, 1))
    result = d.dehaze(tall, workers=2)
    np.testing.assert_array_equal(result, d.dehaze(tall, workers=1))
    assert difference(result, d.dehaze_reference(tall)) <= (1 if dtype == "uint16" else 1e-6)


PROBE = """
from paperlib.dehaze import _kernels_windows as windows
from paperlib.chips import variants

@windows.entry
def probe(x):
    return x + 1

probe(1)
print(windows.__file__)
print(sum(probe.stats.cache_hits.values()), variants.code_stamp())
"""


def test_a_changed_kernel_is_compiled_again_and_chips_are_dehazed_again(tmp_path):
    """What was kept is used, but not after a change of another file that kernels are made of."""
    import shutil
    import subprocess
    import sys

    import paperlib

    shutil.copytree(
        Path(paperlib.__file__).parent, tmp_path / "paperlib",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    (tmp_path / "probe.py").write_text(PROBE)

    def first_call() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", "import probe"], capture_output=True, text=True, timeout=120,
            check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        file, answer = done.stdout.splitlines()
        assert str(tmp_path) in file
        hits, stamp = answer.split()
        return int(hits), stamp

    compiled, loaded = first_call(), first_call()
    assert (compiled[0], loaded[0]) == (0, 1)
    assert compiled[1] == loaded[1]
    with open(tmp_path / "paperlib" / "dehaze" / "_kernels_dark.py", "a") as file:
        file.write("\nCHANGED = 1\n")
    changed = first_call()
    assert changed[0] == 0
    assert changed[1] != loaded[1]


def test_kernels_work_where_nothing_can_be_cached(tmp_path):
    """A package folder and a home that cannot be written to: compiled in memory, not an error."""
    import subprocess
    import sys

    code = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"  # numba finds no place
        "from paperlib.dehaze import _kernels_uint8 as k\n"
        "print(k.clear.stats.cache_path)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "None"


@pytest.mark.parametrize("before", [True, False])
def test_a_call_that_compiles_says_so_once(monkeypatch, capsys, before):
    from paperlib.dehaze import _kernels_uint8, _kernels_windows

    fast.compile_kernel()
    assert _kernels_windows.compiled_before(_kernels_uint8.clear)
    monkeypatch.setattr(_kernels_windows, "compiled_before", lambda function: before)
    monkeypatch.setattr(fast, "_loaded", False)
    capsys.readouterr()
    for _ in range(2):
        fast.compile_kernel()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == (0 if before else 1)
    assert before or "compiling, once" in said[0]
