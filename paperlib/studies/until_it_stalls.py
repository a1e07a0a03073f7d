"""Accuracy against size once more: each network on all chips until its validation loss stalls.

    configs(profile)                    # every network at every width
    best_again(profile)                 # the best width of each with two more seeds
    stalled, seeds = tables(project, shipped)
    compared(brief, stalled)            # against the budget that all share: table `size_accuracy`

The runs of the grid `plateau` lie in a folder of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..evaluation.across_seeds import EQUAL, HELPS, Difference, chip_scores, difference
from ..training.config import Config
from ..training.runs import Run
from .accuracy_against_size import SIZES, saved, table, title

if TYPE_CHECKING:
    from ..profiles import Profile
    from ..project import Project

FOLDER = "plateau"
#: What every network is given that is trained until its validation loss stalls, or for 60 epochs.
BUDGET: dict[str, Any] = {
    "train_chips": 0, "epochs": 60, "batch": 128, "rate": 1e-3, "schedule": "plateau",
    "plateau": 2, "patience": 5, "precision": "mixed_bfloat16", "weights": "",
}  # fmt: skip
#: The width of each network that scored best of those in the table `size_plateau`: three seeds.
BEST_WIDTHS: dict[str, float] = {
    "vgg11": 0.25, "vgg16": 0.25, "resnet50": 0.25, "inception_v3": 0.25,
    "inception_resnet_v2": 0.25, "mobilenet": 0.5, "mobilenet_v2": 0.35,
}  # fmt: skip


def configs(profile: Profile, **changes: Any) -> list[Config]:
    """Each network at each width on all training chips, as long as its validation loss falls."""
    return [
        Config.of(profile, **{"network": name, "width": width, **BUDGET, **changes})
        for name, width in SIZES.get(profile.name, SIZES["planet32"])
    ]


def best_again(profile: Profile, **changes: Any) -> list[Config]:
    """The best width of each network once more, with two more seeds."""
    best = BEST_WIDTHS.items()
    every = configs(profile, **changes)
    return [
        replace(config, seed=seed)
        for config in every
        if (config.network, config.width) in best
        for seed in (1, 2)
    ]


def grid(profile: Profile, **changes: Any) -> list[Config]:
    """All of them: every network at every width, then the best widths again."""
    return [*configs(profile, **changes), *best_again(profile, **changes)]


def tables(project: Project, shipped: Project) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`accuracy_against_size.table` and `across` of the grid's saved runs, as far as there are any.

    shipped  the project of real chips: any other one has no such runs, and reads its tables
    """
    if project.profile.name == shipped.profile.name:
        runs = saved(project, grid(project.profile), FOLDER)
        return table(runs), across(runs)
    paths = [shipped.results / f"size_{name}.csv" for name in ("plateau", "seeds")]
    empty = table([]), across([])
    return tuple(pd.read_csv(p) if p.is_file() else e for p, e in zip(paths, empty, strict=True))


def compared(brief: pd.DataFrame, stalled: pd.DataFrame) -> pd.DataFrame:
    """The networks of both tables, best of `stalled` first: F2 and rank of each budget.

    Columns title, epochs, stalled (False where the limit of epochs came first), f2_brief, f2, low,
    high, rank_brief, rank.
    """
    shown = ["title", "epochs", "stalled", "f2_brief", "f2", "low", "high", "rank_brief", "rank"]
    if brief.empty or stalled.empty:  # without rows the columns have no type to be merged by
        return pd.DataFrame(columns=shown)
    keys = ["network", "width"]
    both = stalled.merge(brief[[*keys, "f2"]], on=keys, suffixes=("", "_brief"))
    for rank, score in (("rank_brief", "f2_brief"), ("rank", "f2")):
        both[rank] = both[score].rank(ascending=False).astype(int)
    both["stalled"] = both["epochs"] < BUDGET["epochs"]
    return both.sort_values("rank")[shown].reset_index(drop=True)


def in_words(compared: pd.DataFrame, standing: pd.DataFrame) -> str:
    """What the longer training changes, as Markdown.

    compared  of `compared`;  standing  the rows of the longer training on the frontier
    """
    if len(compared) < 3:
        return "Too few networks are trained until their loss stalls to rank them."
    best, before = compared.iloc[0], compared.sort_values("rank_brief").iloc[0]
    agree = compared["rank"].corr(compared["rank_brief"], method="spearman")
    moved = int(((compared["rank_brief"] - compared["rank"]).abs() > 2).sum())
    gain = compared["f2"] - compared["f2_brief"]
    how = f"every one gains, {gain.min():.3f} to {gain.max():.3f}."
    if (gain <= 0).any():
        how = f"{int((gain > 0).sum())} gain."
    said = [
        f"Of {len(compared)} networks {how}",
        f"Best after the short budget: {before['title']} ({before['f2_brief']:.3f});",
        f"best when the loss has stalled: **{best['title']}** with {best['f2']:.3f}",
        f"[{best['low']:.3f}, {best['high']:.3f}].",
        f"The ranks of the two budgets correlate with {agree:.2f};",
        f"{moved} networks move by more than two places.",
        f"On the frontier now: {', '.join(standing.sort_values('multiply_adds')['title'])}.",
    ]
    if not compared["stalled"].all():
        names = ", ".join(compared["title"][~compared["stalled"]])
        said.append(f"Not stopped before the limit of {BUDGET['epochs']} epochs: {names}.")
    return " ".join(said)


SEED_COLUMNS = ("title", "network", "width", "seeds", "f2", "lowest", "highest",
                "difference", "low", "high")  # fmt: skip


def across(runs: Sequence[Run]) -> pd.DataFrame:
    """The networks that were trained with several seeds, best first: `SEED_COLUMNS`.

    f2, lowest, highest    mean over chips, nested: of all seeds, of the worst, and of the best one
    difference, low, high  to the first row's network, with the interval of `across_seeds`: it holds
                           the luck of the training and that of the chips
    """
    alike: dict[Config, list[Run]] = {}
    for run in runs:
        alike.setdefault(replace(run.config, seed=0), []).append(run)
    scores = {config: chip_scores(some) for config, some in alike.items() if len(some) > 1}
    best_first = sorted(scores.items(), key=lambda item: -item[1].mean())
    rows = []
    for config, score in best_first:
        each = score.mean(1)
        gap = difference(score, best_first[0][1]) if rows else (0.0, math.nan, math.nan)
        named = [title(config), config.network, config.width, len(score)]
        rows.append([*named, each.mean(), each.min(), each.max(), *gap])
    return pd.DataFrame(rows, columns=list(SEED_COLUMNS))


def across_in_words(seeds: pd.DataFrame) -> str:
    """What several seeds say of the networks, as Markdown.

    seeds  of `across`
    """
    if not len(seeds):
        return "No network is trained with several seeds yet."
    best, others = seeds.iloc[0], seeds.iloc[1:]
    far = f"{best['f2']:.4f} on average, {best['lowest']:.4f} to {best['highest']:.4f}."
    if not len(others):
        return f"So far only {best['title']} is trained with several seeds: {far}"
    behind = others["high"] < 0
    said = [f"Of {len(seeds)} networks with several seeds the best is **{best['title']}**: {far}"]
    for beginning, rows in (("Behind it", others[behind]), ("Not told apart", others[~behind])):
        gaps = [f"{r.title} ({r.difference:+.4f} [{r.low:+.4f}, {r.high:+.4f}])"
                for r in rows.itertuples()]  # fmt: skip
        if gaps:
            said.append(f"{beginning}: {', '.join(gaps)}.")
    return " ".join(said)


def simplicity_in_words(seeds: pd.DataFrame) -> str:
    """What the rule "bigger is not necessarily better" is worth when the loss has stalled.

    seeds  of `across`: VGG-11 minus VGG-16, the two sides of that rule in `design_rules`
    """
    pair = seeds[seeds["network"].isin(["vgg11", "vgg16"])]
    if len(pair) < 2:
        return "VGG-11 and VGG-16 are not both trained with several seeds until their loss stalls."
    if pair.index[0] != seeds.index[0]:
        return "Another network is better than both VGGs, and the differences here are those to it."
    better, other = pair.iloc[0], pair.iloc[1]
    gap = Difference(other["difference"], other["low"], other["high"])
    if better["network"] == "vgg11":
        gap = Difference(-gap.value, -gap.high, -gap.low)
    small, large = pair.sort_values("network").to_dict("records")
    verdict = {
        HELPS: "the rule **helps**: the smaller network is the better one",
        EQUAL: "the rule **holds**: the larger network is not shown to be better",
    }.get(gap.verdict, "the rule **hurts**: with time enough the larger network is better")
    averaged = f"{small['seeds']} seeds each"
    if small["seeds"] != large["seeds"]:
        averaged = f"{small['seeds']} and {large['seeds']} seeds"
    return (
        f"{small['title']} scores {small['f2']:.4f} and {large['title']} {large['f2']:.4f}, on "
        f"average of {averaged}; VGG-11 minus VGG-16: **{gap.value:+.4f}** [{gap.low:+.4f}, "
        f"{gap.high:+.4f}]. So {verdict}."
    )
