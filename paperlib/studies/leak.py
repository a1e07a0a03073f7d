"""What it is worth that copies of one chip may stand on both sides of a split: notebook 17.

The paper transforms its training data first and splits them then (section 4.2). Networks of one
design are trained on the same fixed random copies of the chips, split 8:2 by copy (so that nearly
every chip that is validated was trained on as another copy) or by chip (so that none was). What
such a protocol prints, thresholds chosen and F2 reported on its own validation copies, is held
against the same network's F2 on copies of chips that it never saw, thresholds chosen and reported
on those: the same kind of picture and of choice, so that the one difference is whether the chip was
seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t as student

from .. import f2
from ..training.copies import HELD_BACK, UNSEEN, UNSEEN_COPY
from ..utils.errors import PaperError
from . import grids, run_grid

if TYPE_CHECKING:
    from ..project import Project
    from ..training.config import Config
    from ..training.runs import Run

Array = np.ndarray
ARMS = {"copy": "copies split at random", "chip": "split by chip"}
PARTS = {
    HELD_BACK: "its own validation copies",
    UNSEEN_COPY: "copies of chips nobody saw",
    UNSEEN: "chips nobody saw, as they are",
}
REPLICATES = 1000


@dataclass(frozen=True, eq=False)
class Scores:
    """F2 of every image of one part by one network, thresholds chosen on that part.

    f2      mean over images
    chips   names of the chips shown, `(C,)`, each once
    sums    F2 summed over a chip's images, `(C,)`;  images  how many they are, `(C,)`
    """

    f2: float
    chips: Array
    sums: Array
    images: Array


@dataclass(frozen=True, eq=False)
class Leak:
    """Tables of notebook 17.

    scores       `budget`, `arm`, `seed`, `on`, `images`, `chips`, `trained_on` (fraction of these
                 images whose chip was trained on), `f2`
    differences  `budget`, `comparison`, `value`, `low`, `high`, `seed 0` …
    """

    scores: pd.DataFrame
    differences: pd.DataFrame


def scored(run: Run, part: str) -> Scores:
    """A part's images scored as a protocol prints it: thresholds chosen on these very images."""
    mine = run.part(part)
    prediction = mine.probability > f2.best_thresholds(mine.truth, mine.probability)
    each = f2.chip_f2(mine.truth, prediction.astype(np.uint8))
    shows = np.array([name.partition("~")[0] for name in mine.names])
    chips, place = np.unique(shows, return_inverse=True)
    sums = np.bincount(place, each)
    return Scores(float(each.mean()), chips, sums, np.bincount(place))


def runs(paper: Project) -> dict[str, dict[str, list[Run]]]:
    """Budget -> arm (`"copy"`, `"chip"`) -> runs by seed: trained now on scenes, else those saved.

    Of real chips the budgets whose runs are all saved; `PaperError` where that is none.
    """
    grid = grids.GRIDS["leak"]
    wanted = grid.configs(paper.profile)
    if paper.profile.source == "scenes":
        run_grid.run(paper, wanted, folder=grid.folder)
    found: dict[str, dict[str, list[Run]]] = {}
    for name in dict.fromkeys(budget(config) for config in wanted):
        mine = [config for config in wanted if budget(config) == name]
        if not all(paper.find(config, grid.folder) for config in mine):
            continue
        arms = found[name] = {arm: [] for arm in ARMS}
        for run in run_grid.finished(paper, mine, grid.folder):
            arms[run.config.split_by].append(run)
            arms[run.config.split_by].sort(key=lambda one: one.config.seed)
    if not found:
        raise PaperError("the runs of no budget are all saved", "paper train --grid leak")
    return found


def budget(config: Config) -> str:
    """ "all chips, 6 epochs": how much a network is trained on."""
    chips = f"{config.train_chips:,} chips" if config.train_chips else "all chips"
    return f"{chips}, {config.epochs} epochs"


def all_of(found: Mapping[str, Mapping[str, Sequence[Run]]]) -> Leak:
    """`measure` of every budget, one below the other."""
    made = {name: measure(arms) for name, arms in found.items()}
    tables = []
    for which in ("scores", "differences"):
        frames = [getattr(one, which).assign(budget=name) for name, one in made.items()]
        whole = pd.concat(frames, ignore_index=True)
        tables.append(whole[["budget", *(c for c in whole if c != "budget")]])
    return Leak(*tables)


def measure(arms: Mapping[str, Sequence[Run]]) -> Leak:
    """Every part scored, and the comparisons with their 95 % intervals.

    arms  `"copy"` and `"chip"` -> runs of the same seeds, in the same order

    An interval has two parts of variance: between the seeds' differences ÷ their number (where
    there are several), and over chips, by a bootstrap in which chips are drawn with all their
    copies, the same for both arms and all seeds; Student's t with Welch & Satterthwaite's degrees
    of freedom.
    """
    found = {
        (arm, run.config.seed): {part: scored(run, part) for part in PARTS}
        for arm, each in arms.items()
        for run in each
    }
    seeds = [run.config.seed for run in arms["copy"]]
    rows = []
    for (arm, seed), parts in found.items():
        trained = _trained_on(next(r for r in arms[arm] if r.config.seed == seed))
        for part, score in parts.items():
            rows.append(
                {
                    "arm": ARMS[arm],
                    "seed": seed,
                    "on": PARTS[part],
                    "images": int(score.images.sum()),
                    "chips": len(score.chips),
                    "trained_on": trained if part == HELD_BACK else 0.0,
                    "f2": score.f2,
                }
            )
    draws = _draws(found)

    def gap(one: tuple[str, str], other: tuple[str, str]) -> tuple[Array, Array]:
        """Of every seed: the difference of two parts, and its bootstrap draws, `(S,)`, `(S, R)`."""
        (arm, part), (arm2, part2) = one, other
        values = [found[arm, s][part].f2 - found[arm2, s][part2].f2 for s in seeds]
        drawn = [draws[arm, s][part] - draws[arm2, s][part2] for s in seeds]
        return np.array(values), np.array(drawn)

    random = gap(("copy", HELD_BACK), ("copy", UNSEEN_COPY))
    apart = gap(("chip", HELD_BACK), ("chip", UNSEEN_COPY))
    comparisons = {
        "copies split at random: printed minus unseen": random,
        "split by chip: printed minus unseen": apart,
        "what the order is worth: the first minus the second": (
            random[0] - apart[0],
            random[1] - apart[1],
        ),
        "printed: split at random minus by chip": gap(("copy", HELD_BACK), ("chip", HELD_BACK)),
        "unseen: split at random minus by chip": gap(("copy", UNSEEN_COPY), ("chip", UNSEEN_COPY)),
    }
    table = []
    for name, (values, drawn) in comparisons.items():
        low, high = interval(values, drawn)
        row = {"comparison": name, "value": float(values.mean()), "low": low, "high": high}
        table.append(row | {f"seed {s}": v for s, v in zip(seeds, values.tolist(), strict=True)})
    return Leak(pd.DataFrame(rows), pd.DataFrame(table))


def interval(values: Array, drawn: Array) -> tuple[float, float]:
    """The 95 % interval of the mean of `values` `(S,)`, from their draws over chips `(S, R)`."""
    parts = [(float(drawn.mean(0).var(ddof=1)), np.inf)]
    if len(values) > 1:
        parts.append((float(values.var(ddof=1) / len(values)), len(values) - 1))
    variance = sum(part for part, _ in parts)
    left = sum(part**2 / freedom for part, freedom in parts)
    freedom = variance**2 / left if left > 0 else np.inf
    half = float(student.ppf(0.975, freedom) * variance**0.5)
    return float(values.mean() - half), float(values.mean() + half)


def _trained_on(run: Run) -> float:
    """Fraction of a run's own validation copies whose chip is trained on as another copy.

    All copies of a chip that are not held back are trained on, so a chip was seen unless every one
    of its copies is held back.
    """
    names = run.part(HELD_BACK).names
    _, place, count = np.unique(
        [name.partition("~")[0] for name in names], return_inverse=True, return_counts=True
    )
    return float((count[place] < run.config.copies).mean())


def _draws(found: Mapping[tuple[str, int], Mapping[str, Scores]]) -> dict:
    """(arm, seed) -> part -> bootstrap draws over chips `(R,)` of its F2; chips drawn alike."""
    names = {
        part: np.unique(np.concatenate([parts[part].chips for parts in found.values()]))
        for part in PARTS
    }
    names[UNSEEN] = names[UNSEEN_COPY]
    made: dict = {key: {part: [] for part in PARTS} for key in found}
    for number, part in enumerate((HELD_BACK, UNSEEN_COPY, UNSEEN)):
        columns = []
        for parts in found.values():
            place = np.searchsorted(names[part], parts[part].chips)
            both = np.zeros((len(names[part]), 2))
            both[place, 0], both[place, 1] = parts[part].sums, parts[part].images
            columns.append(both)
        stacked = np.concatenate(columns, axis=1)
        seed = min(number, 1)  # unseen chips are drawn alike, copied or as they are
        for times in f2.drawn_counts(len(stacked), REPLICATES, seed):
            sums = times.astype(float) @ stacked
            for i, key in enumerate(found):
                made[key][part].append(sums[:, 2 * i] / sums[:, 2 * i + 1])
    return {k: {p: np.concatenate(d) for p, d in v.items()} for k, v in made.items()}
