"""Narrow networks in processes of one thread beside one process with all threads.

    python tests/benchmarks/workers.py [--width 0.125] [--chips 2048] [--epochs 6]

Trains as many networks as there are cores, once in processes of their own
(`paperlib.training.processes`) and
once in this one, one after the other, and prints the training chips per second of both and their
ratio. An epoch counts whole (shuffle, transforms, validation, checkpoint); the first, which
compiles, is left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from paperlib.project import Project
from paperlib.training import processes
from paperlib.training.config import Config


def chips_per_second(project: Project, configs: list[Config], count: int) -> float:
    os.environ["PAPER_WORKERS"] = str(count)
    processes.train(project, configs)
    epochs = [s for config in configs for s in project.run(config).timing["seconds"][1:]]
    return max(count, 1) * configs[0].train_chips / statistics.median(epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--chips", type=int, default=2048)
    parser.add_argument("--epochs", type=int, default=6)
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    speed = {}
    for count in (cores, 0):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["PAPER_CACHE"] = str(Path(folder) / "cache")
            project = Project("sample", root=Path(folder))
            changes = {"width": given.width, "train_chips": given.chips, "epochs": given.epochs}
            configs = [Config.of(project.profile, seed=s, **changes) for s in range(cores)]
            speed[count] = chips_per_second(project, configs, count)
    print(f"{cores} processes of one thread: {speed[cores]:.0f} chips/s together")
    print(f"one process, all threads: {speed[0]:.0f} chips/s")
    print(f"ratio {speed[cores] / speed[0]:.2f}")


if __name__ == "__main__":
    main()
