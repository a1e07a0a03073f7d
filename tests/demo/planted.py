"""A predictor for the tests: probabilities from pixel statistics, the same for the same pixels.

It keeps to the interface of `paperlib.predictor` and writes down every chip it predicts where
`PLANTED_LOG` says, one line for each call, so that a test can count across processes and kills.

While the file `PLANTED_HOLD` is there, a call waits before it answers once this process has
answered for as many chips as the file says (from when it appeared): a test looks at a site that
stands still, and no clock decides what it sees.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from paperlib.labels import COUNT, LABELS, decode


@dataclass
class Planted:
    probability: np.ndarray
    raw: np.ndarray
    labels: list[list[str]]
    thresholds: np.ndarray


class PlantedPredictor:
    """Label i is likely where the mean of one channel, shifted by i, is bright."""

    card: ClassVar = {
        "name": "planted",
        "description": "pixel statistics; for tests only",
        "label_thresholds": {name: 0.1 + 0.02 * i for i, name in enumerate(LABELS)},
    }
    thresholds = np.linspace(0.2, 0.6, COUNT)
    answered = 0  # chips since the hold file is there

    def predict(self, images) -> Planted:
        images = [np.asarray(image) for image in images]
        pause = float(os.environ.get("PLANTED_SECONDS_PER_CHIP", "0"))
        time.sleep(pause * len(images))
        raw = np.stack([self._raw(image) for image in images])
        probability = np.clip(0.9 * raw + 0.05, 0, 1).astype(np.float32)
        marks = [mark(image) for image in images if image.any()]  # a worker warms up on black chips
        if marks:
            if log := os.environ.get("PLANTED_LOG"):
                with open(log, "a") as handle:
                    handle.write(" ".join(marks) + "\n")
            self._wait(len(marks))
        on = probability >= self.thresholds
        return Planted(probability, raw, [decode(row) for row in on], self.thresholds)

    def _wait(self, count: int) -> None:
        path = os.environ.get("PLANTED_HOLD")
        while path and (most := held(Path(path))) is not None and self.answered >= most:
            time.sleep(0.01)
        self.answered = self.answered + count if path and held(Path(path)) is not None else 0

    @staticmethod
    def _raw(image: np.ndarray) -> np.ndarray:
        if (image == 13).all():
            raise RuntimeError("planted fault: a chip of the value 13")
        means = image.reshape(-1, 3).astype(float).mean(axis=0) / 255
        angle = np.arange(COUNT)
        return (0.5 + 0.5 * np.sin(7 * means[angle % 3] + angle)).astype(np.float32)


def held(path: Path) -> int | None:
    """What the file says; None where it is not there."""
    try:
        return int(path.read_text() or 0)
    except FileNotFoundError:
        return None


def mark(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def load() -> PlantedPredictor:
    """What `SHOWCASE_PREDICTOR=planted.load` calls; no model while `PLANTED_MISSING` is a file.

    `PLANTED_GROUP` has the worker predict so many chips together at most.
    """
    if group := os.environ.get("PLANTED_GROUP"):
        from showcase.worker import read_ahead

        read_ahead.GROUP = int(group)
    missing = os.environ.get("PLANTED_MISSING")
    if missing and Path(missing).exists():
        raise FileNotFoundError(f"model.keras is not there ({len(LABELS)} labels)")
    return PlantedPredictor()
