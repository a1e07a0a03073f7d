"""The speed of the dark channel prior, beside what people use: `python tests/benchmarks/dehaze.py`.

    --quick   fewer repeats, for a look
    --files   also 8192 × 8192 as TIFF, PNG and JPEG: pictures are to take little longer than a TIFF
    --huge    also a 20,000 × 20,000 GeoTIFF (1.2 GB, made and deleted here), with its peak memory

Two other ways are written out here for comparison, as they stand in many repositories: a textbook
one in float64 (NumPy minimum over the channel axis, sorted candidates, box filters as cumulative
sums), and the usual public script (cv2.erode with a structuring element, sorted candidates, cv2 box
filters in float64). Work in one row is timed in turns, so that other load on the machine meets all
of it; the least time of each is printed, the median in brackets.

Peak extra memory is the high-water mark of a child process's resident memory over what it had
before the call, the result included.
"""

from __future__ import annotations

import argparse
import functools
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

SIDE = 20_000


# --- what people use ------------------------------------------------------------------------------


def textbook(image: np.ndarray, patch=15, omega=0.95, t0=0.1, fraction=0.01, radius=40, eps=1e-3):
    """float64 from end to end, one line per equation."""

    def window_minimum(plane):
        reach = patch // 2
        padded = np.pad(plane, reach, constant_values=np.inf)
        rows = np.lib.stride_tricks.sliding_window_view(padded, patch, 0).min(-1)
        return np.lib.stride_tricks.sliding_window_view(rows, patch, 1).min(-1)

    def box(plane):
        for axis in (0, 1):
            n = plane.shape[axis]
            total = np.concatenate([np.zeros_like(plane.take([0], axis)), plane.cumsum(axis)], axis)
            low, high = np.arange(n) - radius, np.arange(n) + radius + 1
            plane = total.take(high.clip(0, n), axis) - total.take(low.clip(0, n), axis)
        return plane

    image = image.astype(np.float64) / 255
    dark = window_minimum(image.min(axis=2))
    order = np.argsort(dark.ravel())[-max(1, int(dark.size * fraction)) :]
    candidates = image.reshape(-1, 3)[order]
    light = np.maximum(candidates[candidates.sum(axis=1).argmax()], 1 / 255)
    t = 1 - omega * window_minimum((image / light).min(axis=2))
    guide = image @ np.array([0.299, 0.587, 0.114])
    count = box(np.ones_like(guide))
    mean_i, mean_p = box(guide) / count, box(t) / count
    covariance = box(guide * t) / count - mean_i * mean_p
    a = covariance / (box(guide * guide) / count - mean_i**2 + eps)
    b = mean_p - a * mean_i
    t = np.maximum(box(a) / count * guide + box(b) / count, t0)[..., None]
    return np.uint8(np.clip((image - light) / t + light, 0, 1) * 255)


def script(image: np.ndarray, patch=15, omega=0.95, t0=0.1, fraction=0.01, radius=40, eps=1e-3):
    """OpenCV calls on float64, as the usual public scripts have them."""
    size = (2 * radius + 1, 2 * radius + 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (patch, patch))

    def dark_channel(image):
        b, g, r = cv2.split(image)
        return cv2.erode(cv2.min(cv2.min(r, g), b), kernel)

    scaled = image.astype(np.float64) / 255
    dark = dark_channel(scaled).ravel()
    indices = dark.argsort()[-max(1, math.floor(dark.size * fraction)) :]
    light = np.maximum(scaled.reshape(-1, 3)[indices].mean(axis=0), 1 / 255)
    relative = np.empty_like(scaled)
    for channel in range(3):
        relative[..., channel] = scaled[..., channel] / light[channel]
    t = 1 - omega * dark_channel(relative)
    guide = np.float64(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) / 255
    mean_i = cv2.boxFilter(guide, cv2.CV_64F, size)
    mean_p = cv2.boxFilter(t, cv2.CV_64F, size)
    mean_ip = cv2.boxFilter(guide * t, cv2.CV_64F, size)
    mean_ii = cv2.boxFilter(guide * guide, cv2.CV_64F, size)
    a = (mean_ip - mean_i * mean_p) / (mean_ii - mean_i * mean_i + eps)
    b = mean_p - a * mean_i
    t = cv2.boxFilter(a, cv2.CV_64F, size) * guide + cv2.boxFilter(b, cv2.CV_64F, size)
    t = cv2.max(t, t0)
    result = np.empty_like(scaled)
    for channel in range(3):
        result[..., channel] = (scaled[..., channel] - light[channel]) / t + light[channel]
    return np.uint8(np.clip(result, 0, 1) * 255)


# --- pictures -------------------------------------------------------------------------------------


def pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Structure at every scale and a hazy corner, uint8: the timing depends little on content."""
    rng = np.random.default_rng(seed)
    base = max(side, 64)
    image = sum(
        cv2.resize(rng.random((n, n, 3), dtype=np.float32), (base, base)) / 2**k
        for k, n in enumerate((4, 16, 64, base))
    )
    image = 60 + 150 * image / image.max()
    image[: base // 6, : base // 6] = 235
    image = cv2.resize(image.astype(np.uint8), (side, side), interpolation=cv2.INTER_AREA)
    shifts = rng.integers(0, side, (count, 2))
    return np.stack([np.roll(image, shift, (0, 1)) for shift in shifts])


# --- timing ---------------------------------------------------------------------------------------


def in_turns(work: dict, repeats: dict) -> dict[str, list[float]]:
    """Seconds of each piece of work, done in turns; `repeats` says how often each at most."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(max(repeats.values())):
        for name, call in work.items():
            if turn < repeats[name]:
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
    return seconds


def show(title: str, seconds: dict[str, list[float]], ours: str, unit: float, text: str, goal=None):
    print(f"\n{title}")
    best = min(seconds[ours])
    for name, values in seconds.items():
        least = min(values) / unit
        line = f"  {name:<28} {least:9.3f} {text} ({statistics.median(values) / unit:.3f})"
        line += f"  ×{min(values) / best:6.1f}"
        if goal and name in goal:
            line += f"   goal {goal[name]:.2f}: {'met' if least <= goal[name] else 'MISSED'}"
        print(line)


def peak_extra(what: str) -> float:
    """Peak extra resident memory in MB of `what`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", what], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def high_water() -> float:
    """The most resident memory this process has had, MB.

    `ru_maxrss` starts from what the parent had when it forked; /proc has the process's own.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def child(what: str) -> None:
    from paperlib import dehaze

    name, _, argument = what.partition(":")
    small = pictures(1, 600)[0]
    if name == "scene":
        image = pictures(1, 4096)[0]
        dehaze.dehaze(small)  # compiled and loaded before memory is looked at
        dehaze.dehaze(np.tile(small, (2, 2, 1)))
        call = lambda: dehaze.dehaze(image, workers=2)  # noqa: E731
    elif name == "file":
        import psutil  # noqa: F401

        with tempfile.TemporaryDirectory() as folder:
            warm = Path(folder) / "warm.png"
            cv2.imwrite(str(warm), small)
            dehaze.dehaze_scene(warm, Path(folder) / "done.png", progress=False)
        source, target = argument.split("|")
        call = lambda: dehaze.dehaze_scene(source, target, workers=2, progress=False)  # noqa: E731
    else:
        image = pictures(1, 4096)[0]
        call = lambda: {"textbook": textbook, "script": script}[name](image)  # noqa: E731
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # the mark falls to what is resident now
    before = high_water()
    start = time.perf_counter()
    result = call()
    del result
    print(time.perf_counter() - start, high_water() - before)


# --- the table ------------------------------------------------------------------------------------


def table(quick: bool) -> None:
    from paperlib import dehaze

    cv2.setNumThreads(1)  # "one core" means one; our own threads are asked for by `workers`
    few, many = (2, 5) if quick else (5, 30)
    chips = pictures(200, 256)
    start = time.perf_counter()
    dehaze.dehaze(chips[0])
    print(
        f"first call in this process (compiled before, or now): {time.perf_counter() - start:.2f} s"
    )
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "import numpy as n; from paperlib import dehaze as d;"
         "d.dehaze(n.zeros((64, 64, 3), n.uint8))"], check=True,
    )  # fmt: skip
    print(f"a new process, imports and a first chip: {time.perf_counter() - start:.2f} s")

    show(
        "200 chips of 256×256, per chip",
        in_turns(
            {
                "paperlib, one core": lambda: dehaze.dehaze_batch(chips, workers=1),
                "paperlib, two threads": lambda: dehaze.dehaze_batch(chips, workers=2),
                "public script, one core": lambda: [script(chip) for chip in chips],
                "textbook float64, one core": lambda: [textbook(chip) for chip in chips],
            },
            {
                "paperlib, one core": many,
                "paperlib, two threads": many,
                "public script, one core": few,
                "textbook float64, one core": few,
            },
        ),
        "paperlib, one core", 0.2, "ms",
        {"paperlib, one core": 0.70, "paperlib, two threads": 0.38},
    )  # fmt: skip

    small = np.resize(pictures(500, 32), (32_351, 32, 32, 3))
    sizes = {"patch": 3, "radius": 5}
    show(
        "32,351 chips of 32×32 (patch 3, radius 5), all of them",
        in_turns(
            {
                "paperlib, two threads": lambda: dehaze.dehaze_batch(small, workers=2, **sizes),
                "public script, one core": lambda: [script(chip, **sizes) for chip in small],
            },
            {"paperlib, two threads": few, "public script, one core": 1},
        ),
        "paperlib, two threads", 1, "s", {"paperlib, two threads": 4.0},
    )  # fmt: skip

    scene = pictures(1, 4096)[0]
    show(
        "one scene of 4096×4096, A included",
        in_turns(
            {
                "paperlib, two threads": lambda: dehaze.dehaze(scene, workers=2),
                "public script, one core": lambda: script(scene),
                "textbook float64, one core": lambda: textbook(scene),
            },
            {
                "paperlib, two threads": many // 3 + 1,
                "public script, one core": 1,
                "textbook float64, one core": 1,
            },
        ),
        "paperlib, two threads", 1, "s", {"paperlib, two threads": 0.40},
    )  # fmt: skip
    print("  peak extra memory:", end="")
    for name in ("scene", "script", "textbook"):
        print(f"  {name.replace('scene', 'paperlib')} {peak_extra(name):.0f} MB", end="")
    print("   (goal 200 MB)")


def formats(side: int = 8192, turns: int = 3) -> None:
    """One scene as TIFF, PNG and JPEG, each to TIFF, in turns; ratios to the TIFF."""
    from PIL import Image

    from paperlib import dehaze

    Image.MAX_IMAGE_PIXELS = None
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        image = Image.fromarray(np.tile(pictures(1, 2048)[0], (side // 2048, side // 2048, 1)))
        image.save(place / "a.tif", compression="tiff_deflate")
        image.save(place / "a.png", compress_level=1)
        image.save(place / "a.jpg", quality=90)
        del image

        def run(kind: str) -> None:
            dehaze.dehaze_scene(place / f"a.{kind}", place / "b.tif", workers=2, progress=False)

        work = {f"{kind} to tif": functools.partial(run, kind) for kind in ("tif", "png", "jpg")}
        seconds = in_turns(work, dict.fromkeys(work, turns))
        show(f"a file of {side}×{side}, ratios to TIFF (goal 1.5)", seconds, "tif to tif", 1, "s")


def scene_file(path: Path, side: int) -> None:
    """A GeoTIFF of side² pixels, three bands of 8 bits in tiles, written by rows."""
    import rasterio
    from rasterio.windows import Window

    piece = pictures(1, 2_000, seed=1)[0]
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8",
        tiled=True, blockxsize=512, blockysize=512, crs="EPSG:32720",
        transform=rasterio.transform.from_origin(0, 0, 3, 3),
    ) as file:  # fmt: skip
        for top in range(0, side, 500):
            rows = np.tile(piece[top % 2000 : top % 2000 + 500], (1, -(-side // 2000), 1))
            shade = np.uint8(255 * top / side * 0.2)
            rows = np.moveaxis(cv2.subtract(rows, np.full_like(rows, shade)), -1, 0)
            file.write(rows[:, :, :side], window=Window(0, top, side, min(500, side - top)))


def of_a_file(source: Path, target: Path) -> tuple[float, float]:
    """Seconds and peak extra memory in MB of `dehaze_scene` on two threads, in its own process."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", f"file:{source}|{target}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, memory = map(float, done.stdout.split()[-2:])
    return seconds, memory


def huge(side: int = SIDE) -> None:
    """A scene of side² pixels, made by rows, cleared, its memory and time printed, and deleted."""
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=64), tempfile.TemporaryDirectory() as folder:
        for size in (2_000, side):
            source, target = Path(folder) / f"{size}.tif", Path(folder) / f"{size}_clear.tif"
            scene_file(source, size)
            seconds, memory = of_a_file(source, target)
            print(
                f"file of {size:,}×{size:,}: {seconds:.1f} s on two threads, "
                f"peak extra memory {memory:.0f} MB (goal 500 MB)"
            )
            with rasterio.open(target) as file:
                assert file.shape == (size, size)
            source.unlink()
            target.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--huge", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
    else:
        table(given.quick)
        if given.files:
            formats()
        if given.huge:
            huge()
