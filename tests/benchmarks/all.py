"""Everything on one page, against what a user would take instead.

    python tests/benchmarks/all.py [PART …]

    start      new processes: the import, the help, one chip dehazed, one chip labelled
    dehaze     the dark channel prior against the usual public script and a textbook one
    predict    the released model against the same network in Keras on TensorFlow
    train      training through `experiment` against a bare `model.fit`
    notebooks  a profile's notebooks side by side against one at a time
    growth     from 100 to 100,000 chips and from 1,000² to 20,000² pixels, drawn

Each part is a script of this folder, run in a process of its own; `start` is here. About half an
hour on two quiet cores. Quote ratios: seconds are of the machine that the first line names.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import PAPER, process

from paperlib.utils import system

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "start": ("New processes", ["all.py", "--start"]),
    "dehaze": ("The dark channel prior", ["dehaze.py", "--quick", "--files"]),
    "predict": ("The released model", ["predictor.py"]),
    "train": ("Training", ["training.py", "--chips", "2048", "--rounds", "3"]),
    "notebooks": ("Notebooks side by side", ["side_by_side.py"]),
    "growth": ("Growth", ["growth.py"]),
}


def start(rounds: int = 5) -> None:
    """Seconds and memory of whole processes, in turns; the first round warms up the disk."""
    with tempfile.TemporaryDirectory() as folder:
        chip, out = str(Path(folder, "chip.png")), str(Path(folder, "out"))
        picture = f"import cv2, dehaze; cv2.imwrite({chip!r}, dehaze.pictures(1, 256)[0])"
        subprocess.run([sys.executable, "-c", picture], cwd=Path(__file__).parent, check=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        commands = {
            "python, which does nothing": ["-c", ""],
            "import numpy and cv2": ["-c", "import numpy, cv2"],
            "import paperlib.dehaze": ["-c", "import paperlib.dehaze"],
            "paper --help": [*PAPER, "--help"],
            "paper dehaze, one chip": [*PAPER, "dehaze", chip, out + ".png"],
            "paper predict, one chip": [*PAPER, "predict", chip, "--out", out + ".csv"],
            "import tensorflow": ["-c", "import tensorflow"],
        }
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        for _ in range(rounds + 1):
            for name, command in commands.items():
                for kind in (".csv", ".png"):
                    Path(out + kind).unlink(missing_ok=True)
                found[name].append(process(command, environment=environment))
    for name, rows in found.items():
        seconds, _, memory = map(statistics.median, zip(*rows[1:], strict=True))
        print(f"{name:<28} {seconds:6.2f} s {memory:6.0f} MB")


def machine() -> str:
    found = system.hardware()
    python = platform.python_version()
    return "{processor}, {cores} cores, {memory_gb} GB, {system}; ".format(**found) + python


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.start:
        start()
        return 0
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    print(machine(), flush=True)
    failed = 0
    for part in given.parts or PARTS:
        title, (script, *options) = PARTS[part]
        print(f"\n## {title}\n", flush=True)
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name(script)), *options],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        failed += done.returncode != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
