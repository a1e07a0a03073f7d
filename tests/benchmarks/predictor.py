"""The released model on one core: 256 px JPEG files from disk in, labels out.

    python tests/benchmarks/predictor.py [--model planet32] [--chips 400] [--rounds 5]

Prints chips per second as the median of the rounds, the least and the most; reading, decoding,
shrinking, all views and the recalibration are in it. Beside it the same work with every core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))


def speeds(model: str, chips: int, rounds: int) -> list[float]:
    """Chips per second of each round, in this process with the cores it may use."""
    from pictures import encode

    from paperlib import predictor
    from paperlib.chips import scenes

    labels = predictor.load(model)
    images = [scenes.scene(i, size=256).image for i in range(min(chips, 40))]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i}.jpg") for i in range(chips)]
        for i, path in enumerate(paths):
            path.write_bytes(encode(images[i % len(images)], "JPEG", quality=95))
        workers = len(os.sched_getaffinity(0))
        for _ in range(rounds + 1):  # the first warms up
            began = time.perf_counter()
            done = list(labels.predict_files(paths, workers=workers))
            found.append(len(done) / (time.perf_counter() - began))
            assert not any(one.error for one in done)
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="planet32")
    parser.add_argument("--chips", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    every = sorted(os.sched_getaffinity(0))
    for cores in dict.fromkeys((1, len(every))):
        if not (child := os.fork()):  # a backend counts the cores once, when it starts
            os.sched_setaffinity(0, every[:cores])
            of = speeds(given.model, given.chips, given.rounds)
            print(
                f"{cores} core(s): {statistics.median(of):.0f} chips/s "
                f"({min(of):.0f} to {max(of):.0f})",
                flush=True,
            )
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(1)


if __name__ == "__main__":
    main()
