"""What notebook 15 shows: every claim that is counted, or read off saved runs.

`measured` gives the rows of `small_claims.csv`: `claim` (its id in `published.toml`), `item`,
`value`, `low`, `high` (95 %, where it is an estimate), `seed 1`, … (the same for other
seeds, by the names of `families.seed_reference`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from .. import f2
from ..evaluation import candidates, families, systems
from ..evaluation.selection import Outcome
from ..f2 import Interval
from ..labels import COMMON, INDEX, RARE, WEATHER
from . import counted, dehazing, grids, sensitivity
from .counted import Row, row

if TYPE_CHECKING:
    from ..evaluation.candidates import Pool
    from ..evaluation.families import Family
    from ..project import Project

Array = np.ndarray
LABELS_OF_F2_LOSS = ("cloudy", "agriculture")
LOWERED = ("haze", "clear")  # by dehazing, as the paper says


def measured(paper: Project, kinds: list[Family]) -> pd.DataFrame:
    """Every claim that is counted or read off saved runs, a row or more for each.

    kinds  `families.sort` of the saved runs
    """
    rows = [
        *counted.rows(),
        *rare_labels(kinds),
        *dehazing_overall(kinds),
        *choice_repairs(kinds),
        *choice_believes_haze(kinds),
        *section_42(paper),
        *changed_f2_loss(paper),
        *chosen_thresholds(kinds),
    ]
    columns = ["claim", "item", "value", "low", "high"]
    frame = pd.DataFrame(rows)
    return frame[columns + sorted(set(frame) - set(columns))]


# ---- table 1 -------------------------------------------------------------------------------------


def rare_labels(kinds: list[Family]) -> list[Row]:
    """How much worse the six uncommon labels do, and what they matter to the overall F2.

    Both on the paper's system before ridge, nested: the mean of the labels' binary F2 at their own
    thresholds; and the mean-over-chips F2 of the eleven others alone minus that of all.
    """
    _, pool, _ = systems.whole(kinds)
    many, few = ([INDEX[tag] for tag in tags] for tags in ((*WEATHER, *COMMON), RARE))
    alone = pool.nested(thresholds="labels")
    there = alone.truth.any(0)
    few = [i for i in few if there[i]]
    draws = f2.label_draws(alone.truth, alone.prediction, 2000, 0)
    value = f2.f2_score(alone.truth, alone.prediction, "labels")
    gap = value[few].mean() - value[many].mean()
    worse = f2.percentile_interval(gap, draws[:, few].mean(1) - draws[:, many].mean(1))
    whole = pool.nested()
    change = f2.chip_f2(whole.truth[:, many], whole.prediction[:, many])
    change = change - f2.chip_f2(whole.truth, whole.prediction)
    matter = f2.mean_interval(change)
    return [row("rare-labels-are-poor", worse), row("rare-labels-hardly-matter", matter)]


# ---- dehazing ------------------------------------------------------------------------------------


def dehazing_overall(kinds: list[Family]) -> list[Row]:
    """Overall F2 with dehazed chips, and with both: each minus the original chips alone.

    Each side chooses the loss for each label among its own networks. No rows where no network on
    dehazed chips is saved.
    """
    rows: dict[str, Row] = {}
    for name, pool in _seeds(kinds):
        sides = {side: pool.of(side) for side in ("original", "dehazed")}
        if not all(sides.values()):
            continue
        original = pool.nested(*sides["original"])
        others = {
            "dehazing-helps-overall": pool.nested(*sides["dehazed"]),
            "dehazing-helps-with-choice": pool.nested(*sides["original"], *sides["dehazed"]),
        }
        for claim, outcome in others.items():
            if not name:
                rows[claim] = row(claim, outcome.minus(original))
            elif claim in rows:
                rows[claim][name] = outcome.score - original.score
    return list(rows.values())


def choice_repairs(kinds: list[Family]) -> list[Row]:
    """The choice per label between the two networks with the log loss: minus dehazed, overall; and
    of the labels that dehazing is said to lower, minus original."""
    rows: dict[str, Row] = {}
    for name, outcomes, alone in _log_pairs(kinds):
        chosen, dehazed = outcomes["choice per label"], outcomes["dehazed"]
        one, other = alone["original"], alone["choice per label"]
        change = f2.paired_bootstrap(one.truth, one.prediction, other.prediction, "labels")
        values = {"overall, choice minus dehazed": chosen.minus(dehazed)}
        for tag in LOWERED:
            if one.truth[:, INDEX[tag]].any():
                ends = (float(end[INDEX[tag]]) for end in change)
                values[f"{tag}, choice minus original"] = Interval(*ends)
        for item, value in values.items():
            if not name:
                rows[item] = row("choice-repairs", value, item)
            elif item in rows:
                rows[item][name] = value.value
    return list(rows.values())


def choice_believes_haze(kinds: list[Family]) -> list[Row]:
    """Where the two networks disagree on haze: how much more often the chips that only the network
    on original chips calls hazy are labelled so than those that only the other one does.

    Newcombe's 95 % interval of a difference of two fractions (1998, method 10).
    """
    claim, rows = "choice-believes-haze", {}
    for name, _, alone in _log_pairs(kinds):
        value = believed(alone["original"], alone["dehazed"], INDEX["haze"])
        if value is None:
            continue
        if not name:
            rows[claim] = row(claim, value)
        elif claim in rows:
            rows[claim][name] = value.value
    return list(rows.values())


def believed(original: Outcome, dehazed: Outcome, label: int) -> Interval | None:
    """Of the chips to which only `original` gives a label the fraction that has it, minus the same
    of `dehazed`; None where one of the two never gives it alone."""
    one, other = (outcome.prediction[:, label] == 1 for outcome in (original, dehazed))
    truth = original.truth[:, label]
    sides = [truth[side] for side in (one & ~other, other & ~one)]
    if not all(len(side) for side in sides):
        return None
    return newcombe(*(wilson(int(side.sum()), len(side)) for side in sides))


def newcombe(one: Interval, other: Interval) -> Interval:
    """The difference of two independent fractions, from their Wilson intervals."""
    value = one.value - other.value
    low = ((one.value - one.low) ** 2 + (other.high - other.value) ** 2) ** 0.5
    high = ((one.high - one.value) ** 2 + (other.value - other.low) ** 2) ** 0.5
    return Interval(value, float(value - low), float(value + high))


def wilson(hits: int, count: int) -> Interval:
    """A fraction with Wilson's 95 % interval (1927)."""
    found = binomtest(hits, count).proportion_ci(method="wilson")
    return Interval(hits / count, float(found.low), float(found.high))


def section_42(paper: Project) -> list[Row]:
    """Networks whose hazy training chips alone were dehazed, minus networks on original chips.

    Log loss; validation chips as they are. The widest pair is judged, others are its seeds.
    """
    found = sensitivity.section_42(paper)
    if found.empty:
        return []
    first, *others = found.itertuples()
    seeds = {
        f"seed {one.seed}"
        + ("" if one.networks == first.networks else f" of {one.networks}"): one.difference
        for one in others
    }
    value = Interval(first.difference, first.low, first.high)
    return [row("dehazing-helps-hazy-training", value, **seeds)]


# ---- losses and thresholds -----------------------------------------------------------------------


def changed_f2_loss(paper: Project) -> list[Row]:
    """The F2 loss summed per label minus that summed per chip, original chips.

    Binary F2 of two labels, each at its own threshold, nested; and the mean over labels of the
    recall at probability ½. No rows where not both are saved.
    """
    rows: dict[str, Row] = {}
    base = next(c for c in grids.configs("readings", paper.profile) if c.loss == "f2-chip")
    for seed in grids.SEEDS:
        wanted = [replace(base, seed=seed, loss=loss) for loss in ("f2-chip", "f2")]
        runs = [paper.find(config) for config in wanted]
        if None in runs:
            continue
        pool = candidates.gather([run for run in runs if run])
        unchanged, changed = (pool.nested(one, thresholds="labels") for one in pool.probability)
        change = f2.paired_bootstrap(
            unchanged.truth, unchanged.prediction, changed.prediction, "labels"
        )
        values = {
            tag: Interval(*(float(end[INDEX[tag]]) for end in change))
            for tag in LABELS_OF_F2_LOSS
            if unchanged.truth[:, INDEX[tag]].any()
        }
        values["f2-loss-stresses-recall"] = recall_gain(pool.truth, *pool.probability.values())
        for item, value in values.items():
            claim = item if item.startswith("f2-") else "f2-loss-helps-cloudy-and-agriculture"
            if item not in rows:
                rows[item] = row(claim, value, item)
            else:
                rows[item][f"seed {seed}"] = value.value
    return list(rows.values())


def recall_gain(truth: Array, one: Array, other: Array) -> Interval:
    """Mean over labels of the recall at probability ½: of `other` minus of `one`, paired."""
    columns = np.concatenate([truth & (p > 0.5) for p in (one, other)] + [truth], axis=1)
    columns = columns.astype(np.float32)
    drawn = f2.drawn_counts(len(truth), 2000, 0)
    sums = np.concatenate([columns.sum(0)[None], *(t.astype(np.float32) @ columns for t in drawn)])
    first, second, true = np.split(sums, 3, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = np.nanmean((second - first) / true, axis=1)
    return f2.percentile_interval(gain[0], gain[1:])


def chosen_thresholds(kinds: list[Family]) -> list[Row]:
    """Overall F2 of one network with chosen thresholds minus at ½, nested, log loss."""
    claim, rows = "threshold-must-be-chosen", {}
    for name, pool in _seeds(kinds):
        fitted, half = pool.nested(pool.first), pool.nested(pool.first, thresholds=0.5)
        if not name:
            rows[claim] = row(claim, fitted.minus(half))
        else:
            rows[claim][name] = fitted.score - half.score
    return list(rows.values())


# ---- shared --------------------------------------------------------------------------------------


def _seeds(kinds: list[Family]) -> list[tuple[str, Pool]]:
    """The pool that a claim is judged on, without a name; then those of the other seeds, with it.

    Where the family of the claim has one seed, they are another family's
    (`families.seed_reference`): "no other seed shows the opposite sign" would else hold of nothing.
    """
    chosen = families.joint(kinds)
    family, names = families.seed_reference(kinds, chosen)
    others = [(name, family.pool(seed=seed)) for seed, name in names.items()]
    return [("", chosen.pool()), *others]


def _log_pairs(kinds: list[Family]) -> Iterator[tuple[str, dict[str, Outcome], dict[str, Outcome]]]:
    """Name of the seed, outcomes of both networks with the log loss and of the choice between them,
    and the same at each label's own threshold; the pair that is judged first, without a name."""
    chosen = dehazing.paired_family(kinds)
    first, _, others = dehazing.judged_pair(kinds, chosen)
    for name, (original, dehazed) in {"": first, **others}.items():
        if dehazed is not None:
            both = (dehazing.outcomes(original, dehazed, thresholds=t) for t in ("chips", "labels"))
            yield name, *both
