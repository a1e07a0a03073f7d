"""Chips with similar probabilities: the nearest of the 17-vectors, by Euclidean distance.

Each web process holds the vectors of the newest chips in memory (68 bytes a chip), shown or not,
since that changes at any time. Reading 100,000 takes a quarter of a second.
"""

from __future__ import annotations

import threading
import time

import numpy as np

from paperlib.labels import COUNT

from ..models import Chip, ModelVersion, Prediction

SIMILAR = 8  # chips beside one
_MOST = 100_000  # the newest so many
_PART = 900  # rows asked for by key at once
QUICK, REST = 0.05, 100  # what took more seconds to read is read anew after so many times as long
_lock = threading.Lock()
_held: dict = {"model": 0, "until": 0.0}


def vectors(model: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys `(N,)` of chips and their probabilities `(N, 17)`, newest first."""
    with _lock:
        began = time.monotonic()
        if model != _held["model"] or began >= _held["until"]:
            rows = Prediction.objects.filter(model_id=model).order_by("-pk")
            rows = list(rows.values_list("chip", "probability")[:_MOST])
            found = np.frombuffer(b"".join(bytes(p) for _, p in rows), "<f4").reshape(-1, COUNT)
            keys = np.array([chip for chip, _ in rows], np.int64)
            now = time.monotonic()
            rest = REST * (now - began) if now - began > QUICK else 0
            _held.update(model=model, until=now + rest, found=(keys, found))
        return _held["found"]


def to(chip: Chip) -> list[Chip]:
    """The `SIMILAR` shown chips nearest to `chip`, nearest first, without itself."""
    model = ModelVersion.current()
    if model is None:
        return []
    own = Prediction.objects.filter(chip=chip, model=model).first()
    if own is None:
        return []
    keys, known = vectors(model.pk)
    distance = np.linalg.norm(known - Prediction.unpack(own.probability), axis=1)
    order = keys[np.argsort(distance, kind="stable")]
    return shown(order[order != chip.pk], SIMILAR)


def shown(order: np.ndarray, most: int, **also) -> list[Chip]:
    """The first of these chips, given by key, that stand in the gallery (and are `also` so)."""
    found: list[Chip] = []
    start, end = 0, 4 * most + 1  # as a rule enough, though some are not shown
    while len(found) < most and start < len(order):
        part = [int(pk) for pk in order[start:end]]
        there = Chip.objects.filter(pk__in=part, shown=True, **also).in_bulk()
        found += [there[pk] for pk in part if pk in there]
        start, end = end, end + _PART
    return found[:most]
