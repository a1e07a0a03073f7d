"""What notebook 05 shows: the runs it trains, those that exist, and what each label chooses."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..chips import SPLITS, Chips, leakage
from ..evaluation.families import Family, _design
from ..training.config import Config
from ..utils.errors import PaperError
from . import grids

if TYPE_CHECKING:
    from ..evaluation.candidates import Pool
    from ..profiles import Profile
    from ..project import Project
    from ..training.runs import Run

#: The grids whose runs are candidates of the paper's system, or what it is compared with.
GRIDS = ("main", "seeds", "labels", "labels-joint", "full", "labels-full")


def coverage(paper: Project, runs: Iterable[Run]) -> pd.DataFrame:
    """Which networks of each grid are saved: `grid`, `networks`, `saved`, `wanted`, `train`.

    train  the command that trains what is missing; empty where nothing is
    """
    there = {run.config for run in runs}
    rows = []
    for name in GRIDS:
        wanted = grids.configs(name, paper.profile)
        saved = sum(config in there for config in wanted)
        rows.append(
            {
                "grid": name,
                "networks": Family(_design(wanted[0]), ()).title,
                "saved": saved,
                "wanted": len(wanted),
                "train": "" if saved == len(wanted) else f"paper train --grid {name}",
            }
        )
    return pd.DataFrame(rows)


def scores(family: Family) -> pd.DataFrame:
    """Each candidate alone, every seed: `networks`, `candidate`, `seed`, `f2` (nested), `low`,
    `high`."""
    rows = []
    for seed in sorted(family.seeds):
        pool = family.pool(seed=seed)
        for one in pool.probability:
            f2, low, high = pool.nested(one).interval
            named = {"networks": family.title, "candidate": str(one), "seed": seed}
            rows.append({**named, "f2": f2, "low": low, "high": high})
    return pd.DataFrame(rows)


def choices(pool: Pool) -> pd.DataFrame:
    """Which candidate each label comes from: `label`, `candidate`, `fraction`.

    The choice is the paper's, on all validation chips; `fraction`, of the folds that agree, says
    how far chance decides it.
    """
    whole, folds = pool.paper(), pool.nested()
    chosen = whole.choice[0]
    return pd.DataFrame(
        {
            "label": pool.tags,
            "candidate": [str(whole.candidates[c]) for c in chosen],
            "fraction": (folds.choice == chosen).mean(0),
        }
    )


def live_configs(profile: Profile) -> list[Config]:
    """The networks that notebook 05 trains itself where they are not kept; the first is the base.

    Scenes are quick: all six of the grid `main`, one network per label and what those are compared
    with (`tiny`: one loss and none per label, to stay within seconds). On real chips a network
    takes long, so only the base is trained unasked; `paper train --grid` does the others, and what
    it made is used from then on.
    """
    base = Config.of(profile)
    if profile.source != "scenes":
        return [base]
    main = grids.configs("main", profile)
    if profile.name == "tiny":
        return list(dict.fromkeys([base, *(c for c in main if c.loss == base.loss)]))
    others = (grids.configs(name, profile) for name in ("labels", "labels-joint"))
    return list(dict.fromkeys([base, *main, *chain.from_iterable(others)]))


def saved_runs(paper: Project, names: Iterable[str] = GRIDS) -> list[Run]:
    """The finished runs of the grids `names`, the profile's base network first.

    They are of several designs: compare like with like by `families.sort`.

    Raises `PaperError` where not even the base is saved and there are no chips to train it on.
    """
    configs = [Config.of(paper.profile)]
    for name in names:
        configs += grids.configs(name, paper.profile)
    base, *others = dict.fromkeys(configs)
    found = (paper.find(config) for config in others)
    return [paper.run(base), *(run for run in found if run)]


def label_counts(paper: Project) -> pd.DataFrame:
    """Chips of each split positive for each label: `label`, `train`, `validation`, `test`.

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
