"""The exercises of notebook 04: counts at a threshold, F2, its two averages, the best threshold."""

from __future__ import annotations

import numpy as np

from .checking import Book, Exercise, Function, Verdict, code

BOOK = Book("04")


def _counts(flaws: frozenset[str], truth: np.ndarray, probability: np.ndarray, threshold: float):
    threshold = 0.5 if "fixed" in flaws else threshold
    given = probability >= threshold if "at" in flaws else probability > threshold
    given = ~given if "turned" in flaws else given
    there = truth == 1
    hits, false, missed = (int(n.sum()) for n in (there & given, ~there & given, there & ~given))
    if "true negatives" in flaws:
        hits += int((~there & ~given).sum())
    counts = (hits, missed, false) if "swapped" in flaws else (hits, false, missed)
    return np.array(counts) / (truth.size if "shares" in flaws else 1)


def _f2(flaws: frozenset[str], hits: int, false: int, missed: int) -> float:
    if "swapped" in flaws:
        false, missed = missed, false
    beta = {"f1": 1.0, "root": np.sqrt(2)}
    square = next((b**2 for name, b in beta.items() if name in flaws), 4.0)
    below = (1 + square) * hits + square * missed + false
    if "recall" in flaws:
        return hits / (hits + missed) if hits + missed else 0.0
    if "precision" in flaws:
        return hits / (hits + false) if hits + false else 0.0
    top = hits if "top" in flaws else (1 + square) * hits
    if not below:
        return 1.0 if "one" in flaws else np.nan if "nan" in flaws else 0.0
    return top / below


def _mean(flaws: frozenset[str], truth: np.ndarray, given: np.ndarray) -> float:
    truth, given = truth == 1, given == 1
    axis = 0 if "labels" in flaws else None if "pooled" in flaws else 1
    hits, false, missed = ((a & b).sum(axis) for a, b in
                           ((truth, given), (~truth, given), (truth, ~given)))  # fmt: skip
    below = 5 * hits + 4 * missed + false
    if "f1" in flaws:
        return float(np.mean(2 * hits / np.maximum(2 * hits + missed + false, 1)))
    score = 5 * hits / np.maximum(below, 1)
    return float(score[below > 0].mean() if "left out" in flaws else np.mean(score))


def _best(flaws: frozenset[str], truth: np.ndarray, probability: np.ndarray) -> float:
    cuts = np.unique(probability)
    cuts = cuts if "not all" in flaws else np.concatenate([[-1], cuts])
    if "half" in flaws:
        cuts = np.array([0.5])
    if "grid" in flaws:
        cuts = np.arange(0, 1, 0.1)
    given = probability > cuts[:, None]
    hits, false = (given & (truth == 1)).sum(1), (given & (truth == 0)).sum(1)
    missed = (truth == 1).sum() - hits
    f2 = 5 * hits / np.maximum(5 * hits + 4 * missed + false, 1)
    f1 = 2 * hits / np.maximum(2 * hits + missed + false, 1)
    if "by f1" in flaws:
        return float(f2[f1.argmax()])
    return float(f1.max() if "f1" in flaws else f2.max())


def _one_label(seed: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(40) < rate).astype(int)
    return truth, np.round(0.9 * rng.random(40) ** 2 + 0.1 * truth, 3)


def _many_labels(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth, given = ((rng.random((12, 5)) < rate).astype(int) for rate in (0.3, 0.4))
    truth[3] = given[3] = 0  # a chip without labels that gets none
    return truth, given


BOOK.add(
    Exercise(
        "counts",
        _counts,
        lambda: [(np.array([1, 0, 1, 0, 1, 0]), np.array([0.9, 0.8, 0.2, 0.1, 0.3, 0.3]), 0.3),
                 (*_one_label(0, 0.4), 0.2)],
        {
            "swapped": "false alarms and misses have changed places; the order is TP, FP, FN",
            "at": "at the threshold itself the label is not given: above it, >",
            "fixed": "0.5 is typed in; the threshold is an argument",
            "turned": "the label is given below the threshold; above it is right",
            "true negatives": "a label that is not there and not given is no hit; F2 never sees it",
            "shares": "these are shares; counts are wanted",
        },
        "Four things can happen to a label: it is there or not, it is given or not",
        code("""
        def my_counts(truth, probability, threshold):
            given = probability > threshold
            return (truth & given).sum(), (~truth & 1 & given).sum(), (truth & ~given).sum()
        """),
        "TP, FP and FN are all that F2 sees",
    )
)  # fmt: skip
BOOK.add(
    Exercise(
        "f2",
        _f2,
        lambda: [(2, 3, 1), (10, 1, 6), (0, 4, 2), (0, 0, 0), (5, 0, 0)],
        {
            "swapped": "a miss is the dear one, not a false alarm (this is F0.5)",
            "f1": "this is F1, where a miss costs as much as a false alarm",
            "root": "a miss counts twice here; it is β² that counts, and β is 2",
            "recall": "this is recall; false alarms cost a little, too",
            "precision": "this is precision; misses cost most",
            "top": "a perfect answer has to give 1",
            "nan": "nothing there and nothing given is 0 divided by 0; this package counts it 0",
            "one": "nothing there and nothing given counts 0 in this package, not 1",
        },
        "A hit gives 1 + β², a miss costs β², a false alarm 1. What is the largest it can be?",
        code("""
        def my_f2(tp, fp, fn):
            below = 5 * tp + 4 * fn + fp
            return 5 * tp / below if below else 0.0
        """),
        "a miss costs as much as four false alarms",
    )
)
BOOK.add(
    Exercise(
        "mean over chips",
        _mean,
        lambda: [_many_labels(1), _many_labels(2)],
        {
            "labels": "this is the mean over the labels; here each chip (row) gets its own F2",
            "pooled": "all counts are pooled; here each chip gets its own F2, then comes the mean",
            "left out": "a chip without labels that gets none counts 0; it is not left out",
            "f1": "this is F1; a miss costs four times as much in F2",
        },
        "One F2 for each row, then their mean",
        code("""
        def my_mean_f2(truth, given):
            hits = (truth & given).sum(axis=1)
            below = given.sum(axis=1) + 4 * truth.sum(axis=1)
            return np.mean(np.where(below > 0, 5 * hits / np.maximum(below, 1), 0.0))
        """),
        "the competition's score",
    )
)
BOOK.add(
    Exercise(
        "best threshold",
        _best,
        lambda: [
            _one_label(3, 0.3),
            _one_label(18, 0.15),
            (np.array([1, 1, 0, 1, 1]), np.array([0.9, 0.8, 0.6, 0.7, 0.2])),  # all is best
            # close by each other: a grid of any usual step misses the cut between them
            (np.array([1, 1, 0, 0]), np.array([0.9, 0.30003, 0.30002, 0.30001])),
        ],
        {
            "half": "only 0.5 is tried; a miss is dear, so the best threshold lies lower",
            "grid": "a grid misses cuts; between two neighbouring probabilities nothing changes, "
            "so "
            "try each of them",
            "not all": "one cut is missing: below all probabilities, where every chip gets the "
            "label",
            "f1": "this is the best F1",
            "by f1": "this is F2 at the threshold that is best for F1",
        },
        "Between two neighbouring probabilities nothing changes: there are N + 1 cuts. Try them "
        "all",
        code("""
        def my_best_f2(truth, probability):
            best = 0.0
            for cut in [-1.0, *probability]:
                given = probability > cut
                hits = (truth[given] == 1).sum()
                best = max(best, 5 * hits / (given.sum() + 4 * truth.sum()))
            return best
        """),
        "the best that any threshold gives this label",
    )
)


def check_counts(answer: Function) -> Verdict:
    """`answer(truth, probability, threshold)`, `(N,)` each: TP, FP, FN of one label."""
    return BOOK.check("counts", answer)


def check_f2(answer: Function) -> Verdict:
    """`answer(tp, fp, fn)` gives F2; 0 where all three are 0."""
    return BOOK.check("f2", answer)


def check_mean_f2(answer: Function) -> Verdict:
    """`answer(truth, given)`, `(N, L)` of 0 and 1: the mean over chips of each chip's F2."""
    return BOOK.check("mean over chips", answer)


def check_best_f2(answer: Function) -> Verdict:
    """`answer(truth, probability)`, `(N,)` each: the largest F2 that a threshold reaches."""
    return BOOK.check("best threshold", answer)
