"""Tables of the results notebooks: one function each, kept predictions in, a data frame out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import f2
from ..chips import SPLITS, Chips, leakage
from ..labels import LABELS
from ..published import published_f2
from ..utils.errors import PaperError
from .calibration import macro_average_precision
from .selection import Outcome, folds_of, protocol_nested, protocol_paper, protocol_test

if TYPE_CHECKING:
    from ..project import Project
    from .candidates import Pool
    from .families import Family

Array = np.ndarray


def label_counts(paper: Project) -> pd.DataFrame:
    """Chips of each split that carry each label: `label`, `train`, `validation`, `test`.

    Counted from the chips, which are also checked for leaks between the splits; where only shipped
    results are at hand, the shipped table. The last row, `chips`, counts the chips themselves.
    """
    if paper.has_chips:
        return _count(paper.chips())
    path = paper.results / "label_counts.csv"
    if not path.is_file():
        raise PaperError(f"{path} is not there", "give the chips' folder with --data DIR")
    return pd.read_csv(path)


def _count(chips: Chips) -> pd.DataFrame:
    parts = {split: chips.part(split) for split in SPLITS}
    for held in ("validation", "test"):
        leakage.check_training(parts["train"], parts[held])
    frame = pd.DataFrame(
        {split: part.labels.sum(0, dtype=np.int64) for split, part in parts.items()}
    )
    frame.insert(0, "label", chips.tags)
    total = {"label": "chips", **{split: len(part) for split, part in parts.items()}}
    return pd.concat([frame, pd.DataFrame([total])], ignore_index=True)


def evaluate(
    validation: Pool,
    test: Pool | None = None,
    *,
    recalibrations: Sequence[str] = ("none", "ridge"),
    one: str = "one network",
    choice: str = "choice per label",
    fixed: bool = True,
    nested_only: bool = False,
) -> dict[str, dict[str, Outcome]]:
    """The paper's system, built up step by step, on every protocol there are chips for.

    validation   the pool of candidates, of one family; its first one stands for one network
    test         the same candidates on test chips, where there are any
    one, choice  what the systems of one network, and of all candidates, are called
    fixed        also that of one network at threshold 0.2
    nested_only  leave the other protocols out

    Returns system -> protocol -> outcome: one network at threshold 0.2, then with fitted
    thresholds, then with each recalibration; then the same with the choice per label, where there
    is more than one candidate. The last is the whole system.
    """
    first = next(iter(validation.probability))
    steps: dict[str, tuple[Sequence[str], dict[str, str | float]]] = {}
    if fixed:
        steps[f"{one}, threshold 0.2"] = ((first,), {"thresholds": 0.2})
    pools = {one: (first,)}
    if len(validation.probability) > 1:
        pools[choice] = tuple(validation.probability)
    for name, members in pools.items():
        for kind in recalibrations:
            system = name if kind == "none" else f"{name}, {kind}"
            steps[system] = (members, {"recalibration": kind})
    return {
        system: {"nested": _nested(validation, members, how)}
        if nested_only
        else _protocols(validation, test, members, how)
        for system, (members, how) in steps.items()
    }


def recalibrations(
    validation: Pool,
    test: Pool | None = None,
    kinds: Sequence[str] = ("none", "lasso", "ridge"),
    *,
    thresholds: str = "chips",
    nested_only: bool = False,
) -> dict[str, dict[str, Outcome]]:
    """Figure 8: the fullest system there is, with each kind of recalibration: kind -> protocols.

    thresholds   as `selection.System`: `"labels"` for table 1, where each label stands alone
    nested_only  leave the other protocols out
    """
    members = tuple(validation.probability)
    made = {}
    for kind in kinds:
        how = {"recalibration": kind, "thresholds": thresholds}
        if nested_only:
            made[kind] = {"nested": _nested(validation, members, how)}
        else:
            made[kind] = _protocols(validation, test, members, how)
    return made


def recalibration_gains(families: Sequence[Family]) -> pd.DataFrame:
    """What recalibration brings to each family and seed, nested, on the same chips.

    Columns: `networks`, `seed`, `candidates` (among which each label chooses), `comparison`,
    `difference` of the mean-over-chips F2, `low`, `high`.
    """
    rows = []
    for family in families:
        for seed in sorted(family.seeds):
            pool = family.pool(seed=seed)
            how = {"labels": pool.tags}
            nested = {
                kind: protocol_nested(
                    pool.truth, pool.probability, pool.names, recalibration=kind, **how
                )
                for kind in ("none", "lasso", "ridge")
            }
            for one, other in (("ridge", "none"), ("lasso", "none"), ("ridge", "lasso")):
                change = nested[one].minus(nested[other])
                rows.append(
                    {
                        "networks": family.title,
                        "seed": seed,
                        "candidates": len(pool.probability),
                        "comparison": f"{one} less {other}",
                        "difference": change.value,
                        "low": change.low,
                        "high": change.high,
                    }
                )
    return pd.DataFrame(rows)


def _nested(pool: Pool, members: Sequence[str], how: Mapping[str, str | float]) -> Outcome:
    p = {name: pool.probability[name] for name in members}
    return protocol_nested(pool.truth, p, pool.names, labels=pool.tags, **how)


def _protocols(
    validation: Pool, test: Pool | None, members: Sequence[str], how: Mapping[str, str | float]
) -> dict[str, Outcome]:
    p = {name: validation.probability[name] for name in members}
    known = validation.truth, p, validation.names
    outcomes = {
        "paper": protocol_paper(*known, labels=validation.tags, **how),
        "nested": _nested(validation, members, how),
    }
    if test is not None and len(test.names):
        outcomes["test"] = protocol_test(
            (validation.names, validation.truth, p),
            (test.names, test.truth, {name: test.probability[name] for name in members}),
            labels=validation.tags,
            **how,
        )
    return outcomes


def differences(
    outcomes: Mapping[str, Mapping[str, Outcome]], base: str = "one network"
) -> pd.DataFrame:
    """Each system less the system `base`, paired over chips.

    Columns: `system`, `protocol`, `difference` of the mean-over-chips F2, `low`, `high`.
    """
    reference = outcomes[base]
    rows = []
    for system, by_protocol in outcomes.items():
        if system == base:
            continue
        for protocol, outcome in by_protocol.items():
            change = outcome.minus(reference[protocol])
            rows.append(
                {
                    "system": system,
                    "protocol": protocol,
                    "difference": change.value,
                    "low": change.low,
                    "high": change.high,
                }
            )
    return pd.DataFrame(rows)


def table1(system: Mapping[str, Outcome], own: Mapping[str, Outcome]) -> pd.DataFrame:
    """Table 1 of the paper beside ours, a row per label: its binary F2 at two thresholds.

    system  protocol -> outcome of the whole system, thresholds for the mean-over-chips F2
    own     the same with each label's own threshold, chosen for that label's F2

    The paper trains a model for each label and prints an F2 for each, so `own` is what its table
    says. `system` is what the label scores where the chip's whole set of labels counts: a rare
    label may then be never given, because its false alarms cost more chips than it finds.

    Columns: `label`, `chips`, `published`; `own_nested`, `own_paper` (protocol) with their 95 %
    intervals `…_low`, `…_high`; `precision`, `recall` with theirs (own, nested); `own_threshold`
    (on all validation chips); `system_nested`, `system_paper` with intervals, `system_threshold`;
    `own_given`, `system_given` (chips that the label is given to, nested).
    Scores of a label that no chip carries are NaN: there is nothing to find.

    Drawing chips again cannot say how far a share of 0 or 1 may be from the truth: every draw is 0
    or 1. Precision and recall then have the exact bound of Clopper & Pearson (1934).
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
    frame = pd.DataFrame(columns)
    count = nested.truth.sum(0)
    scores = [name for name in columns if not name.endswith(("_threshold", "_given"))]
    frame.loc[count == 0, scores] = np.nan
    frame.insert(0, "published", published_f2())
    frame.insert(0, "chips", count)
    frame.insert(0, "label", LABELS)
    return frame


def _exact_ends(interval: f2.Interval, hits: Array, of: Array) -> f2.Interval:
    """A share's interval with the exact 95 % bound where none or all of `of` are hits, `(L,)`."""
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


def overall(outcomes: Mapping[str, Mapping[str, Outcome]]) -> pd.DataFrame:
    """Mean-over-chips F2 of several systems on each protocol, a row for each pair.

    outcomes  system -> protocol -> outcome
    Columns: `system`, `protocol`, `chips`, `f2`, `low`, `high`, `mean_label_f2`, `macro_ap`
    (`macro_average_precision`). On every protocol chips are ranked within the folds of the nested
    one: of the same probabilities it is then the same number.
    """
    rows = []
    for system, by_protocol in outcomes.items():
        folds = len(by_protocol["nested"].systems)
        for protocol, outcome in by_protocol.items():
            rows.append(
                {
                    "system": system,
                    "protocol": protocol,
                    "chips": len(outcome.truth),
                    "f2": outcome.interval.value,
                    "low": outcome.interval.low,
                    "high": outcome.interval.high,
                    "mean_label_f2": outcome.label_f2(replicates=1).value.mean(),
                    "macro_ap": macro_average_precision(
                        outcome.truth, outcome.probability, folds_of(outcome.names, folds)
                    ),
                }
            )
    return pd.DataFrame(rows)


def strongest_weights(weights: Array, labels: Sequence[str], count: int = 12) -> pd.DataFrame:
    """The largest weights between different labels: `label`, `reads`, `weight`, largest first.

    weights  `(L, L)` of `LabelRecalibrator.standard_coef_`
    """
    size = np.abs(np.where(np.eye(len(weights), dtype=bool), 0.0, weights))
    place = np.argsort(-size, axis=None, kind="stable")[:count]
    rows, columns = np.unravel_index(place, weights.shape)
    return pd.DataFrame(
        {
            "label": [labels[r] for r in rows],
            "reads": [labels[c] for c in columns],
            "weight": weights[rows, columns],
            "row": rows,
            "column": columns,
        }
    )
