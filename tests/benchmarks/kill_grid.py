"""A grid killed at random five times and resumed predicts what an undisturbed one does.

    python tests/benchmarks/kill_grid.py [KILLS] [SEED]

Trains a small grid on generated scenes twice, each in its own folder and cache: once undisturbed,
once with SIGKILL at random moments, and compares every prediction to the bit.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TRAIN = """
import sys
from paperlib import grid
from paperlib.project import Project
paper = Project("tiny", root=sys.argv[1])
small = {"network": "vgg11", "width": 0.0625, "epochs": 4, "batch_norm": "head"}
grid.run(paper, grid.configs("main", paper.profile, **small), progress=False)
print("done", flush=True)
"""


def start(folder: Path) -> subprocess.Popen:
    environment = {**os.environ, "PAPER_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def predictions(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in sorted((folder / "results" / "tiny" / "runs").glob("*/predictions.npz")):
        with np.load(path) as stored:
            found[path.parent.name] = stored["probability"]
    return found


def main(kills: int = 5, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        calm, killed = Path(place) / "calm", Path(place) / "killed"
        began = time.monotonic()
        assert start(calm).wait() == 0
        whole = time.monotonic() - began
        done = 0
        while done < kills:
            process = start(killed)
            try:
                # while it starts, in the middle, or nearly done: less is left each time
                process.wait(timeout=rng.uniform(0.25, 0.75) * whole)
                print(f"finished before kill {done + 1}: from the start again")
                shutil.rmtree(killed)
                done = 0
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                done += 1
                epochs = len(list(killed.rglob("checkpoint.npz")))
                print(f"kill {done}: {len(predictions(killed))} runs whole, {epochs} begun")
        assert start(killed).wait() == 0
        one, other = predictions(calm), predictions(killed)
        assert one.keys() == other.keys(), (one.keys(), other.keys())
        assert len(one) == 6
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)
        print(f"{done} kills, {len(one)} runs: every prediction equal to the bit")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
