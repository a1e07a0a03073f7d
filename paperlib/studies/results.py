"""What notebook 08 shows: table 1 and each label's threshold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .. import f2
from ..evaluation.selection import Outcome
from ..evaluation.tables import Array
from ..labels import LABELS
from ..published import published_f2


def table1(
    system: Mapping[str, Outcome],
    own: Mapping[str, Outcome],
    raw: Mapping[str, Outcome] | None = None,
) -> pd.DataFrame:
    """Table 1 of the paper beside ours, a row per label: its binary F2 at two thresholds.

    system  protocol -> outcome of the whole system, thresholds for the mean-over-chips F2
    own     the same with each label's own threshold, chosen for that label's F2
    raw     readings of the table's "original" F2, nested: `"raw"`, before ridge, and `"original"`,
            of the original chips before ridge, as `own` in their thresholds

    The paper trains a model for each label and prints an F2 for each, so each label's own threshold
    is what its table speaks of. `system` is what the label scores where the chip's whole set of
    labels counts: a rare label may then be never given, because its false alarms cost more chips
    than it finds.

    Columns: `label`, `chips`, `published`; `own_nested`, `own_paper` (protocol) with their 95 %
    intervals `…_low`, `…_high`; `precision`, `recall` with theirs (own, nested); `own_threshold`
    (on all validation chips); `system_nested`, `system_paper` with intervals, `system_threshold`;
    `own_given`, `system_given` (chips that the label is given to, nested); `raw_nested` and
    `original_nested` with intervals, where `raw` is given.
    Scores of a label for which no chip is positive are NaN: there is nothing to find.

    Drawing chips again cannot say how far a fraction of 0 or 1 may be from the truth: every draw
    is 0 or 1. Precision and recall then have the exact bound of Clopper & Pearson (1934).
    """
    nested = own["nested"]
    share = f2.bootstrap_precision_recall(nested.truth, nested.prediction)
    hits = (nested.truth & nested.prediction).sum(0)
    known = [
        _exact_ends(one, hits, of.sum(0))
        for one, of in zip(share, (nested.prediction, nested.truth), strict=True)
    ]
    intervals = {
        **{f"own_{protocol}": own[protocol].label_f2() for protocol in ("nested", "paper")},
        **dict(zip(("precision", "recall"), known, strict=True)),
        **{f"system_{protocol}": system[protocol].label_f2() for protocol in ("nested", "paper")},
    }
    columns: dict[str, Array] = {}
    for name, found in intervals.items():
        columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        if name == "recall":
            columns["own_threshold"] = own["paper"].thresholds[0]
    columns["system_threshold"] = system["paper"].thresholds[0]
    for name, outcome in (("own", nested), ("system", system["nested"])):
        columns[f"{name}_given"] = outcome.prediction.sum(0)
    for name, outcome in (raw or {}).items():
        found = outcome.label_f2()
        columns |= {f"{name}_nested": found.value}
        columns |= {f"{name}_nested_low": found.low, f"{name}_nested_high": found.high}
    frame = pd.DataFrame(columns)
    count = nested.truth.sum(0)
    scores = [name for name in columns if not name.endswith(("_threshold", "_given"))]
    frame.loc[count == 0, scores] = np.nan
    frame.insert(0, "published", published_f2())
    frame.insert(0, "chips", count)
    frame.insert(0, "label", LABELS)
    return frame


def _exact_ends(interval: f2.Interval, hits: Array, of: Array) -> f2.Interval:
    """Its interval with the exact 95 % bound where none or all of `of` are hits, `(L,)`."""
    with np.errstate(divide="ignore"):
        bound = np.where(of > 0, 0.025 ** (1.0 / of), np.nan)
    low = np.where((hits == of) & (of > 0), bound, interval.low)
    high = np.where((hits == 0) & (of > 0), 1 - bound, interval.high)
    return f2.Interval(interval.value, low, high)


def thresholds(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Each label's threshold on all validation chips and on each fold's: `label`, `all`, `fold_0` …

    outcomes  protocol -> outcome, `"paper"` and `"nested"`

    NaN where the label is given to none of the chips that the threshold was chosen on: any number
    above their probabilities says the same.
    """
    systems = (*outcomes["paper"].systems, *outcomes["nested"].systems)
    names = ["all", *(f"fold_{k}" for k in range(len(systems) - 1))]
    columns = {
        name: np.where(system.given_ > 0, system.thresholds_, np.nan)
        for name, system in zip(names, systems, strict=True)
    }
    return pd.DataFrame({"label": LABELS, **columns})
