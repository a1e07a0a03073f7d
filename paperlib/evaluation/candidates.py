"""Saved runs -> candidates: the probabilities of several networks for the same chips.

A candidate predicts all labels: one network with 17 outputs, or 17 networks with one output each
put together. Candidates are told apart by variant, loss, design and seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..chips import Chips, leakage
from ..utils.errors import PaperError
from .selection import FOLDS, Outcome, protocol_nested, protocol_paper, protocol_test

if TYPE_CHECKING:
    from ..training.runs import Run

Array = np.ndarray


class Candidate(NamedTuple):
    """What a label may choose: one network for all labels, or a network for each of them.

    variant  of the training chips;  loss  name of the loss
    more     what else tells it from the other candidates: "per label", "seed 1", …
    """

    variant: str
    loss: str
    more: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join((self.variant, self.loss, *self.more))


@dataclass(frozen=True, eq=False)
class Pool:
    """Predictions of several candidates on the same N chips.

    names        `(N,)` str, in order of the first run
    truth        `(N, L)` uint8
    probability  candidate -> `(N, L)` float32; NaN where a candidate lacks a label
    tags         the L labels
    """

    names: Array
    truth: Array
    probability: dict[Candidate, Array]
    tags: tuple[str, ...]

    @property
    def first(self) -> Candidate:
        return next(iter(self.probability))

    def only(self, *wanted: Candidate) -> Pool:
        """The pool of these candidates alone; `KeyError` where one is missing."""
        return replace(self, probability={one: self.probability[one] for one in wanted})

    def of(self, variant: str = "", loss: str = "") -> list[Candidate]:
        """The candidates of a variant and a loss; `""` stands for any."""
        return [c for c in self.probability if variant in ("", c.variant) and loss in ("", c.loss)]

    def pairs(self) -> list[tuple[Candidate, Candidate]]:
        """(original, dehazed) candidates that differ in their training chips alone."""
        found = ((one, one._replace(variant="dehazed")) for one in self.of("original"))
        return [pair for pair in found if pair[1] in self.probability]

    def nested(self, *wanted: Candidate, **system: str | float) -> Outcome:
        """The nested protocol of a choice among `wanted`, by default all.

        system  `recalibration`, `thresholds` of `selection.System`
        """
        return protocol_nested(*self._chosen(wanted), labels=self.tags, **system)

    def paper(self, *wanted: Candidate, **system: str | float) -> Outcome:
        """The same on the paper's protocol: fitted and reported on the same chips."""
        return protocol_paper(*self._chosen(wanted), labels=self.tags, **system)

    def test(self, held: Pool, *wanted: Candidate, **system: str | float) -> Outcome:
        """The same fitted on all chips of this pool, reported on the test chips `held`."""
        truth, probability, names = self._chosen(wanted)
        held_truth, held_probability, held_names = held._chosen(wanted)
        return protocol_test(
            (names, truth, probability),
            (held_names, held_truth, held_probability),
            labels=self.tags,
            **system,
        )

    def _chosen(self, wanted: Iterable[Candidate]) -> tuple[Array, dict[Candidate, Array], Array]:
        chosen = self.only(*wanted).probability if wanted else self.probability
        return self.truth, chosen, self.names


def gather(runs: Iterable[Run], part: str = "validation", chips: Chips | None = None) -> Pool:
    """The runs' probabilities of one part, put together by chip and label, and checked.

    runs   any number of saved runs on the same chips
    part   `"validation"` or `"test"`
    chips  the data, where they are at hand: the runs' labels are then compared with them

    Raises `PaperError` for what `leakage` knows: a chip of the training part, one that stands
    twice or in another part than its name says, labels that differ between runs or from the data,
    two networks for one label, probabilities that sit on other chips' identifiers; and for fewer
    validation chips than the nested protocol has folds.
    """
    runs = list(runs)
    if not runs:
        raise PaperError("no run is saved here", "train one: paper train, or paper run 05")
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
        name = candidate_of(run, runs)
        # Where only hazy training chips were dehazed, the chips predicted are of another kind, and
        # a slope far from 1 is a result: only that there is any is asked.
        loss = "" if run.config.variant == "dehazed-hazy" else run.config.loss
        leakage.check_informative(pool.truth, probability, run.config.slug, loss)
        if name in pool.probability:
            probability = _merge(pool.probability[name], probability, name, pool.tags)
        pool.probability[name] = probability
    if chips is not None:
        leakage.check_alignment(pool.names, pool.truth, chips)
    if part == "validation" and len(pool.names) < FOLDS:
        problem = f"{len(pool.names)} validation chips: fewer than the {FOLDS} folds"
        raise PaperError(f"{problem} of the nested protocol", "give more chips")
    return pool


def candidate_of(run: Run, runs: Iterable[Run]) -> Candidate:
    """The run's candidate, with what tells it from those of the other runs."""
    config = run.config
    more = [] if config.outputs == "all" else ["per label"]
    for key in ("network", "size", "width", "weights", "augment", "seed"):
        if len({str(getattr(other.config, key)) for other in runs}) > 1:
            more.append(f"{key} {getattr(config, key)}")
    return Candidate(config.variant, config.loss, tuple(more))


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


def _merge(kept: Array, more: Array, name: Candidate, tags: tuple[str, ...]) -> Array:
    both = ~np.isnan(kept).any(0) & ~np.isnan(more).any(0)
    if len(kept) and both.any():  # of no chip (a part that is empty) nothing is predicted
        label = tags[int(np.flatnonzero(both)[0])]
        raise PaperError(
            f"{name}: two networks predict the label {label!r}, it would be counted twice",
            "give one network for each label",
        )
    return np.where(np.isnan(kept), more, kept)
