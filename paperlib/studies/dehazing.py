"""What dehazing does to the scores: pairs of networks that differ in their chips alone.

Both networks of a pair have the same loss, design and seed. Scores are by the nested protocol, and
differences are paired over chips. The spread between seeds stands beside them: an interval over
chips knows nothing of the chance in training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import f2
from ..chips import planet, scenes
from ..chips.scenes import resize
from ..chips.variants import dehaze
from ..evaluation import candidates
from ..evaluation.families import joint, seed_reference
from ..evaluation.selection import Outcome
from ..labels import GROUP

if TYPE_CHECKING:
    from ..evaluation.candidates import Candidate, Pool
    from ..evaluation.families import Family
    from ..project import Project
    from ..training.runs import Run


REAL = "Planet chips"  # the source of real ones in `order_on_chips`


@dataclass(frozen=True)
class Effect:
    """Tables of figures 6 and 7; see `measure`.

    by_label     `label`, `chips`, `system`, `f2`, `low`, `high`: binary F2, at each label's own
                 threshold
    differences  `label`, `difference`, `low`, `high`, and `seed 1`, …: dehazed minus original; the
                 seeds of another family say so (`families.seed_reference`)
    overall      `system`, `f2`, `low`, `high`: mean-over-chips F2
    seeds        `system`, `networks`, `seed`, `f2`: mean-over-chips F2 of every seed
    gains        `comparison`, `difference`, `low`, `high`: mean-over-chips F2, paired
    """

    by_label: pd.DataFrame
    differences: pd.DataFrame
    overall: pd.DataFrame
    seeds: pd.DataFrame
    gains: pd.DataFrame


def pairs(runs: Iterable[Run], loss: str = "log") -> list[tuple[Run, Run | None]]:
    """(original, dehazed) runs of one loss with all outputs, by seed; None where it is not kept."""
    joint = [r for r in runs if r.config.outputs == "all" and r.config.loss == loss]
    by_config = {r.config: r for r in joint}
    found = [
        (run, by_config.get(replace(config, variant="dehazed")))
        for config, run in by_config.items()
        if config.variant == "original"
    ]
    return sorted(found, key=lambda pair: (pair[1] is None, pair[0].config.seed))


def paired_family(families: Sequence[Family]) -> Family:
    """The candidates' family if it holds a pair with the log loss; else one that does, if any."""
    chosen = joint(families)
    held = [chosen, *(f for f in families if not f.per_label)]
    paired = (f for f in held if any(dehazed for _, dehazed in pairs(f.runs)))
    return next(paired, families[0])


def judged_pair(
    families: Iterable[Family], chosen: Family, loss: str = "log"
) -> tuple[tuple[Run, Run | None], Family, dict[str, tuple[Run, Run]]]:
    """The (original, dehazed) runs that are judged: of the seed of `chosen` with the most
    candidates that has both; the family whose other seeds say what chance does
    (`families.seed_reference`), and name -> their runs, never those that are judged."""
    rank = {seed: place for place, seed in enumerate(chosen.seeds)}
    found = pairs(chosen.runs, loss)
    first = min(found, key=lambda pair: (pair[1] is None, rank[pair[0].config.seed]))
    family, names = seed_reference(families, chosen)
    others = {
        names[original.config.seed]: (original, dehazed)
        for original, dehazed in pairs(family.runs, loss)
        if dehazed is not None and original.config.seed in names and original is not first[0]
    }
    return first, family, others


def measure(families: Sequence[Family], chosen: Family, loss: str = "log") -> Effect:
    """Figures 6 and 7 from saved runs; one seed is drawn in full, the others as points.

    families  all that are saved: where `chosen` has one seed, another one's say what chance does
    chosen    the family that is drawn

    A label's F2 is at the threshold chosen for that label's F2; the mean over chips is at those
    chosen for it. Where no network on dehazed chips is saved, the differences are NaN and the
    original stands alone.
    """
    judged, family, others = judged_pair(families, chosen, loss)
    first, alone = outcomes(*judged), outcomes(*judged, thresholds="labels")
    tags = judged[0].tags
    there = first["original"].truth.any(0)
    scores, rows = [], []
    for system, outcome in first.items():
        table = pd.DataFrame(alone[system].label_f2()._asdict()).rename(columns={"value": "f2"})
        table.loc[~there] = np.nan
        table.insert(0, "system", system)
        table.insert(0, "chips", outcome.truth.sum(0))
        table.insert(0, "label", tags)
        scores.append(table)
        rows.append(_row("system", system, "f2", outcome.interval))
    columns = ["difference", "low", "high"]
    differences = pd.DataFrame({"label": tags, **dict.fromkeys(columns, np.nan)})
    gains = pd.DataFrame(columns=["comparison", "difference", "low", "high"])
    seeds = _scores(chosen, judged[0].config.seed, first)
    if "dehazed" in first:
        a, b = alone["original"], alone["dehazed"]
        effect = f2.paired_bootstrap(a.truth, a.prediction, b.prediction, "labels")
        differences[columns] = np.stack(effect, axis=1)
        differences.loc[~there, columns] = np.nan
        base = first["original"]
        gains = pd.DataFrame(
            [
                _row("comparison", f"{system} minus original", "difference", outcome.minus(base))
                for system, outcome in first.items()
                if system != "original"
            ]
        )
        for name, pair in others.items():
            seeds += _scores(family, pair[0].config.seed, outcomes(*pair))
            own = outcomes(*pair, thresholds="labels")
            change = (
                own["dehazed"].label_f2(replicates=1).value
                - own["original"].label_f2(replicates=1).value
            )
            differences[name] = np.where(there, change, np.nan)
    return Effect(
        pd.concat(scores, ignore_index=True),
        differences,
        pd.DataFrame(rows),
        pd.DataFrame(seeds),
        gains,
    )


def _scores(family: Family, seed: int, outcomes: Mapping[str, Outcome]) -> list[dict[str, object]]:
    named = {"networks": family.title, "seed": seed}
    return [{"system": name, **named, "f2": outcome.score} for name, outcome in outcomes.items()]


def outcomes(original: Run, dehazed: Run | None, thresholds: str = "chips") -> dict[str, Outcome]:
    """System -> nested outcome: each network alone, and the better one for each label."""
    pool = candidates.gather([original] if dehazed is None else [original, dehazed])
    alone = zip(("original", "dehazed"), pool.probability, strict=False)
    outcomes = {name: pool.nested(one, thresholds=thresholds) for name, one in alone}
    if dehazed is not None:
        outcomes["choice per label"] = pool.nested(thresholds=thresholds)
    return outcomes


def all_pairs(families: Iterable[Family]) -> pd.DataFrame:
    """Every pair of candidates that differ in their chips alone: what dehazing brings to each.

    Columns: `networks`, `loss`, `seed`, `original`, `dehazed` (nested mean-over-chips F2),
    `difference`, `low`, `high` (paired over chips). No rows where no pair is saved.
    """
    rows = []
    for family in families:
        for seed in sorted(family.seeds):
            pool = family.pool(seed=seed)
            for original, dehazed in pool.pairs():
                a, b = pool.nested(original), pool.nested(dehazed)
                named = {"networks": family.title, "loss": original.loss, "seed": seed}
                rows.append({**named, "original": a.score, "dehazed": b.score, **b.difference(a)})
    columns = ["networks", "loss", "seed", "original", "dehazed", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def by_weather(families: Sequence[Family], chosen: Family) -> pd.DataFrame:
    """What dehazing brings to the labels of the ground, on chips of each kind of weather.

    families, chosen  as `measure`

    Haze hides the ground, so theory has the gain on chips labelled haze, and none on clear ones.
    Columns: `weather`, `chips` (with that tag and any label of the ground), `networks`, `loss`,
    `seed`, `difference` of the mean-over-chips F2 of the 13 labels that are not of the weather,
    dehazed minus original, `low`, `high` (bootstrap over chips). The losses stand apart, the log
    loss first: what dehazing brings to one of them need not be what it brings to another.
    """
    family, names = seed_reference(families, chosen)
    pools = [(chosen, chosen.seeds[0]), *((family, seed) for seed in names)]
    rows = []
    for one, seed in pools:
        pool = one.pool(seed=seed)
        for pair in pool.pairs():
            named = {"networks": one.title, "loss": pair[0].loss, "seed": seed}
            rows += [{**row, **named} for row in _weather(pool, *pair)]
    columns = ["weather", "chips", "networks", "loss", "seed", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _weather(pool: Pool, original: Candidate, dehazed: Candidate) -> list[dict[str, object]]:
    ground = np.array([GROUP[tag] != "weather" for tag in pool.tags])
    truth = pool.truth[:, ground]
    without, with_ = (
        f2.chip_f2(truth, pool.nested(one).prediction[:, ground]) for one in (original, dehazed)
    )
    rows = []
    for column, tag in enumerate(pool.tags):
        here = (pool.truth[:, column] == 1) & truth.any(1)
        if GROUP[tag] == "weather" and here.any():
            found = f2.mean_interval((with_ - without)[here])
            row = _row("weather", tag, "difference", found)
            rows.append({**row, "chips": int(here.sum())})
    return rows


def _row(key: str, name: str, value: str, interval: f2.Interval) -> dict[str, object]:
    return {key: name, value: interval.value, "low": interval.low, "high": interval.high}


def order_of_steps(images: np.ndarray, size: int) -> pd.DataFrame:
    """Dehaze then shrink, against shrink then dehaze: how far apart, in grey levels of 0…255.

    images  `(N, 256, 256, 3)` uint8;  size  pixels after shrinking
    Returns a row per chip, root mean squares over its pixels: `between` the two orders, `effect` of
    dehazing at full size, `effect_small` of dehazing after shrinking.
    """

    def shrink(pictures: np.ndarray) -> np.ndarray:
        return np.stack([resize(picture, size) for picture in pictures])

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(((a.astype(np.float64) - b) ** 2).mean((1, 2, 3)))

    small = shrink(images)
    first, last = shrink(dehaze(images)), dehaze(small)
    return pd.DataFrame(
        {
            "between": apart(first, last),
            "effect": apart(first, small),
            "effect_small": apart(last, small),
        }
    )


def order_on_chips(paper: Project, size: int, count: int = 128) -> pd.DataFrame:
    """`order_of_steps` of full-size chips, with their `source`: real ones first, where known.

    Full-size real chips are at hand only to profiles of 128 pixels or more; smaller ones take what
    such a profile kept in `results/paper/dehazing_order.csv`. Generated scenes are always there.
    """
    tables = []
    if paper.profile.source == "planet" and paper.profile.size >= 128 and paper.data:
        images = planet.read(paper.data, 256).images[:count]
        tables.append(order_of_steps(images, size).assign(source=REAL))
    elif (kept := paper.root / "results" / "paper" / "dehazing_order.csv").is_file():
        known = pd.read_csv(kept)
        tables.append(known[known["source"] == REAL])
    drawn = [scenes.scene(i).image for i in range(min(64, paper.profile.chips or 64))]
    tables.append(order_of_steps(np.stack(drawn), size).assign(source="generated scenes"))
    return pd.concat(tables, ignore_index=True)
