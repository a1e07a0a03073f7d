"""Notebook 08: table 1, the overall score, precision and recall, reliability, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..labels import ENGLISH, GROUP
from . import COLOURS, styled
from .shared import PROTOCOL, ends, label_rows, legend, root, rows_header

Array = np.ndarray
GROUP_COLOURS = {
    "weather": COLOURS["light"],
    "common": COLOURS["original"],
    "rare": COLOURS["bad"],
}


@styled
def table1(table: pd.DataFrame) -> Figure:
    """Table 1 as a picture: binary F2 of each label at two thresholds, beside the printed number.

    table  `summary.table1`
    """
    figure = Figure(figsize=(6.8, 6.6))
    ax = figure.add_subplot()
    where = np.arange(len(table))[::-1]
    looks = (
        ("own_nested", COLOURS["original"], "o", 0.3, "own threshold, nested"),
        ("own_paper", COLOURS["good"], "s", 0.1, "own threshold, paper's protocol"),
        ("system_nested", COLOURS["dehazed"], "^", -0.1, "system's threshold, nested"),
    )
    for column, colour, marker, shift, name in looks:
        nothing = (table[column] == 0).to_numpy()  # every draw is 0 too: that is no interval
        ax.errorbar(
            table[column][~nothing],
            where[~nothing] + shift,
            xerr=ends(table[~nothing], column, f"{column}_low", f"{column}_high"),
            fmt=marker,
            ms=4,
            color=colour,
            capsize=1.5,
            lw=1.1,
            label=name,
        )
        for given in (True, False):
            rows = nothing & ((table[f"{column.split('_')[0]}_given"] > 0) == given).to_numpy()
            looks_so = {"marker": marker if given else "x", "mfc": "white", "color": colour}
            ax.plot(np.zeros(rows.sum()), where[rows] + shift, ls="", ms=4, **looks_so)
    for marker, name in (("o", "no hit, no interval"), ("x", "never given")):
        ax.plot([], [], marker, ms=4, mfc="white", color=COLOURS["ink"], label=name)
    ax.plot(
        table["published"],
        where - 0.3,
        "D",
        ms=4.5,
        mfc="white",
        mew=1.3,
        ls="",
        color=COLOURS["bad"],
        label="printed in table 1",
    )
    names = [
        f"{ENGLISH[tag]} ({count:,})"
        for tag, count in zip(table["label"], table["chips"], strict=True)
    ]
    label_rows(ax, where, names)
    rows_header(ax, "label (chips that carry it)")
    ax.set(xlim=(-0.02, 1.02), xlabel="F2 of the label, 95 % interval over chips")
    last = ("no hit", "never given", "printed")
    legend(figure, [ax], *last, loc="outside upper center", ncols=3, columnspacing=1.2)
    return figure


@styled
def overall(
    table: pd.DataFrame, published: float, constant: float, seeds: pd.DataFrame | None = None
) -> Figure:
    """Mean-over-chips F2 of each system on each protocol, with intervals.

    table      `families.Evaluation.overall`; without a column `networks` nothing is grouped
    published  the paper's headline;  constant  F2 of the best constant prediction on these chips;
               far from all systems they stand in the margin, so that no half of the axis is empty
    seeds      columns `system`, `seed`, `f2` (nested): a line for each
    """
    systems = list(dict.fromkeys(table["system"]))
    networks = dict(zip(table["system"], table.get("networks", table["system"]), strict=True))
    grouped = "networks" in table
    place, y, last = {}, 0.0, None
    headings = {}
    for system in systems:
        if grouped and networks[system] != last:
            y -= 0.75
            headings[y + 0.3] = networks[system]
            y -= 0.35
            last = networks[system]
        place[system] = y
        y -= 0.72
    figure = Figure(figsize=(7.4, 1.1 + 0.44 * -y))
    ax = figure.add_subplot()
    protocols = [p for p in PROTOCOL if (table["protocol"] == p).any()]
    gap = 0.22
    several = seeds if seeds is None else seeds[seeds.duplicated("system", keep=False)]
    # Nothing is chosen at a fixed threshold: the protocols say the same, which is drawn once.
    unfitted = table["system"].str.contains("threshold 0.2") & (table["protocol"] != "test")
    for number, protocol in enumerate(protocols):
        colour, marker, name = PROTOCOL[protocol]
        rows = table[(table["protocol"] == protocol) & ~(unfitted & (protocol == "paper"))]
        at = [place[s] + gap * ((len(protocols) - 1) / 2 - number) for s in rows["system"]]
        if protocol == "nested" and several is not None and len(several):
            row_of = dict(zip(rows["system"], at, strict=True))
            where = [row_of.get(s, np.nan) for s in several["system"]]
            ax.plot(
                several["f2"], where, "|", ms=9, mew=1.4, color=COLOURS["highlight"], zorder=1,
                label="nested, each seed",
            )  # fmt: skip
        ax.errorbar(
            rows["f2"],
            at,
            xerr=ends(rows),
            fmt=marker,
            ms=4.5,
            color=colour,
            capsize=2.5,
            lw=1.2,
            label=name,
        )
        for x, y, value in zip(rows["high"], at, rows["f2"], strict=True):
            ax.text(x, y, f"  {value:.4f}", va="center", fontsize=6.5, color=colour)
    top, bottom = 0.0 if grouped else 0.55, min(place.values()) - 0.5
    low, high = table["low"].min(), table["high"].max()
    span = max(high - low, 1e-3)
    for value, text, colour, dashes in (
        (published, f"printed\n{published:.5f}", COLOURS["bad"], "--"),
        (constant, f"best constant\n{constant:.4f}", "#777777", ":"),
    ):
        if low - 0.3 * span < value < high + 0.3 * span:
            ax.axvline(value, color=colour, lw=1.2, ls=dashes)
            ax.text(value, top, text, color=colour, fontsize=7.5, ha="center", va="bottom")
            low, high = min(low, value), max(high, value)
            continue
        side = int(value > high)
        ax.text(
            side,
            top,
            text.replace("\n", " ") + " →" if side else "← " + text.replace("\n", " "),
            color=colour,
            fontsize=7.5,
            ha="right" if side else "left",
            va="bottom",
            transform=ax.get_yaxis_transform(),
        )
    for y, text in headings.items():
        ax.text(
            0.008,
            y,
            text,
            fontsize=7.5,
            color="#666666",
            va="center",
            ha="left",
            transform=ax.get_yaxis_transform(),
        )
        ax.axhline(y + 0.28, color="#DDDDDD", lw=0.7)
    ax.set_yticks(list(place.values()), [_within(s, networks[s]) if grouped else s for s in place])
    ax.set(
        ylim=(bottom, top),
        xlabel="mean-over-chips F2, 95 % interval over chips",
        xlim=(low - 0.06 * span, max(high, table["high"].max() + 0.1 * span) + 0.03 * span),
    )
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _within(system: str, networks: str) -> str:
    """A system's name without the title that stands above its group, but with the design's width.

    Several groups have a row "one network": what the row is of must not hang on the group alone.
    """
    rest = system.removeprefix(f"{networks}, ")
    if system == networks:
        rest = "one network"
    elif rest != system and not rest.startswith("choice"):
        rest = f"one network, {rest}"
    return f"{rest}  ({networks.split(',')[0]})"


@styled
def precision_recall(table: pd.DataFrame) -> Figure:
    """Precision and recall of each label, with intervals; a label that is never given has none.

    Hollow: none or all are hits, and the interval is the exact one.

    table  `summary.table1`
    """
    figure = Figure(figsize=(7.2, 4.6))
    axes = figure.subplots(1, 2, sharey=True)
    where = np.arange(len(table))[::-1]
    names = [
        f"{ENGLISH[tag]} ({count:,})"
        for tag, count in zip(table["label"], table["chips"], strict=True)
    ]
    for ax, column in zip(axes, ("precision", "recall"), strict=True):
        for group, colour in GROUP_COLOURS.items():
            mine = np.array([GROUP[tag] == group for tag in table["label"]])
            rows = table[mine]
            ax.errorbar(
                rows[column],
                where[mine],
                xerr=ends(rows, column, f"{column}_low", f"{column}_high"),
                fmt="o",
                ms=4.5,
                color=colour,
                capsize=2.5,
                lw=1.2,
                label=group,
            )
            bare = mine & table[column].isin((0, 1)).to_numpy()
            ax.plot(
                table[column][bare], where[bare], "o", ms=4.5, mfc="white", color=colour, zorder=5
            )
        label_rows(ax, where, names)
        ax.set(xlim=(-0.02, 1.02), title=column.capitalize())
    rows_header(axes[0], "label (chips that carry it)")
    never = table["precision"].isna() & (table["chips"] > 0)
    for y in where[never.to_numpy()]:
        axes[0].text(0.0, y, "never given", va="center", fontsize=7.5, color="#777777")
    figure.supxlabel("share, own threshold, nested, 95 % interval over chips", fontsize=9)
    hollow = {"ms": 4.5, "mfc": "white", "color": COLOURS["ink"]}
    axes[0].plot([], [], "o", **hollow, label="none or all: exact interval")
    legend(figure, axes[:1], "none or all", loc="outside upper center", ncols=4)
    return figure


@styled
def reliability(
    curves: Mapping[str, Mapping[str, pd.DataFrame]],
    errors: Mapping[str, Sequence[float]],
    few: int,
) -> Figure:
    """How far the observed frequency is from the given probability, and how often each is given.

    curves  system -> group of labels -> `calibration.reliability`; the first group is of all and
            large, the others are small beside it
    errors  system -> `calibration.error_interval` of all labels
    few     chips in a bin below which it has no interval (`calibration.FEW`)
    """
    figure = Figure(figsize=(8.2, 4.9))
    whole, *groups = next(iter(curves.values()))
    halves = figure.add_gridspec(1, 2, width_ratios=(1.9, 1) if groups else (1, 0))
    parts = halves[0].subgridspec(2, 1, height_ratios=(2.6, 1))
    top = figure.add_subplot(parts[0])
    bottom = figure.add_subplot(parts[1], sharex=top)
    small = halves[1].subgridspec(max(len(groups), 1), 1)
    beside = [figure.add_subplot(small[i], sharex=top) for i in range(len(groups))]
    looks = (
        (COLOURS["original"], "o", "-"),
        (COLOURS["bad"], "s", "--"),
        (COLOURS["good"], "^", ":"),
    )
    for number, ((name, by_group), (colour, marker, dashes)) in enumerate(
        zip(curves.items(), looks, strict=False)
    ):
        value, low, high = errors[name]
        label = f"{name}: mean distance {value:.4f} [{low:.4f}, {high:.4f}]"
        for ax, group in zip((top, *beside), (whole, *groups), strict=True):
            curve, large = by_group[group], ax is top
            at = curve["probability"] + 0.006 * (number - (len(curves) - 1) / 2)
            ax.errorbar(
                at,
                curve["difference"],
                yerr=ends(curve, "difference"),
                fmt=marker,
                ls=dashes,
                ms=4.5 if large else 3,
                lw=1.1 if large else 0.9,
                capsize=2 if large else 1.5,
                color=colour,
                label=label if large else None,
            )
            bare = curve["low"].isna()
            ax.plot(
                at[bare],
                curve["difference"][bare],
                marker,
                ms=4.5 if large else 3,
                mfc="white",
                color=colour,
                zorder=5,
            )
            if large:
                line = {"marker": marker, "ls": dashes, "ms": 3.5, "lw": 1}
                bottom.plot(at, curve["count"], color=colour, **line)
    for ax, group in zip((top, *beside), (whole, *groups), strict=True):
        ax.axhline(0, color="#888888", lw=0.9, zorder=0)
        ax.grid(axis="y")
        ax.margins(y=0.16)
        ax.set_title(group, fontsize=9)
        ax.tick_params(labelbottom=ax is (beside or [None])[-1])
    top.set(ylabel="frequency less probability\n95 % interval over chips", xlim=(0, 1))
    for side, word in ((0.98, "more often there than said"), (0.02, "less often there than said")):
        top.text(
            0.02,
            side,
            word,
            va="top" if side > 0.5 else "bottom",
            fontsize=7,
            color="#777777",
            transform=top.transAxes,
        )
    hollow = {"ms": 4, "mfc": "white", "color": COLOURS["ink"]}
    top.plot([], [], "o", **hollow, label=f"fewer than {few} chips: no interval")
    legend(figure, [top], "fewer than", loc="outside upper left")
    bottom.set(yscale="log", xlabel="probability given", ylabel="predictions")
    bottom.grid(axis="y")
    if beside:
        beside[-1].set_xlabel("probability given")
        for ax in beside:
            ax.tick_params(labelsize=7)
    return figure


@styled
def thresholds(system: pd.DataFrame, own: pd.DataFrame) -> Figure:
    """Thresholds chosen on each fold and on all chips: how much they depend on the chips.

    system, own  `tables.thresholds`: for the mean-over-chips F2, and for each label's own F2; NaN
                 stands at "never", where the label is given to no chip
    """
    where = np.arange(len(system))[::-1]
    panels = (("For the mean over chips", system), ("For the label's own F2", own))
    chosen = [table.drop(columns="label").to_numpy(float) for _, table in panels]
    most = 1.12 * max(np.nanmax(values, initial=0.1) for values in chosen)
    # A strip for "never" beside a panel that has any; else all the width is for the thresholds.
    strips = [bool(np.isnan(values).any()) for values in chosen]
    ratios = [r for strip in strips for r in ((1, 0.2) if strip else (1,))]
    figure = Figure(figsize=(7.6, 5.2))
    axes = iter(figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios))
    first = None
    for (title, table), strip in zip(panels, strips, strict=True):
        ax = next(axes)
        first = first or ax
        folds = table.filter(like="fold_").to_numpy(float)
        known = ~np.isnan(folds).all(1)
        ax.hlines(
            where[known],
            np.nanmin(folds[known], axis=1),
            np.nanmax(folds[known], axis=1),
            color=COLOURS["light"],
            lw=5,
            alpha=0.7,
            label="range over the folds",
        )
        for number, fold in enumerate(folds.T):
            name = None if number else "each fold"
            ax.plot(fold, where, ".", color=COLOURS["original"], ms=4, label=name)
        ax.plot(table["all"], where, "|", color=COLOURS["bad"], ms=11, mew=2, label="all chips")
        # Thresholds of rare labels are hundredths, others tenths: a square root shows both.
        ax.set_xscale("function", functions=(root, np.square))
        ax.set(xlim=(0, most), title=title)
        ticks = [t for t in (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8) if t < most]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        label_rows(ax, where, [ENGLISH[tag] for tag in table["label"]])
        if not strip:
            continue
        never = next(axes)
        for y, row, whole in zip(where, folds, table["all"], strict=True):
            if count := int(np.isnan(row).sum()):
                text = f"{count} of {len(row)}"
                never.text(0.38, y, text, va="center", ha="center", fontsize=6.5, color="#555555")
            if np.isnan(whole):
                never.plot(0.9, y, "|", color=COLOURS["bad"], ms=11, mew=2)
        label_rows(never, where, [ENGLISH[tag] for tag in table["label"]])
        never.grid(visible=False)
        never.set(xlim=(0, 1), xticks=[])
        never.set_title("never\n(folds)", fontsize=7.5, fontweight="normal")
    figure.supxlabel("threshold (probability; square-root scale)", fontsize=9)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure
