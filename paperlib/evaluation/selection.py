"""From the probabilities of several networks to one set of labels per chip, and its honest score.

The paper's system: for each label the candidate that does better on validation is kept (choice);
the kept columns are put together (integration); each label is predicted again from all
(recalibration, `ridge`); a threshold per label makes labels of it. All of that is fitted on
validation chips, and two protocols report what it is worth:

- **paper**: fitted on the validation chips and reported on the same chips. Optimistic.
- **nested**: fitted on K − 1 folds of them and applied to the remaining one, each in turn; all
  chips are then predicted by a system that was fitted without them, and reported together. (The
  networks were not: of each the best epoch was chosen on all validation chips.)

`protocol_test` is the third reading: fitted on all validation chips, reported once on test chips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from .. import f2
from ..chips import leakage
from ..labels import LABELS
from ..ridge import LabelRecalibrator
from ..utils.errors import PaperError
from ..utils.memoize import once

Array = np.ndarray
FOLDS = 5  # of the nested protocol
#: One candidate's probabilities `(N, L)`, or several by name; NaN where one lacks a label.
Candidates = Array | Mapping[Any, Array]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a protocol reports on N chips.

    protocol     `"paper"`, `"nested"` or `"test"`
    names        `(N,)` str
    truth        `(N, L)` uint8
    prediction   `(N, L)` uint8, the labels given
    probability  `(N, L)` float64, after choice and recalibration
    score        mean-over-chips F2
    interval     the same with its bootstrap interval over chips
    thresholds   `(K, L)`, one row per fitted system (one, or one per fold)
    choice       `(K, L)` int, which of `candidates` each label comes from
    candidates   the candidates chosen among; the arrays are read-only, since outcomes are kept
    systems      the fitted systems, one per row of `thresholds`
    fold         `(N,)` int, which of them predicted each chip
    """

    protocol: str
    names: Array
    truth: Array
    prediction: Array
    probability: Array
    score: float
    interval: f2.Interval
    thresholds: Array
    choice: Array
    candidates: tuple[Any, ...]
    systems: tuple[System, ...]
    fold: Array

    def label_f2(self, **options: float) -> f2.Interval:
        """Binary F2 of each label with its interval, arrays of `(L,)`."""
        return f2.bootstrap(self.truth, self.prediction, "labels", **options)

    def minus(self, other: Outcome, **options: float) -> f2.Interval:
        """How much better than `other` on the same chips: mean-over-chips F2, paired interval."""
        if not np.array_equal(self.names, other.names):
            raise ValueError("other: reports on other chips")
        return f2.paired_bootstrap(self.truth, other.prediction, self.prediction, **options)

    def difference(self, other: Outcome) -> dict[str, float]:
        """`minus` as a table has it: `difference`, `low`, `high`."""
        return dict(zip(("difference", "low", "high"), self.minus(other), strict=True))


@dataclass
class System:
    """Choice per label, recalibration and thresholds, fitted together on validation chips.

    recalibration  `"none"`, `"ridge"` or `"lasso"`
    thresholds     `"chips"`: for the mean-over-chips F2; `"labels"`: for each label's own F2; or
                   one number for all
    labels         names of the columns

    After `fit`: `candidates_` (names), `choice_` `(L,)`, `recalibrator_`, `thresholds_` `(L,)`,
    `given_` `(L,)` (to how many of the chips each label is given), `fitted_on_` (their names).
    """

    recalibration: str = "none"
    thresholds: str | float = "chips"
    labels: Sequence[str] = LABELS
    fitted_on_: frozenset[str] = field(default=frozenset(), init=False, repr=False)

    def fit(self, names: Array, truth: Array, probability: Candidates) -> Self:
        """Choose, recalibrate and set thresholds on these chips.

        Raises `PaperError` where a chip comes twice, is one that the networks were trained on, or
        is a test chip.
        """
        leakage.check_once(names)
        leakage.check_choosing(names, "the choice of networks, ridge and thresholds")
        leakage.check_labels(self.labels, truth.shape[1])
        leakage.check_truth(truth)
        pool = as_candidates(probability)
        self.candidates_ = tuple(pool)
        self.choice_ = choose(truth, pool)
        integrated = self._integrate(pool)
        self.recalibrator_ = LabelRecalibrator(self.recalibration).fit(integrated, truth)
        calibrated = self.recalibrator_.predict(integrated)
        if self.thresholds == "chips":
            self.thresholds_ = f2.best_thresholds(truth, calibrated)
        elif self.thresholds == "labels":
            self.thresholds_ = f2.label_thresholds(truth, calibrated)
        elif isinstance(self.thresholds, int | float):
            self.thresholds_ = np.full(truth.shape[1], float(self.thresholds))
        else:
            raise ValueError(f'thresholds: "chips", "labels" or a number, not {self.thresholds!r}')
        self.given_ = (calibrated > self.thresholds_).sum(0)
        self.fitted_on_ = frozenset(np.asarray(names).tolist())
        return self

    def predict(
        self, names: Array, probability: Candidates, *, in_sample: bool = False
    ) -> tuple[Array, Array]:
        """Probability after recalibration `(N, L)`, and the labels given `(N, L)` uint8.

        in_sample  allow chips that it was fitted on: only the paper's protocol says so. Without
                   it such a chip raises `PaperError`, so that no threshold is tuned on a chip it
                   is then reported on.
        """
        if not in_sample:
            leakage.check_unseen(self.fitted_on_, names, "reporting on chips that were fitted")
        pool = as_candidates(probability)
        if tuple(pool) != self.candidates_:
            raise ValueError(f"probability: expected candidates {self.candidates_}, {tuple(pool)}")
        calibrated = self.recalibrator_.predict(self._integrate(pool))
        return calibrated, (calibrated > self.thresholds_).astype(np.uint8)

    def _integrate(self, pool: Mapping[Any, Array]) -> Array:
        columns = [pool[self.candidates_[c]][:, label] for label, c in enumerate(self.choice_)]
        return np.stack(columns, axis=1).astype(np.float64)


def as_candidates(probability: Candidates) -> dict[Any, Array]:
    """Candidates by name, whichever way they were given; all of one shape, or `ValueError`."""
    if not isinstance(probability, Mapping):
        probability = {"network": probability}
    pool = {name: np.asarray(p) for name, p in probability.items()}
    if not pool:
        raise ValueError("probability: no candidate is given")
    if len({p.shape for p in pool.values()}) > 1:
        raise ValueError(f"probability: shapes differ: { ({k: p.shape for k, p in pool.items()}) }")
    return pool


def choose(truth: Array, probability: Candidates) -> Array:
    """For each label the candidate with the highest F2 at that candidate's best threshold.

    Returns `(L,)` int, positions among the candidates; of equal ones the first.
    Paper, section 3.2 and figure 4.
    """
    return choice_scores(truth, probability).argmax(0)


@once
def choice_scores(truth: Array, probability: Candidates) -> Array:
    """Binary F2 of each candidate and label at its best threshold, `(C, L)`; −1 where it lacks it.

    Raises `PaperError` where no candidate predicts a label.
    """
    rows = []
    for p in as_candidates(probability).values():
        lacking = np.isnan(p).any(0)
        p = np.where(lacking, 0.0, p)
        score = f2.f2_score(truth, p > f2.label_thresholds(truth, p), "labels")
        rows.append(np.where(lacking, -1.0, score))
    scores = np.stack(rows)
    if (orphans := np.flatnonzero((scores < 0).all(0))).size:
        raise PaperError(
            f"no network predicts label {orphans[0]} ({orphans.size} such)",
            "train the missing networks first",
        )
    scores.flags.writeable = False
    return scores


def folds_of(names: Array, folds: int) -> Array:
    """Fold 0…K−1 of each chip, `(N,)`: as equal in size as can be, decided by the names alone."""
    if not 2 <= folds <= len(names):
        raise ValueError(f"folds: between 2 and the {len(names)} chips, not {folds}")
    keys = [hashlib.sha256(f"fold:{name}".encode()).hexdigest() for name in names]
    fold = np.empty(len(keys), int)
    fold[np.argsort(keys, kind="stable")] = np.arange(len(keys)) % folds
    return fold


@once
def protocol_paper(
    truth: Array, probability: Candidates, names: Array, *, seed: int = 0, **system: str | float
) -> Outcome:
    """The paper's: fitted and reported on the same validation chips.

    truth        `(N, L)`;  probability  one `(N, L)` or several by name;  names  `(N,)`
    system       `recalibration`, `thresholds`, `labels` of `System`
    """
    fitted = System(**system).fit(names, truth, probability)
    calibrated, prediction = fitted.predict(names, probability, in_sample=True)
    where = np.zeros(len(names), int)
    return _outcome("paper", names, truth, calibrated, prediction, [fitted], where, seed)


@once
def protocol_nested(
    truth: Array,
    probability: Candidates,
    names: Array,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    **system: str | float,
) -> Outcome:
    """Nested: each fold is predicted by a system fitted on the others; all reported together."""
    names = np.asarray(names)
    pool, fold = as_candidates(probability), folds_of(names, folds)
    calibrated = np.full(truth.shape, np.nan)
    prediction = np.zeros(truth.shape, np.uint8)
    systems = []
    for k in range(folds):
        inside, outside = fold != k, fold == k
        fitted = System(**system).fit(
            names[inside], truth[inside], {c: p[inside] for c, p in pool.items()}
        )
        calibrated[outside], prediction[outside] = fitted.predict(
            names[outside], {c: p[outside] for c, p in pool.items()}
        )
        systems.append(fitted)
    return _outcome("nested", names, truth, calibrated, prediction, systems, fold, seed)


def protocol_test(
    validation: tuple[Array, Array, Candidates],
    test: tuple[Array, Array, Candidates],
    *,
    seed: int = 0,
    **system: str | float,
) -> Outcome:
    """Fitted on all validation chips, reported once on the test chips.

    validation, test  (names, truth, probability) of each
    """
    names, truth, probability = test
    fitted = System(**system).fit(*validation)
    calibrated, prediction = fitted.predict(names, probability)
    where = np.zeros(len(names), int)
    return _outcome("test", names, truth, calibrated, prediction, [fitted], where, seed)


def _outcome(
    protocol: str,
    names: Array,
    truth: Array,
    calibrated: Array,
    prediction: Array,
    systems: list[System],
    fold: Array,
    seed: int,
) -> Outcome:
    leakage.check_once(names)
    leakage.check_held_out(names, "the report")
    interval = f2.bootstrap(truth, prediction, seed=seed)
    names, truth = np.array(names), np.array(truth, np.uint8)  # not the caller's, who may change it
    thresholds = np.stack([s.thresholds_ for s in systems])
    choice = np.stack([s.choice_ for s in systems])
    for array in (names, truth, prediction, calibrated, thresholds, choice, fold):
        array.flags.writeable = False
    return Outcome(
        protocol=protocol,
        names=names,
        truth=truth,
        prediction=prediction,
        probability=calibrated,
        score=float(interval.value),
        interval=interval,
        thresholds=thresholds,
        choice=choice,
        candidates=systems[0].candidates_,
        systems=tuple(systems),
        fold=fold,
    )
