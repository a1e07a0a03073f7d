"""Which quantity does table 1 print? Every candidate, computed from our own predictions.

Eleven of the printed numbers lie within 0.01 of each other, for labels as unlike as primary forest
and bare ground; six are far below. Each function here gives one quantity that a program could have
printed once per label, `(L,)`; `distances` says how far each is from the printed column.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from .. import f2
from ..labels import LABELS

Array = np.ndarray
#: The labels printed near 0.925: those of the weather and the common ones; the rest are rare.
NEAR = 0.9
BINARY = "binary F2"
RUNNING = "overall F2 during the threshold search"
TUNED = "binary F2, threshold tuned for the label"
CARRIED, ACCURACY = "F2 over the chips positive for the label", "accuracy"
RAW = "binary F2, threshold tuned for the label, before ridge"
MIXED = "mixed: overall F2 during the search for the eleven, tuned binary F2 for the six"
#: What the figure of notebook 09 draws label by label, and which it names in bold.
SHOWN, EMPHASISED = (RUNNING, TUNED, CARRIED, ACCURACY), (MIXED, RUNNING, TUNED)


def candidates(
    truth: Array,
    prediction: Array,
    probability: Array,
    published: Array,
    raw: Array | None = None,
) -> pd.DataFrame:
    """A row per label, a column per quantity that could have been printed.

    truth, prediction  `(N, L)` of 0 and 1;  probability  `(N, L)`;  published  `(L,)`
    raw  the probability before ridge: the table's caption calls its numbers "original"

    Columns: `label`, `chips`, `published`, then one per candidate. Quantities of the whole set
    (the same for every label) are there as well: a program may print one inside its loop.
    """
    own = probability > f2.label_thresholds(truth, probability)
    precision, recall = f2.precision_recall(truth, prediction)
    there = truth.any(0)
    precise = [
        average_precision_score(truth[:, i], probability[:, i]) if there[i] else np.nan
        for i in range(truth.shape[1])
    ]
    binary = f2.f2_score(truth, prediction, "labels")
    tuned = f2.f2_score(truth, own, "labels")
    running = running_overall(truth, probability)
    count = truth.sum(0)
    columns: dict[str, Array | float] = {
        BINARY: binary,
        TUNED: tuned,
        CARRIED: carried(truth, prediction),
        RUNNING: running,
        "overall F2, only this label's threshold tuned": one_tuned(truth, probability),
        "overall F2": f2.f2_score(truth, prediction),
        "micro-averaged F2": micro(truth, prediction),
        "F2 averaged over labels by their chips": float(np.average(binary, weights=count)),
        "F2 of presence and absence, weighted": both_classes(truth, prediction),
        ACCURACY: (truth == prediction).mean(0),
        "balanced accuracy": balanced_accuracy(truth, prediction),
        "precision": precision,
        "recall": recall,
        "average precision": np.array(precise),
        MIXED: np.where(published > NEAR, running, tuned),
    }
    if raw is not None:
        columns[RAW] = f2.f2_score(truth, raw > f2.label_thresholds(truth, raw), "labels")
    frame = pd.DataFrame({"label": LABELS, "chips": count, "published": published, **columns})
    frame.loc[~there, list(columns)] = np.nan
    return frame


def carried(truth: Array, prediction: Array) -> Array:
    """Mean-over-chips F2 (all labels of a chip) over the chips positive for each label, `(L,)`."""
    score = f2.chip_f2(truth, prediction)
    count = truth.sum(0)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, score @ truth / np.maximum(count, 1), np.nan)


def micro(truth: Array, prediction: Array) -> float:
    """F2 of all chips and labels in one pot."""
    hits = int((truth & prediction).sum())
    return float(f2.from_counts(hits, int(truth.sum()) - hits, int(prediction.sum()) - hits))


def both_classes(truth: Array, prediction: Array) -> Array:
    """F2 of "there" and of "not there", weighted by how often each is (`average="weighted"`)."""
    share = truth.mean(0)
    absent = f2.f2_score(1 - truth, 1 - prediction, "labels")
    return share * f2.f2_score(truth, prediction, "labels") + (1 - share) * absent


def balanced_accuracy(truth: Array, prediction: Array) -> Array:
    """Mean of the recall of "there" and of "not there", `(L,)`."""
    _, recall = f2.precision_recall(truth, prediction)
    _, specificity = f2.precision_recall(1 - truth, 1 - prediction)
    return (recall + specificity) / 2


def running_overall(
    truth: Array, probability: Array, start: float = 0.2, steps: int = 100
) -> Array:
    """The overall F2 after each label's turn in the threshold search of the public solutions.

    All labels start at `start`. In turn each label tries `steps` thresholds 0, 1/steps, … with all
    others as they stand, keeps the best and prints the overall F2: one number per label, `(L,)`.
    """
    return _search(truth, probability, start, steps, keep=True)


def one_tuned(truth: Array, probability: Array, start: float = 0.2, steps: int = 100) -> Array:
    """The same, but with every other label back at `start`, `(L,)`."""
    return _search(truth, probability, start, steps, keep=False)


def _search(truth: Array, probability: Array, start: float, steps: int, *, keep: bool) -> Array:
    on = (probability > start).astype(np.int32)
    truth = truth.astype(np.int32)
    hits, predicted, weight = (truth & on).sum(1), on.sum(1), f2.BETA_SQUARED * truth.sum(1)
    printed = np.empty(truth.shape[1])
    for label in range(truth.shape[1]):
        others_hit = hits - (truth[:, label] & on[:, label])
        others_on = predicted - on[:, label]
        best, column = -1.0, on[:, label]
        for step in range(steps):
            mine = (probability[:, label] > step / steps).astype(np.int32)
            above = (1 + f2.BETA_SQUARED) * (others_hit + (truth[:, label] & mine))
            below = weight + others_on + mine
            score = np.divide(above, below, out=np.zeros(len(mine)), where=below > 0).mean()
            if score > best:
                best, column = score, mine
        printed[label] = best
        if keep:
            on[:, label] = column
            hits, predicted = others_hit + (truth[:, label] & column), others_on + column
    return printed


def distances(frame: pd.DataFrame) -> pd.DataFrame:
    """How far each candidate is from the printed column, the nearest over all labels first.

    frame  `candidates`
    Columns: `candidate`; `distance`, `distance_eleven`, `distance_six`: root mean square of the
    difference over all labels, over those printed near 0.925, over the others; `shape_eleven`: the
    same over the eleven after the mean difference is taken off (our networks are not the paper's,
    so that the level may differ); `deviation_eleven`: standard deviation of the candidate there,
    in the row `printed` of the printed numbers.
    """
    names = [name for name in frame if name not in ("label", "chips", "published")]
    printed = frame["published"].to_numpy()
    eleven = printed > NEAR
    rows = [{"candidate": "printed", "deviation_eleven": printed[eleven].std()}]
    for name in names:
        off = frame[name].to_numpy(float) - printed
        rows.append(
            {
                "candidate": name,
                "distance": _rms(off),
                "distance_eleven": _rms(off[eleven]),
                "distance_six": _rms(off[~eleven]),
                "shape_eleven": _rms(_centred(off[eleven])),
                "deviation_eleven": _rms(_centred(frame[name].to_numpy(float)[eleven])),
            }
        )
    return pd.DataFrame(rows).sort_values("distance", na_position="first", ignore_index=True)


def nearest(distances: pd.DataFrame, column: str) -> str:
    """The candidate (index) with the smallest `column`; the first where none could be computed."""
    known = distances[column].dropna()
    return str(known.idxmin() if len(known) else distances.index[0])


def _centred(values: Array) -> Array:
    known = values[~np.isnan(values)]
    return known - known.mean() if len(known) else known


def _rms(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(np.sqrt((known**2).mean())) if len(known) else float("nan")
