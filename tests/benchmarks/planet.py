"""How long reading the Planet chips takes: `python tests/benchmarks/planet.py DIR [SIZE]`.

Prints, for the first and the second read, seconds on the clock and of the processor, and the first
read as a fraction of a plain loop with tarfile or a folder and Pillow.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time

import numpy as np

from paperlib.chips import jpeg, planet


def timed(task, times: int) -> tuple[float, float]:
    clock, processor = [], []
    for _ in range(times):
        start = time.perf_counter(), time.process_time()
        task()
        clock.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return statistics.median(clock), statistics.median(processor)


def plain(data: str, size: int) -> None:
    """One chip after the other, by Pillow alone."""
    source = planet.open_source(data)
    with source.archive as opened:
        for name in source.names:
            np.asarray(jpeg.fit(jpeg.exact(opened.read(name)), size))


def main(data: str, size: int = 32) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PAPER_CACHE"] = folder
        first = timed(lambda: planet.read(data, size, cache=False, progress=False), 3)
        chips = planet.read(data, size, progress=False)
        second = timed(lambda: planet.read(data, size, progress=False), 5)
        slow = timed(lambda: plain(data, size), 1)
    print(f"{chips.source}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, (clock, processor) in (("first", first), ("second", second), ("Pillow", slow)):
        print(f"{name:>8}: {clock:6.2f} s on the clock, {processor:6.2f} s of the processor")
    print(f"first / Pillow: {first[0] / slow[0]:.2f}; second / first: {second[0] / first[0]:.3f}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
