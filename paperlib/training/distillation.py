"""Knowledge distillation: a small network learns from a large one's answers, not labels alone.

A teacher's probability says more than a label: how sure, and which other labels come close (Hinton,
Vinyals & Dean 2015). With one sigmoid per label no temperature is needed to see that, and the log
loss is linear in its target:

    a·loss(p, teacher) + (1 − a)·loss(p, label) = loss(p, a·teacher + (1 − a)·label)

so distillation is training on the mixed target, with the log loss as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..chips import Chips
from ..utils import cache, code
from ..utils.errors import PaperError
from .runs import Run, describe, load, same_chips

Array = np.ndarray


def mixed_targets(labels: Array, teacher: Array, fraction: float) -> Array:
    """What the student is trained on: `fraction`·teacher + (1 − fraction)·labels, `(N, L)` float32.

    labels  `(N, L)` of 0 and 1; teacher `(N, L)` probabilities; fraction 0 (labels alone) to 1
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction: 0 to 1, not {fraction}")
    if labels.shape != teacher.shape:
        raise ValueError(f"teacher: expected {labels.shape}, got {teacher.shape}")
    return (fraction * teacher + (1 - fraction) * labels).astype(np.float32)


def find_teacher(slug: str, runs_folder: str | Path, chips: Chips | None = None) -> Run:
    """The teacher's saved run, in the student's runs folder or the one above it.

    chips  the student's: of several runs the one on these is taken, else one whose weights are on
           this machine

    Raises `PaperError` where there is none.
    """
    runs = Path(runs_folder)
    found = [
        load(place)
        for folder in (runs, runs.parent)
        for place in (folder / slug, *sorted(folder.glob(f"{slug}-*")))
        if (place / "run.json").is_file()
    ]
    if not found:
        raise PaperError(
            f"the teacher {slug} is not in {runs} nor above", "train it first: paper train"
        )
    now = describe(chips) if chips else None

    def merit(run: Run) -> tuple[bool, bool]:
        return bool(now and same_chips(run.metadata["chips"], now)), run.weights_file.is_file()

    return max(found, key=merit)


def soft_labels(slug: str, chips: Chips, runs_folder: str | Path, *, views: int = 1) -> Array:
    """The teacher's probabilities of all chips, `(N, L)` float16, computed once and saved.

    slug   of the teacher's run, whose weights must be on this machine
    chips  the student's
    views  symmetries of each chip that are averaged, 1 to 8: a student that sees a chip turned
           and mirrored is then taught the same in every position

    A teacher may have been trained on other chips than these (more of them, say), but only of the
    training part: that the student learns nothing about the held-out ones is `train`'s split.
    """
    run = find_teacher(slug, runs_folder, chips)
    answers = run.metadata.get("predictions", "")  # a teacher trained anew answers otherwise
    key = f"teacher-{cache.key(slug, chips.fingerprint, views, answers, code.stamp(__name__))}"
    if found := cache.load(key):
        return np.array(found[0])
    from ..networks.augment import predict
    from . import determinism

    determinism.prepare()
    if run.config.outputs != "all" or run.tags != chips.tags:
        raise PaperError(f"the teacher {slug} has other labels", "take one with all of them")
    values = predict(run.model(), chips.images, views=views).astype(np.float16)
    cache.save(key, values)
    return values
