"""Chips that the model is least sure of: a label's probability lies next to its threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paperlib.labels import LABELS

from .. import label_sets
from ..models import Chip, ModelVersion
from . import similar

MOST = 48


@dataclass(frozen=True)
class Unsure:
    """`title` is the label at issue; percentages are 0…100 with one decimal."""

    chip: Chip
    title: str
    percent: float
    threshold: float


def queue() -> list[Unsure]:
    """Chips of the gallery that nobody has corrected or confirmed, the least sure first."""
    model = ModelVersion.current()
    if model is None or len(model.thresholds) != len(LABELS):
        return []
    keys, known = similar.vectors(model.pk)
    if not len(keys):
        return []
    limits = np.asarray(model.thresholds)
    away = np.abs(known - limits)
    row = {int(key): i for i, key in enumerate(keys)}
    order = keys[np.argsort(away.min(axis=1), kind="stable")]
    found = []
    for chip in similar.shown(order, MOST, corrected=False):
        i = row[chip.pk]
        label = int(away[i].argmin())
        percent, threshold = (round(100 * float(x), 1) for x in (known[i, label], limits[label]))
        found.append(Unsure(chip, label_sets.title(LABELS[label]), percent, threshold))
    return found
