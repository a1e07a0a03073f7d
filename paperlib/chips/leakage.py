"""Checks that run with the experiment: each stops it when a number would be better than it is.

Every function returns nothing when all is well and raises `PaperError` otherwise. They are called
where the mistake would enter (`selection`, `candidates`, `train`), not only by tests.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ..utils.errors import PaperError
from . import Chips, split_many

Array = np.ndarray
#: Loss -> the least slope of `check_informative`, about half of what the shipped runs have: 0.87 to
#: 1.08 for the log loss, 1.1 for hard examples, 0.39 to 0.49 for the F2 loss, which is too sure.
SLOPES = {"log": 0.5, "hard": 0.5, "f2": 0.2}
TELLING = 50  # chips positive for a label, from which on its probabilities can tell shuffled ones


def check_once(names: Iterable[str], what: str = "chip") -> None:
    """Each name is there once: a chip (or a label) counted twice weighs twice in every score."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise PaperError(
            f"{what} {twice[0]!r} is counted twice ({len(twice)} such)",
            f"give each {what} once",
        )


def check_labels(tags: Sequence[str], columns: int) -> None:
    """Each column has its own label: none stands in two columns, none has no name."""
    check_once(tags, "label")
    if len(tags) != columns:
        raise PaperError(
            f"{columns} columns for {len(tags)} labels", "give each label one column, in order"
        )


def check_truth(truth: Array) -> None:
    """Labels are 0 or 1: a tag that a row of the label file repeats must count once."""
    if not np.isin(truth, (0, 1)).all():
        raise PaperError(
            f"a label is counted {truth.max():g} times on one chip",
            "count a tag that a row repeats once",
        )


def check_held_out(names: Iterable[str], doing: str) -> None:
    """None of the chips belongs to the training part: a network is too sure of what it has seen."""
    names = np.asarray(list(names))
    seen = names[split_many(names) == "train"]
    if len(seen):
        raise PaperError(
            f"{doing} is given {len(seen)} chips that the networks were trained on, {seen[0]!r} "
            "for one",
            "give predictions of validation chips only",
        )


def check_choosing(names: Iterable[str], doing: str) -> None:
    """All of the chips belong to the validation part: what a test chip chose, it cannot judge."""
    names = np.asarray(list(names))
    check_held_out(names, doing)
    judges = names[split_many(names) == "test"]
    if len(judges):
        raise PaperError(
            f"{doing} is given {len(judges)} test chips, {judges[0]!r} for one",
            "choose by validation chips only; test chips are for the report",
        )


def check_unseen(seen: Iterable[str], used: Iterable[str], doing: str) -> None:
    """No chip of `used` is among `seen`."""
    both = sorted(set(seen) & set(used))
    if both:
        raise PaperError(
            f"{doing}: {len(both)} chips are on both sides, {both[0]!r} for one",
            "keep apart the chips that choose and the chips that judge",
        )


def check_parts(names: Array, split: Array) -> None:
    """The part stored with each chip is the one its name gives: no chip has changed sides."""
    check_once(names)
    moved = np.flatnonzero(split_many(names) != np.asarray(split))
    if len(moved):
        first = moved[0]
        raise PaperError(
            f"{len(moved)} chips stand in another part than their name says, {names[first]!r} "
            f"in {split[first]!r} for one",
            "make the predictions again with this version's split",
        )


def check_trained_on(names: Iterable[str]) -> None:
    """Every chip that a network is given to learn from belongs to the training part."""
    names = np.asarray(list(names))
    held = names[split_many(names) != "train"]
    if len(held):
        raise PaperError(
            f"training is given {len(held)} held-out chips, {held[0]!r} for one",
            "train on the training part only",
        )


def check_training(train: Chips, reported: Chips, fraction: float = 0.001) -> None:
    """No reported chip is trained on, by name or by its pixels under another name.

    fraction  of the reported chips that may have a pixel-identical chip among the training ones,
              one in any case. Chips without features (full cloud: one colour, up to 2 of 255) are
              left out, since they can be equal by chance.
    """
    check_unseen(train.names, reported.names, "training")
    known = {_digest(image) for image in train.images}
    copies = [
        n
        for n, image in zip(reported.names, reported.images, strict=True)
        if _digest(image) in known and np.ptp(image, axis=(0, 1)).max() > 2
    ]
    if len(copies) > max(1, fraction * len(reported)):
        raise PaperError(
            f"training: {len(copies)} of {len(reported)} reported chips are among the training "
            f"chips under another name, {copies[0]!r} for one",
            "remove the copies from the data",
        )


def check_alignment(names: Array, truth: Array, chips: Chips) -> None:
    """Predictions have the labels that the data give to their names: identifiers not shuffled."""
    place = {name: row for row, name in enumerate(chips.names.tolist())}
    unknown = [name for name in names.tolist() if name not in place]
    if unknown:
        raise PaperError(
            f"predictions for {len(unknown)} chips that the data do not hold, {unknown[0]!r} "
            "for one",
            "give the data the predictions were made from",
        )
    rows = [place[name] for name in names.tolist()]
    wrong = np.flatnonzero((chips.labels[rows] != truth).any(1))
    if len(wrong):
        raise PaperError(
            f"the labels of {len(wrong)} chips are not those of the data, {names[wrong[0]]!r} "
            "for one: the identifiers are shuffled or the label file has changed",
            "make the predictions again",
        )


def check_informative(truth: Array, probability: Array, source: str, loss: str = "") -> None:
    """Confident probabilities must say something about their own chips.

    For calibrated probabilities cov(p, y) = var(p); for ones that sit on other chips it is 0,
    however good the network. So the slope Σ cov(p, y)/Σ var(p) is near 1 or near 0, with a standard
    error of √(Σ var(p)·var(y)/N)/Σ var(p). It fails where the slope is not 3 errors above 0, or is
    3 errors below `SLOPES` of its loss, and the error is small enough (under 0.1) to tell: where a
    fraction of the rows was moved, the slope falls by this fraction. (What moves fewer is found by
    the digest that `runs.load` holds predictions against.) A network that has learnt nothing
    gives nearly constant probabilities, a large error, and passes. Labels for which fewer than
    `TELLING` chips are positive are left out: a network of one rare label alone can be surely wrong
    about all of them.

    truth  `(N, L)`;  probability  `(N, L)`, NaN where a label is not predicted
    loss   that the network was trained with, a name from `losses.LOSSES`; `""` if unknown
    """
    carriers = np.minimum(truth.sum(0, dtype=np.int64), (truth == 0).sum(0))
    known = ~np.isnan(probability).any(0) & (carriers >= TELLING)
    p, y = probability[:, known].astype(np.float64), truth[:, known].astype(np.float64)
    if len(p) < 2 or not (spread := p.var(0).sum()):
        return
    slope = ((p - p.mean(0)) * (y - y.mean(0))).mean(0).sum() / spread
    error = np.sqrt((p.var(0) * y.var(0)).sum() / len(p)) / spread
    least = SLOPES.get(loss.partition("-")[0], 0.0)
    if error < 0.1 and (slope < 3 * error or slope < least - 3 * error):
        raise PaperError(
            f"{source}: its confident probabilities say nothing about its own chips, or little "
            f"(slope {slope:.2f} ± {error:.2f}, 1 is calibrated): the identifiers are shuffled",
            "make the predictions again",
        )


def predictions_digest(names: Array, truth: Array, probability: Array) -> str:
    """sha256 over what a run says of which chip: any row that is moved or changed changes it."""
    digest = hashlib.sha256("\n".join(names.tolist()).encode())
    for array in (truth, probability):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def check_unchanged(
    names: Array, truth: Array, probability: Array, written: str, source: str
) -> None:
    """The predictions are the ones that were written, by their `predictions_digest`."""
    if predictions_digest(names, truth, probability) != written:
        raise PaperError(
            f"{source}: the predictions are not the ones that were written: rows were moved or "
            "changed",
            "take the run from where it was shipped again, or remove it and train it again",
        )


def _digest(image: Array) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image)).digest()
