"""Kept runs -> candidates: the probabilities of several networks for the same chips.

A candidate predicts all labels: one network with 17 outputs, or 17 networks with one output each
put together. Candidates are told apart by variant, loss, design and seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..chips import Chips, leakage
from ..utils.errors import PaperError

if TYPE_CHECKING:
    from ..training.runs import Run

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Pool:
    """Several candidates for N chips.

    names        `(N,)` str, in order of the first run
    truth        `(N, L)` uint8
    probability  candidate -> `(N, L)` float32; NaN where a candidate lacks a label
    tags         the L labels
    """

    names: Array
    truth: Array
    probability: dict[str, Array]
    tags: tuple[str, ...]

    def only(self, *parts: str) -> Pool:
        """The candidates whose name has every one of `parts`; `PaperError` where none has."""
        words = {name: set(name.split(", ")) for name in self.probability}
        kept = {n: p for n, p in self.probability.items() if set(parts) <= words[n]}
        if not kept:
            raise PaperError(
                f"no kept run is {' and '.join(parts)}",
                f"there are: {'; '.join(self.probability)}",
            )
        return replace(self, probability=kept)


def gather(runs: Iterable[Run], part: str = "validation", chips: Chips | None = None) -> Pool:
    """The runs' probabilities of one part, put together by chip and label, and checked.

    runs   any number of kept runs on the same chips
    part   `"validation"` or `"test"`
    chips  the data, where they are at hand: the runs' labels are then held against them

    Raises `PaperError` for what `leakage` knows: a chip of the training part, one that stands
    twice or in another part than its name says, labels that differ between runs or from the data,
    two networks for one label, probabilities that sit on other chips' identifiers.
    """
    runs = list(runs)
    if not runs:
        raise PaperError("no run is kept here", "train one: paper train, or paper run 05")
    pool: Pool | None = None
    for run in runs:
        leakage.check_parts(run.names, run.split)
        leakage.check_held_out(run.names, "the pool of candidates")
        leakage.check_labels(run.tags, run.truth.shape[1])
        leakage.check_truth(run.truth)
        mine = run.part(part)
        if pool is None:
            pool = Pool(mine.names, mine.truth, {}, run.tags)
            place = {name: row for row, name in enumerate(mine.names.tolist())}
        rows = _rows(pool, mine, place)
        probability = np.empty_like(mine.probability)
        probability[rows] = mine.probability
        name = candidate_name(run, runs)
        # Where only hazy training chips were dehazed, the chips predicted are of another kind, and
        # a slope far from 1 is a result: only that there is any is asked.
        loss = "" if run.config.variant == "dehazed-hazy" else run.config.loss
        leakage.check_informative(pool.truth, probability, run.config.slug, loss)
        if name in pool.probability:
            probability = _merge(pool.probability[name], probability, name, pool.tags)
        pool.probability[name] = probability
    if chips is not None:
        leakage.check_alignment(pool.names, pool.truth, chips)
    return pool


def candidate_name(run: Run, runs: Iterable[Run]) -> str:
    """What tells the run's candidate from those of the other runs: "original, log", say."""
    config = run.config
    words = [config.variant, config.loss]
    if config.outputs != "all":
        words.append("per label")
    for key in ("network", "size", "width", "weights", "augment", "seed"):
        if len({str(getattr(other.config, key)) for other in runs}) > 1:
            words.append(f"{key} {getattr(config, key)}")
    return ", ".join(words)


def _rows(pool: Pool, run: Run, place: dict[str, int]) -> Array:
    """Where each chip of the run stands in the pool; `PaperError` unless they are the same."""
    if set(run.names.tolist()) != place.keys():
        raise PaperError(
            f"{run.config.slug} predicts other chips than the first run",
            "put together runs on the same chips only",
        )
    rows = np.array([place[name] for name in run.names.tolist()], int)
    wrong = np.flatnonzero((pool.truth[rows] != run.truth).any(1))
    if run.tags != pool.tags or len(wrong):
        raise PaperError(
            f"{run.config.slug}: the labels of {len(wrong)} chips are not those of the first run: "
            "the identifiers are shuffled or the label file has changed",
            "train it again on the same data",
        )
    return rows


def _merge(kept: Array, more: Array, name: str, tags: tuple[str, ...]) -> Array:
    both = ~np.isnan(kept).any(0) & ~np.isnan(more).any(0)
    if len(kept) and both.any():  # of no chip (a part that is empty) nothing is predicted
        label = tags[int(np.flatnonzero(both)[0])]
        raise PaperError(
            f"{name}: two networks predict the label {label!r}, it would be counted twice",
            "give one network for each label",
        )
    return np.where(np.isnan(kept), more, kept)
