"""Tables of the results notebooks: one function each, saved predictions in, a data frame out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .calibration import macro_average_precision
from .selection import Outcome, folds_of

if TYPE_CHECKING:
    from .candidates import Candidate, Pool

Array = np.ndarray


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
    steps: dict[str, tuple[Sequence[Candidate], dict[str, str | float]]] = {}
    if fixed:
        steps[f"{one}, threshold 0.2"] = ((validation.first,), {"thresholds": 0.2})
    pools = {one: (validation.first,)}
    if len(validation.probability) > 1:
        pools[choice] = tuple(validation.probability)
    for name, members in pools.items():
        for kind in recalibrations:
            system = name if kind == "none" else f"{name}, {kind}"
            steps[system] = (members, {"recalibration": kind})
    return {
        system: protocols(validation, test, members, how, nested_only)
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
    return {
        kind: protocols(
            validation,
            test,
            members,
            {"recalibration": kind, "thresholds": thresholds},
            nested_only,
        )
        for kind in kinds
    }


def protocols(
    validation: Pool,
    test: Pool | None,
    members: Sequence[Candidate],
    how: Mapping[str, str | float],
    nested_only: bool = False,
) -> dict[str, Outcome]:
    """Protocol -> outcome: the paper's, nested, and on test chips where there are any.

    how  `recalibration`, `thresholds` of `selection.System`
    """
    if nested_only:
        return {"nested": validation.nested(*members, **how)}
    outcomes = {
        "paper": validation.paper(*members, **how),
        "nested": validation.nested(*members, **how),
    }
    if test is not None and len(test.names):
        outcomes["test"] = validation.test(test, *members, **how)
    return outcomes


def overall(outcomes: Mapping[str, Mapping[str, Outcome]]) -> pd.DataFrame:
    """Mean-over-chips F2 of several systems on each protocol, a row for each pair.

    outcomes  system -> protocol -> outcome
    Columns: `system`, `protocol`, `chips`, `f2`, `low`, `high`, `mean_label_f2`, `macro_ap`
    (`macro_average_precision`). On every protocol chips are ranked within the folds of the nested
    one: of the same probabilities it is then the same number. Fewer chips than folds are one fold.
    """
    rows = []
    for system, by_protocol in outcomes.items():
        folds = len(by_protocol["nested"].systems)
        for protocol, outcome in by_protocol.items():
            names = outcome.names
            fold = folds_of(names, folds) if len(names) >= folds else None
            rows.append(
                {
                    "system": system,
                    "protocol": protocol,
                    "chips": len(outcome.truth),
                    "f2": outcome.interval.value,
                    "low": outcome.interval.low,
                    "high": outcome.interval.high,
                    "mean_label_f2": outcome.label_f2(replicates=1).value.mean(),
                    "macro_ap": macro_average_precision(outcome.truth, outcome.probability, fold),
                }
            )
    return pd.DataFrame(rows)
