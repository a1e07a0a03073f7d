"""How time and memory grow with the work.

    python tests/benchmarks/growth.py [--small] [--out PNG]

    chips    100 to 100,000 chips of 32 × 32: the dark channel prior, the released model, and the
             usual public script (to 10,000)
    scenes   a GeoTIFF of 1,000² to 20,000² pixels: `paper dehaze` and `paper predict`, file to
             file, in processes of their own, with their peak memory

Draws both, and prints how they grow: the exponent of a straight line through the logarithms of the
largest three (1: twice the work takes twice the time). `--small` stops at 10,000 chips and
5,000² pixels.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import dehaze as benchmark
import matplotlib.pyplot as plt
import numpy as np
from measure import PAPER, fastest, process

from paperlib import dehaze, predictor

ROOT = Path(__file__).resolve().parents[2]
CHIPS = (100, 1_000, 10_000, 100_000)
SIDES = (1_000, 2_000, 5_000, 10_000, 20_000)
SIZES = {"patch": 3, "radius": 5}  # of chips of 32 pixels
#: What a figure shows: name -> [(work, seconds or MB), …]
Curves = dict[str, list[tuple[float, float]]]


def chips(most: int) -> Curves:
    model = predictor.load("planet32")
    kinds = np.resize(benchmark.pictures(500, 32), (most, 32, 32, 3))
    model.predict(kinds[:10])  # loaded and compiled
    dehaze.dehaze_batch(kinds[:10], **SIZES)
    curves: Curves = {"dark channel prior": [], "released model": [], "public script": []}
    for count in (count for count in CHIPS if count <= most):
        some, times = kinds[:count], 3 if count <= 10_000 else 1
        cleared = fastest(lambda: dehaze.dehaze_batch(some, **SIZES), times)  # noqa: B023
        labelled = fastest(lambda: model.predict(some), times)  # noqa: B023
        curves["dark channel prior"].append((count, cleared))
        curves["released model"].append((count, labelled))
        if count <= 10_000:
            usual = fastest(lambda: [benchmark.script(chip, **SIZES) for chip in some], 1)  # noqa: B023
            curves["public script"].append((count, usual))
    return curves


def predict(source: Path, target: Path) -> tuple[float, float]:
    """Seconds by the clock and peak memory in MB of `paper predict` of one scene."""
    command = [*PAPER, "predict", str(source), "--out", str(target)]
    clock, _, memory = process(command, environment={**os.environ, "PYTHONPATH": str(ROOT)})
    return clock, memory


def scenes(most: int) -> tuple[Curves, Curves]:
    seconds: Curves = {"paper dehaze": [], "paper predict": []}
    memory: Curves = {"paper dehaze": [], "paper predict": []}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "scene.tif")
        for side in (side for side in SIDES if side <= most):
            benchmark.scene_file(source, side)
            for name, (took, peak) in {
                "paper dehaze": benchmark.of_a_file(source, Path(folder, "clear.tif")),
                "paper predict": predict(source, Path(folder, f"{side}.csv")),
            }.items():
                seconds[name].append((side**2 / 1e6, took))
                memory[name].append((side**2 / 1e6, peak))
            print(f"{side:,}²", *(f"{n} {v[-1][1]:.1f} s" for n, v in seconds.items()), flush=True)
    return seconds, memory


def exponent(points: list[tuple[float, float]]) -> float:
    work, cost = np.log(np.array(points)).T
    return float(np.polyfit(work[-3:], cost[-3:], 1)[0])  # of the largest: the start is not work


def draw(panels: list[tuple[str, str, str, Curves]], out: Path) -> None:
    _, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.6), layout="constrained")
    for axis, (title, across, up, curves) in zip(axes, panels, strict=True):
        for (name, points), mark in zip(curves.items(), "osD", strict=False):
            axis.loglog(*zip(*points, strict=True), marker=mark, label=name)
        axis.set(title=title, xlabel=across, ylabel=up)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    axes[-1].set_ylim(bottom=10)
    out.parent.mkdir(parents=True, exist_ok=True)
    plt.savefig(out, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / ".benchmarks/growth.png")
    given = parser.parse_args()
    number = chips(10_000 if given.small else CHIPS[-1])
    seconds, memory = scenes(5_000 if given.small else SIDES[-1])
    for what, unit, curves in (
        ("chips", "s", number), ("megapixels", "s", seconds), ("megapixels", "MB", memory),
    ):  # fmt: skip
        for name, points in curves.items():
            from_, to = points[0], points[-1]
            print(
                f"{name:<20} {from_[0]:>8,.0f} {what}: {from_[1]:8.2f} {unit}; "
                f"{to[0]:>8,.0f}: {to[1]:8.2f} {unit}; grows as its {exponent(points):.2f}th power"
            )
    draw(
        [
            ("Chips of 32 × 32", "chips", "seconds", number),
            ("Scenes, file to file", "megapixels", "seconds", seconds),
            ("Scenes: peak memory", "megapixels", "MB", memory),
        ],
        given.out,
    )
    print(given.out)


if __name__ == "__main__":
    main()
