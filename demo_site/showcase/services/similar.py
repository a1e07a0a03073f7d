"""Chips with similar probabilities: the nearest of the 17-vectors, by Euclidean distance.

Each web process keeps the vectors of all chips in memory (68 bytes a chip), shown or not, since
that changes at any time, and reads only what was added since; 100,000 chips are 7 MB and 2 ms.
"""

from __future__ import annotations

import threading

import numpy as np

from paperlib.labels import COUNT

from ..models import Chip, ModelVersion, Prediction

_MOST = 200_000  # the newest so many
_LATE = 1000  # keys: a prediction may become visible after others whose keys are that much larger
_PART = 900  # rows asked for by key at once


class _Index:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.model = 0
        self.last = 0  # the largest key seen
        self.recent: set[int] = set()  # keys that are held already, of the last `_LATE`
        self.held = np.zeros(0, np.int64), np.zeros((0, COUNT), np.float32)

    def refresh(self, model: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys `(N,)` of chips and their probabilities `(N, 17)`, newest first, read up to now."""
        with self.lock:
            if model != self.model:
                self.clear()
                self.model = model
            if new := self._new():
                self._add(new)
            return self.held

    def _new(self) -> list[int]:
        """Keys of the predictions that came since the last call, newest first."""
        rows = Prediction.objects.filter(model_id=self.model, pk__gt=self.last - _LATE)
        found = set(rows.values_list("pk", flat=True))
        self.last = max(found, default=self.last)
        return sorted(found - self.recent, reverse=True)

    def _add(self, keys: list[int]) -> None:
        rows = []
        for start in range(0, len(keys[:_MOST]), _PART):
            part = Prediction.objects.filter(pk__in=keys[start : start + _PART]).order_by("-pk")
            rows += part.values_list("pk", "chip", "probability")
        ids, vectors = self.held
        new = np.frombuffer(b"".join(bytes(p) for _, _, p in rows), "<f4").reshape(-1, COUNT)
        chips = np.array([chip for _, chip, _ in rows], np.int64)
        self.held = (
            np.concatenate([chips, ids])[:_MOST],
            np.concatenate([new, vectors])[:_MOST],
        )
        self.recent = {pk for pk in self.recent | set(keys) if pk > self.last - _LATE}


_index = _Index()


def to(chip: Chip, most: int = 8) -> list[Chip]:
    """The `most` shown chips nearest to `chip`, nearest first, without itself."""
    model = ModelVersion.current()
    if model is None:
        return []
    own = Prediction.objects.filter(chip=chip, model=model).first()
    if own is None:
        return []
    ids, vectors = _index.refresh(model.pk)
    distance = np.linalg.norm(vectors - Prediction.unpack(own.probability), axis=1)
    order = ids[np.argsort(distance, kind="stable")]
    found: list[Chip] = []
    start, end = 0, 4 * most + 1  # as a rule enough, though some are not shown
    while len(found) < most and start < len(order):
        part = [int(pk) for pk in order[start:end] if pk != chip.pk]
        there = Chip.objects.filter(pk__in=part, shown=True).in_bulk()
        found += [there[pk] for pk in part if pk in there]
        start, end = end, end + _PART
    return found[:most]
