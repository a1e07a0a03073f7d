"""What the paper leaves open, read otherwise: each network minus its baseline, on the same chips.

A run of the grids `readings` and `transforms` differs from one of the grid `main` in one thing: in
which training chips are dehazed, in what a loss is summed over, or in the random transforms. These
runs are no candidates of the paper's system and stay out of `train.saved_runs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from ..evaluation import candidates
from ..evaluation.families import title
from . import grids

if TYPE_CHECKING:
    from ..profiles import Profile
    from ..project import Project
    from ..training.config import Config

COLUMNS = (
    "reading", "baseline", "variant", "loss", "augment", "f2", "f2_plain", "difference", "low",
    "high", "seeds", "seed_range",
)  # fmt: skip

#: Key of a configuration -> value -> (its plain value, what it is, what the plain one is).
_PLAIN: dict[str, dict[str, tuple[str, str, str]]] = {
    "variant": {
        "dehazed-hazy": (
            "dehazed",
            "of the training chips cloudy and hazy ones dehazed, and all that are predicted",
            "all chips dehazed",
        )
    },
    "loss": {
        "f2-chip": ("f2", "F2 loss summed for each chip", "summed for each label"),
        "hard-chip": ("hard", "hard examples picked in each chip", "picked in the whole batch"),
        "hard-label": ("hard", "hard examples picked in each label", "picked in the whole batch"),
    },
    "augment": {
        "none": ("symmetries", "no random transform", "the eight symmetries"),
        "figure-3": (
            "symmetries",
            "symmetries, rotation and elastic",
            "the eight symmetries",
        ),
        "paper": (
            "symmetries",
            "symmetries, rotation, zoom and elastic",
            "the eight symmetries",
        ),
    },
}


class Reading(NamedTuple):
    """A configuration, the plain one that it is compared with, and both in words."""

    config: Config
    plain: Config
    says: str
    baseline: str


def readings(profile: Profile, name: str) -> list[Reading]:
    """The readings of a grid that have a baseline: all but the plain ones themselves.

    name  `"readings"` or `"transforms"`
    """
    return [found for config in grids.configs(name, profile) for found in _reading(config)]


def _reading(config: Config) -> Iterator[Reading]:
    for key, values in _PLAIN.items():
        if getattr(config, key) in values:
            plain, says, baseline = values[getattr(config, key)]
            yield Reading(config, replace(config, **{key: plain}), says, baseline)


def table(paper: Project, name: str) -> pd.DataFrame:
    """A row for each reading of a grid whose runs are saved: what it brings, nested.

    Columns: `reading` and what it is compared with (`baseline`); `variant`, `loss`, `augment` of
    its network; `f2` and `f2_plain`, mean over chips; `difference`, `low`, `high`, paired over
    chips. `seeds`: how many networks like the plain one are kept; `seed_range`: how far apart the
    F2 of these are (NaN for one). A difference within that range is one that another seed makes as
    well.

    Nothing is trained here. Raises `PaperError` where the two do not predict the same chips.
    """
    rows = []
    for config, plain, says, baseline in readings(paper.profile, name):
        runs = [paper.find(one) for one in (config, plain)]
        if None in runs:
            continue
        pool = candidates.gather([run for run in runs if run])  # checked: the same chips and labels
        one, other = (pool.nested(each) for each in pool.probability)
        seeds = _seeds(paper, plain)
        rows.append(
            {
                "reading": says,
                "baseline": baseline,
                "variant": config.variant,
                "loss": config.loss,
                "augment": config.augment,
                "f2": one.score,
                "f2_plain": other.score,
                **one.difference(other),
                "seeds": len(seeds),
                "seed_range": max(seeds) - min(seeds) if len(seeds) > 1 else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _seeds(paper: Project, plain: Config) -> list[float]:
    found = (paper.find(replace(plain, seed=seed)) for seed in grids.SEEDS)
    return [candidates.gather([run]).nested().score for run in found if run]


def lines(paper: Project, name: str, found: pd.DataFrame) -> list[str]:
    """`table` in words, a line of Markdown for each row; then what is missing, if anything."""
    said = []
    for row in found.itertuples():
        size = abs(row.difference)
        if row.low <= 0 <= row.high:
            verdict = "no clear difference"
        elif row.seeds > 1 and size <= row.seed_range:
            verdict = "no more than between seeds of the plain network"
        else:
            verdict = "better" if row.difference > 0 else "worse"
        spread = f"; {row.seeds} seeds {row.seed_range:.4f} apart" if row.seeds > 1 else ""
        said.append(
            f"- {row.reading} ({row.loss} loss, {row.variant} chips), minus {row.baseline}: "
            f"{row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f}{spread}): {verdict}"
        )
    if missing := len(readings(paper.profile, name)) - len(found):
        data = "" if paper.profile.source == "scenes" else " --data DIR"
        said.append(
            f"- {missing} of these networks, or what they are compared with, are not saved here: "
            f"`paper train --grid {name} --profile {paper.profile.name}{data}` trains them"
        )
    return said


def section_42(paper: Project) -> pd.DataFrame:
    """Only the hazy chips of the training set dehazed, minus original chips: the widest pair first.

    Section 4.2 as it is written: validation chips stay as they are. Columns: `networks`, `seed`,
    `original`, `f2` (overall, nested), `difference`, `low`, `high`; no row where one of the two
    runs is not saved.
    """
    rows = []
    for config in sorted(grids.configs("section-4.2", paper.profile), key=lambda c: -c.width):
        runs = [paper.find(one) for one in (config, replace(config, variant="original"))]
        if None in runs:
            continue
        one, other = (candidates.gather([run]).nested() for run in runs if run)
        named = {"networks": title(replace(config, seed=0)), "seed": config.seed}
        rows.append({**named, "original": other.score, "f2": one.score, **one.difference(other)})
    columns = ["networks", "seed", "original", "f2", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
