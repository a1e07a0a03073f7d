"""Scenes per second on one core: `python tests/benchmarks/scenes.py` (100 or more is the aim)."""

from __future__ import annotations

import time

import cv2

from paperlib.chips import scenes


def main(count: int = 300, rounds: int = 5) -> None:
    cv2.setNumThreads(1)
    scenes.scene(0)  # makes the textures
    rates = []
    for _ in range(rounds):
        start = time.process_time()  # processor time, so that a busy machine counts less
        for index in range(count):
            scenes.scene(index)
        rates.append(count / (time.process_time() - start))
    print(f"256 px scenes per second and core: best {max(rates):.0f}, worst {min(rates):.0f}")


if __name__ == "__main__":
    main()
