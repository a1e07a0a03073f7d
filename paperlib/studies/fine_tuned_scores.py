"""The tables of notebook 16's second part, from the predictions that `fine_tuned` ships.

What is judged is nested, as for the Planet chips: each validation picture is predicted by a system
that was fitted on the other folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from .. import f2
from ..chips import partly_hazy
from ..evaluation import tables
from ..evaluation.candidates import Candidate
from ..evaluation.selection import Outcome
from ..f2 import Interval
from .counted import Row, row
from .fine_tuned import BOTH, LOSSES, Shipped
from .small_claims import believed, recall_gain

ORIGINAL, DEHAZED = (Candidate(variant, "log") for variant in partly_hazy.VARIANTS)
CHOICE = "choice per label"
#: System -> the candidates among which each label chooses, and the recalibration after it.
SYSTEMS: dict[str, tuple[tuple[Candidate, ...], str]] = {
    "original": ((ORIGINAL,), "none"),
    "dehazed": ((DEHAZED,), "none"),
    "hazy training pictures dehazed": ((Candidate(BOTH, "log"),), "none"),
    "original or dehazed": ((ORIGINAL, DEHAZED), "none"),
    "original, choice of loss": (tuple(Candidate("original", x) for x in LOSSES), "none"),
    "dehazed, choice of loss": (tuple(Candidate("dehazed", x) for x in LOSSES), "none"),
}
_SIX = SYSTEMS["original, choice of loss"][0] + SYSTEMS["dehazed, choice of loss"][0]
SYSTEMS |= {CHOICE: (_SIX, "none")} | {f"{CHOICE}, {x}": (_SIX, x) for x in ("lasso", "ridge")}
#: (system, baseline) of the differences, and the claim that each judges.
GAINS: dict[tuple[str, str], str] = {
    ("dehazed", "original"): "",
    ("hazy training pictures dehazed", "original"): "dehazing-helps-hazy-training",
    ("dehazed, choice of loss", "original, choice of loss"): "dehazing-helps-overall",
    (CHOICE, "original, choice of loss"): "dehazing-helps-with-choice",
    ("original or dehazed", "dehazed"): "choice-repairs",
    (f"{CHOICE}, ridge", CHOICE): "ridge-beats-none",
    (f"{CHOICE}, lasso", CHOICE): "l1-does-not-suit",
    (f"{CHOICE}, ridge", f"{CHOICE}, lasso"): "ridge-beats-lasso",
}
#: What the paper names of the ground that dehazing makes clearer, as it is called here.
CLEARER = ("pavement", "water", "field", "bare-soil")

Outcomes = dict[str, dict[str, Outcome]]  # system -> protocol -> outcome


def outcomes(found: Shipped) -> dict[int, Outcomes]:
    """Seed -> system -> protocol -> outcome, of the systems whose candidates are all there."""
    made: dict[int, Outcomes] = {}
    for seed in found.seeds:
        pools = found.pools(seed)
        made[seed] = {
            name: tables.protocols(*pools, wanted, {"recalibration": kind})
            for name, (wanted, kind) in SYSTEMS.items()
            if all(one in pools[0].probability for one in wanted)
        }
    return made


def scores(made: Mapping[int, Outcomes], tags: tuple[str, ...]) -> pd.DataFrame:
    """A row for each seed, system and protocol: mean-over-pictures F2 with its 95 % interval.

    Columns: `seed`, `system`, `protocol`, `pictures`, `f2`, `low`, `high`; `ground`, `ground_low`,
    `ground_high`: of the same predictions the labels of the ground alone.
    """
    ground = _ground(tags)
    rows = []
    for seed, systems in made.items():
        for system, by_protocol in systems.items():
            for protocol, one in by_protocol.items():
                alone = f2.bootstrap(one.truth[:, ground], one.prediction[:, ground])
                named = {"seed": seed, "system": system, "protocol": protocol}
                rows.append(named | {"pictures": len(one.names)} | _three("f2", one.interval)
                            | _three("ground", alone, "ground_"))  # fmt: skip
    return pd.DataFrame(rows)


def described(found: Shipped) -> str:
    """How many networks, of how many pictures, for how long: a sentence for a page."""
    runs = found.note["runs"].values()
    epochs = [run["epochs"] for run in runs]
    minutes = sum(run["seconds"] for run in runs) / 60
    return (
        f"{len(runs)} networks of {found.note['train']:,} pictures; {found.note['stop']} more say "
        f"when to stop: after {min(epochs)} to {max(epochs)} epochs, {minutes:.0f} minutes of "
        f"training together. F2, mean over pictures and over the seeds with all six candidates "
        f"({', '.join(map(str, found.seeds))}):"
    )


def by_protocol(table: pd.DataFrame) -> pd.DataFrame:
    """`scores` as a page shows it: a row for each system, the mean over seeds on each protocol."""
    wide = table.pivot_table(index="system", columns="protocol", values="f2", sort=False)
    nested = table[table["protocol"] == "nested"].groupby("system", sort=False)["ground"]
    return wide.assign(**{"nested, ground alone": nested.mean()}).reset_index()


def gains(made: Mapping[int, Outcomes], tags: tuple[str, ...]) -> pd.DataFrame:
    """A row for each comparison of `GAINS`, seed, protocol and set of labels, paired over pictures.

    Columns: `system` minus `baseline`, `seed`, `protocol`, `labels` (`all`, or `ground`, those of
    the ground alone), `difference`, `low`, `high` (95 % bootstrap over pictures).
    """
    rows = []
    for seed, systems in made.items():
        for system, baseline in GAINS:
            if not {system, baseline} <= systems.keys():
                continue
            for protocol, one in systems[system].items():
                base = systems[baseline][protocol]
                for labels, columns in (("all", slice(None)), ("ground", _ground(tags))):
                    gain = f2.paired_bootstrap(
                        one.truth[:, columns],
                        base.prediction[:, columns],
                        one.prediction[:, columns],
                    )
                    named = {"system": system, "baseline": baseline, "seed": seed}
                    named |= {"protocol": protocol, "labels": labels}
                    rows.append(named | _three("difference", gain))
    return pd.DataFrame(rows)


def sentence(gained: pd.DataFrame) -> str:
    """What the first seed's gains say, nested: a change is called so where its interval, and every
    other seed, lies on one side of 0."""
    said = {
        ("dehazed, choice of loss", "original, choice of loss"): "dehazing all pictures",
        (CHOICE, "original, choice of loss"): "the choice per label among both sets",
        (f"{CHOICE}, ridge", CHOICE): "ridge after it",
    }
    clauses = []
    for (system, baseline), what in said.items():
        for labels, where in (("all", "all labels"), ("ground", "the ground's labels alone")):
            mine = gained[(gained["system"] == system) & (gained["baseline"] == baseline)]
            mine = mine[(mine["protocol"] == "nested") & (mine["labels"] == labels)]
            first = mine.iloc[0]
            side = int(first["low"] > 0) - int(first["high"] < 0)
            agreed = side and (np.sign(mine["difference"]) == side).all()
            word = {1: "raises", -1: "lowers"}[side] if agreed else "does not clearly change"
            ends = f"{first.difference:+.4f}, {first.low:+.4f} to {first.high:+.4f}" + "".join(
                f"; seed {row.seed}: {row.difference:+.4f}" for row in list(mine.itertuples())[1:]
            )
            clauses.append(f"{what} **{word}** the F2 of {where} ({ends})")
    return "; ".join(clauses) + "."


def by_label(found: Shipped) -> pd.DataFrame:
    """Each label's F2 at its own threshold, nested: the dehazed set minus the original, log loss.

    Columns: `label`, `pictures` (positive for it), `original`, `difference`, `low`, `high` of the
    first seed; `seed 1`, …: the difference of the others.
    """
    columns: dict[str, object] = {"label": found.tags}
    for seed in found.seeds:
        one, other = (_alone(found, seed, each) for each in (ORIGINAL, DEHAZED))
        change = f2.paired_bootstrap(one.truth, one.prediction, other.prediction, "labels")
        if seed == found.seeds[0]:
            original = f2.f2_score(one.truth, one.prediction, "labels")
            columns |= {"pictures": one.truth.sum(0), "original": original}
            columns |= _three("difference", change)
        else:
            columns[f"seed {seed}"] = change.value
    return pd.DataFrame(columns)


def claims(found: Shipped, gained: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The rows that the second column of verdicts is judged by: nested, all labels.

    gained, labels  `gains` and `by_label` of the same predictions
    Columns: `claim`, `item`, `value`, `low`, `high` of the first seed, `seed 1`, … of the others.
    """
    rows: list[Row] = []
    overall = gained[(gained["protocol"] == "nested") & (gained["labels"] == "all")]
    for (system, baseline), claim in GAINS.items():
        mine = overall[(overall["system"] == system) & (overall["baseline"] == baseline)]
        if not claim or mine.empty:
            continue
        first, *others = mine.itertuples()
        seeds = {f"seed {one.seed}": one.difference for one in others}
        item = "overall, choice minus dehazed" if claim == "choice-repairs" else ""
        rows.append(row(claim, Interval(first.difference, first.low, first.high), item, **seeds))
    for claim, tags in (
        ("dehazing-clears-road-water-farmland", CLEARER[:3]),
        ("dehazing-raises-water-and-bare-ground", (CLEARER[1], CLEARER[3])),
        ("dehazing-lowers-haze-and-clear", partly_hazy.WEATHER),
    ):
        for _, each in labels.set_index("label").loc[list(tags)].iterrows():
            seeds = {name: each[name] for name in each.index if name.startswith("seed ")}
            value = Interval(each["difference"], each["low"], each["high"])
            rows.append(row(claim, value, str(each.name), **seeds))
    for claim, measure in _SINGLE.items():
        rows += _by_seed(found, claim, measure)
    return pd.DataFrame(rows)


# ---- single claims -------------------------------------------------------------------------------


def _alone(found: Shipped, seed: int, *wanted: Candidate) -> Outcome:
    """Nested, with each label's own threshold."""
    return found.pools(seed)[0].nested(*wanted, thresholds="labels")


def _repaired(found: Shipped, seed: int) -> dict[str, Interval]:
    one, both = _alone(found, seed, ORIGINAL), _alone(found, seed, ORIGINAL, DEHAZED)
    change = f2.paired_bootstrap(one.truth, one.prediction, both.prediction, "labels")
    return {
        f"{tag}, choice minus original": Interval(
            *(float(e[found.tags.index(tag)]) for e in change)
        )
        for tag in partly_hazy.WEATHER
    }


def _believed(found: Shipped, seed: int) -> dict[str, Interval]:
    one, other = (_alone(found, seed, each) for each in (ORIGINAL, DEHAZED))
    value = believed(one, other, found.tags.index("haze"))
    return {} if value is None else {"": value}


def _recalled(found: Shipped, seed: int) -> dict[str, Interval]:
    pool = found.pools(seed)[0]
    pair = [Candidate("original", loss) for loss in ("f2-chip", "f2")]
    if not all(one in pool.probability for one in pair):
        return {}
    return {"": recall_gain(pool.truth, *(pool.probability[one] for one in pair))}


def _chosen(found: Shipped, seed: int) -> dict[str, Interval]:
    pool = found.pools(seed)[0]
    fitted, half = (pool.nested(ORIGINAL, thresholds=t) for t in ("chips", 0.5))
    return {"": fitted.minus(half)}


_SINGLE: dict[str, Callable[[Shipped, int], dict[str, Interval]]] = {
    "choice-repairs": _repaired,
    "choice-believes-haze": _believed,
    "f2-loss-stresses-recall": _recalled,
    "threshold-must-be-chosen": _chosen,
}


def _by_seed(found: Shipped, claim: str, measure: Callable) -> list[Row]:
    """One row for each item: the first seed's value with its interval, and the other seeds'."""
    rows: dict[str, Row] = {}
    for seed in found.seeds:
        for item, value in measure(found, seed).items():
            if item in rows:
                rows[item][f"seed {seed}"] = value.value
            elif seed == found.seeds[0]:
                rows[item] = row(claim, value, item)
    return list(rows.values())


def _ground(tags: tuple[str, ...]) -> np.ndarray:
    return np.array([tag not in partly_hazy.WEATHER for tag in tags])


def _three(name: str, interval: Interval, prefix: str = "") -> dict[str, float]:
    return {name: interval.value, f"{prefix}low": interval.low, f"{prefix}high": interval.high}
