"""What notebook 07 shows: ridge against lasso and nothing, per label and overall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..evaluation import tables
from ..evaluation.families import Family, joint, seed_reference
from ..evaluation.selection import Outcome

Array = np.ndarray


def recalibration_differences(
    families: Sequence[Family], outcomes: Mapping[str, Mapping[str, Outcome]]
) -> pd.DataFrame:
    """What recalibration brings to the paper's system, beside the same of other seeds.

    outcomes  `tables.recalibrations` of the validation pool of `joint(families)`
    Columns: `comparison` (`system` minus `baseline`), `system`, `baseline`, `protocol`,
    `difference` of the mean-over-chips F2, `low`, `high`; nested, the same of the seeds of
    `seed_reference`, by their names.
    """
    family, names = seed_reference(families, joint(families))
    pools = {name: family.pool(seed=seed) for seed, name in names.items()}
    others = {name: tables.recalibrations(pool, nested_only=True) for name, pool in pools.items()}
    rows = []
    for system, baseline in (("lasso", "none"), ("ridge", "none"), ("ridge", "lasso")):
        for protocol, outcome in outcomes[system].items():
            row = {
                "comparison": f"{system} minus {baseline}",
                "system": system,
                "baseline": baseline,
            }
            row |= {"protocol": protocol, **outcome.difference(outcomes[baseline][protocol])}
            if protocol == "nested":
                row |= {
                    name: made[system]["nested"].score - made[baseline]["nested"].score
                    for name, made in others.items()
                }
            rows.append(row)
    return pd.DataFrame(rows)


def recalibration_gains(families: Sequence[Family]) -> pd.DataFrame:
    """What recalibration brings to each family and seed, nested, on the same chips.

    Columns: `networks`, `seed`, `candidates` (among which each label chooses), `comparison`,
    `difference` of the mean-over-chips F2, `low`, `high`.
    """
    rows = []
    for family in families:
        for seed in sorted(family.seeds):
            pool = family.pool(seed=seed)
            nested = {kind: pool.nested(recalibration=kind) for kind in ("none", "lasso", "ridge")}
            for one, other in (("ridge", "none"), ("lasso", "none"), ("ridge", "lasso")):
                rows.append(
                    {
                        "networks": family.title,
                        "seed": seed,
                        "candidates": len(pool.probability),
                        "comparison": f"{one} minus {other}",
                        **nested[one].difference(nested[other]),
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
