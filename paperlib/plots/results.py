"""Notebook 08: table 1 drawn, overall F2, precision and recall, reliability, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..labels import ENGLISH, GROUP
from . import COLOURS, styled
from .shared import (
    CENTRED,
    CHIPS_OF_LABEL,
    GREY,
    HALO,
    LOSS_STYLE,
    PROTOCOL,
    QUIET,
    TEXT,
    Array,
    hollow_key,
    in_axes,
    in_rows,
    intervals,
    label_rows,
    legend,
    name_rows,
    note,
    offsets,
    panel,
    root_scale,
    rows_header,
    rows_of,
    seed_lines,
    with_counts,
)

#: Group of labels -> its colour in `COLOURS`.
GROUP_COLOURS = {"weather": "light", "common": "original", "rare": "bad"}


@styled
def table1(table: pd.DataFrame) -> Figure:
    """Table 1 drawn: binary F2 of each label at two thresholds, beside the printed number.

    table  `studies.results.table1`
    """
    figure, ax = panel(6.8, 6.6)
    where = rows_of(table)
    for column, colour, marker, shift, name in (
        ("own_nested", COLOURS["original"], "o", 0.3, "own threshold, nested"),
        ("own_paper", COLOURS["good"], "s", 0.1, "own threshold, same chips"),
        ("system_nested", COLOURS["dehazed"], "^", -0.1, "system's threshold, nested"),
    ):
        nothing = (table[column] == 0).to_numpy()  # every draw is 0 too: that is no interval
        look = {"color": colour, "ms": 4}
        at, rows = where[~nothing] + shift, table[~nothing]
        bars = {"prefix": f"{column}_", "fmt": marker, "capsize": 1.5, "lw": 1.1}
        intervals(ax, rows, at, column, label=name, **bars, **look)
        given = (table[f"{column.split('_')[0]}_given"] > 0).to_numpy()
        for rows, mark in ((nothing & given, marker), (nothing & ~given, "x")):
            ax.plot(np.zeros(rows.sum()), where[rows] + shift, mark, mfc="white", **look)
    for marker, name in (("o", "no hit, no interval"), ("x", "never given")):
        hollow_key(ax, name, marker)
    printed = {"ms": 4.5, "mfc": "white", "mew": 1.3, "color": COLOURS["bad"]}
    ax.plot(table["published"], where - 0.3, "D", label="printed in table 1", **printed)
    label_rows(ax, where, with_counts(table["label"], table["chips"]))
    rows_header(ax, CHIPS_OF_LABEL)
    ax.set(xlim=(-0.02, 1.02), xlabel="F2 of the label, 95 % interval over chips")
    last = ("no hit", "never given", "printed")
    legend(figure, [ax], *last, loc="outside upper center", ncols=3, columnspacing=1.2)
    return figure


@styled
def overall(
    table: pd.DataFrame, published: float, constant: float, seeds: pd.DataFrame | None = None
) -> Figure:
    """Mean-over-chips F2 of each system on each protocol, with intervals.

    table      `systems.Evaluation.overall`; without a column `networks` nothing is grouped
    published  the paper's headline;  constant  F2 of the best constant prediction on these chips;
               far from all systems they stand in the margin, so that no half of the axis is empty
    seeds      columns `system`, `seed`, `f2` (nested): a line for each
    """
    grouped = "networks" in table
    networks = dict(zip(table["system"], table.get("networks", table["system"]), strict=True))
    place, headings, y, last = {}, {}, 0.0, None
    for system, group in networks.items():
        if grouped and group != last:
            y -= 0.75
            headings[y + 0.3] = last = group
            y -= 0.35
        place[system] = y
        y -= 0.72
    figure, ax = panel(7.4, 1.1 + 0.44 * -y)
    protocols = [p for p in PROTOCOL if (table["protocol"] == p).any()]
    several = seeds if seeds is None else seeds[seeds.duplicated("system", keep=False)]
    # Nothing is chosen at a fixed threshold: the protocols agree, so one of them is drawn.
    unfitted = table["system"].str.contains("threshold 0.2") & (table["protocol"] != "test")
    for protocol, shift in zip(protocols, offsets(len(protocols), 0.22), strict=True):
        colour, marker, name = PROTOCOL[protocol]
        rows = table[(table["protocol"] == protocol) & ~(unfitted & (protocol == "paper"))]
        at = rows["system"].map(place) + shift
        if protocol == "nested" and several is not None and len(several):
            where = several["system"].map(dict(zip(rows["system"], at, strict=True)))
            look = {"ms": 9, "mew": 1.4, "zorder": 1, "label": "nested, each seed"}
            seed_lines(ax, several["f2"], where, **look)
        look = {"fmt": marker, "ms": 4.5, "color": colour, "capsize": 2.5, "lw": 1.2}
        intervals(ax, rows, at, label=name, **look)
        for x, y, value in zip(rows["high"], at, rows["f2"], strict=True):
            look = {"va": "center", "fontsize": 6.5, "color": colour}
            ax.text(x, y, f"  {value:.4f}", path_effects=[HALO], **look)
    ax.set_ylim(min(place.values()) - 0.5, 0.0 if grouped else 0.55)
    low, high = table["low"].min(), table["high"].max()
    span = max(high - low, 1e-3)
    for value, text, colour, dashes in (
        (published, f"printed\n{published:.5f}", COLOURS["bad"], "--"),
        (constant, f"best constant\n{constant:.4f}", QUIET, ":"),
    ):
        if low - 0.3 * span < value < high + 0.3 * span:
            low, high = min(low, value), max(high, value)
        side = "left" if value < low else "right" if value > high else ""
        _reference(ax, value, text, side, colour, dashes)
    for y, text in headings.items():
        look = {"fontsize": 7.5, "color": "#666666", "va": "center", "ha": "left"}
        in_rows(ax, 0.008, y, text, bbox={"fc": "white", "ec": "none", "pad": 1}, **look)
        ax.axhline(y + 0.28, color="#DDDDDD", lw=0.7)
    names = [_within(s, networks[s]) if grouped else s for s in place]
    name_rows(ax, list(place.values()), names)
    most = max(high, table["high"].max() + 0.1 * span) + 0.03 * span
    ax.set(xlabel="mean-over-chips F2, 95 % interval over chips", xlim=(low - 0.06 * span, most))
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _reference(ax: Axes, value: float, text: str, side: str, colour: str, dashes: str) -> None:
    """A value to compare with: a line, or words in the margin on whose `side` it lies far away."""
    look = {"color": colour, "fontsize": 7.5, "va": "bottom"}
    top = ax.get_ylim()[1]
    if not side:
        ax.axvline(value, color=colour, lw=1.2, ls=dashes)
        ax.text(value, top, text, ha="center", **look)
        return
    text = text.replace("\n", " ")
    text = f"{text} →" if side == "right" else f"← {text}"
    in_rows(ax, int(side == "right"), top, text, ha=side, **look)


@styled
def headline(table: pd.DataFrame, published: float, constant: float, networks: str) -> Figure:
    """The paper's system beside the printed number, at a glance.

    table      rows `protocol`, `f2`, `low`, `high` of one system
    published  the paper's headline;  constant  F2 of the best constant prediction on these chips
    networks   what the system's networks are, with the chips' size
    """
    figure, ax = panel(7.4, 1.9)
    names = [f"{networks},\n{PROTOCOL[p][2]}" for p in table["protocol"]]
    rows = rows_of([*names, "", ""])
    for y, row in zip(rows[1:], table.to_dict("records"), strict=False):
        colour, marker, _ = PROTOCOL[row["protocol"]]
        look = {"fmt": marker, "color": colour, "ms": 4, "capsize": 4, "lw": 1.6}
        intervals(ax, pd.DataFrame([row]), [y], **look)
        note(ax, (row["high"], y), f"{row['f2']:.4f}", (7, 0), color=colour, fontsize=8)
    for y, value, text, colour in (
        (rows[0], published, f"{published:.5f}", "bad"),
        (rows[-1], constant, f"{constant:.4f}", "published"),
    ):
        ax.plot(value, y, "D", ms=6, color=COLOURS[colour])
        shift, ha = ((-8, 0), "right") if value > 0.9 else ((8, 0), "left")
        note(ax, (value, y), text, shift, color=COLOURS[colour], fontsize=8, ha=ha)
    first = "printed in the paper: a network per label\nat VGGNet's input size, no interval"
    name_rows(ax, rows, [first, *names, "best constant prediction"], fontsize=7.5)
    ax.set(ylim=(-0.6, len(rows) - 0.4), xlabel="F2, mean over chips, 95 % interval over chips")
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
    """Precision and recall of each label, with intervals; a label that is never predicted has none.

    Hollow: none or all are hits, and the interval is the exact one.

    table  `studies.results.table1`
    """
    figure = Figure(figsize=(7.2, 4.6))
    axes = figure.subplots(1, 2, sharey=True)
    where = rows_of(table)
    groups = table["label"].map(GROUP).to_numpy()
    for ax, column in zip(axes, ("precision", "recall"), strict=True):
        for group, colour in GROUP_COLOURS.items():
            mine = groups == group
            look = {"ms": 4.5, "color": COLOURS[colour]}
            bars = {"prefix": f"{column}_", "fmt": "o", "capsize": 2.5, "lw": 1.2, "label": group}
            intervals(ax, table[mine], where[mine], column, **bars, **look)
            bare = mine & table[column].isin((0, 1)).to_numpy()
            ax.plot(table[column][bare], where[bare], "o", mfc="white", zorder=5, **look)
        label_rows(ax, where, with_counts(table["label"], table["chips"]))
        ax.set(xlim=(-0.02, 1.02), title=column.capitalize())
    rows_header(axes[0], CHIPS_OF_LABEL)
    never = table["precision"].isna() & (table["chips"] > 0)
    for y in where[never.to_numpy()]:
        axes[0].text(0.0, y, "never given", va="center", fontsize=7.5, color=QUIET)
    figure.supxlabel("fraction, own threshold, nested, 95 % interval over chips", fontsize=9)
    if table[["precision", "recall"]].isin((0, 1)).any(axis=None):
        hollow_key(axes[0], "none or all: exact interval", size=4.5)
    legend(figure, axes[:1], "none or all", loc="outside upper center", ncols=4)
    return figure


@styled
def reliability(
    curves: Mapping[str, Mapping[str, pd.DataFrame]],
    errors: Mapping[str, Sequence[float]],
    few: int,
) -> Figure:
    """How far the observed frequency is from the predicted probability, and how often each occurs.

    curves  system -> group of labels -> `calibration.reliability`; the first group is of all and
            large, the others are small beside it
    errors  system -> `calibration.error_interval` of all labels
    few     chips in a bin below which it has no interval (`calibration.FEW`)
    """
    figure = Figure(figsize=(8.2, 4.9))
    titles = list(next(iter(curves.values())))
    small = len(titles) - 1
    halves = figure.add_gridspec(1, 2, width_ratios=(1.9, 1) if small else (1, 0))
    parts = halves[0].subgridspec(2, 1, height_ratios=(2.6, 1))
    top = figure.add_subplot(parts[0])
    bottom = figure.add_subplot(parts[1], sharex=top)
    cells = halves[1].subgridspec(max(small, 1), 1)
    axes = [top, *(figure.add_subplot(cells[i], sharex=top) for i in range(small))]
    large = {"ms": 4.5}, {"lw": 1.1, "capsize": 2}
    beside = {"ms": 3}, {"lw": 0.9, "capsize": 1.5}
    looks = zip(offsets(len(curves), -0.006), LOSS_STYLE.values(), strict=False)
    for (name, by_group), (shift, (colour, marker, ls)) in zip(curves.items(), looks, strict=True):
        value, low, high = errors[name]
        label = f"{name}: calibration error {value:.4f} ({low:.4f} to {high:.4f})"
        for ax, group in zip(axes, titles, strict=True):
            curve = by_group[group]
            at = curve["probability"] + shift
            mark, bars = large if ax is top else beside
            look = {"fmt": marker, "ls": ls, "color": colour, "label": label, **mark, **bars}
            intervals(ax, curve, at, "difference", upright=True, **look)
            bare = curve[curve["low"].isna()]
            hollow = {"mfc": "white", "color": colour, "zorder": 5, **mark}
            ax.plot(at[bare.index], bare["difference"], marker, **hollow)
            if ax is top:
                bottom.plot(at, curve["count"], color=colour, marker=marker, ls=ls, ms=3.5, lw=1)
    for ax, group in zip(axes, titles, strict=True):
        ax.axhline(0, color=GREY, lw=0.9, zorder=0)
        ax.grid(axis="y")
        ax.margins(y=0.16)
        ax.set_title(group, fontsize=9)
        lowest = ax is axes[-1] and ax is not top
        ax.tick_params(labelbottom=lowest, labelsize=8 if ax is top else 7)
        ax.set_xlabel("probability given" if lowest else "")
    top.set(ylabel="frequency minus probability\n95 % interval over chips", xlim=(-0.02, 1.02))
    words = {"fontsize": 7, "color": QUIET, "path_effects": [HALO]}
    in_axes(top, 0.02, 0.98, "more often than predicted", va="top", **words)
    in_axes(top, 0.02, 0.02, "less often than predicted", va="bottom", **words)
    hollow_key(top, f"fewer than {few} chips: no interval")
    legend(figure, [top], "fewer than", loc="outside upper left")
    bottom.set(yscale="log", xlabel="probability given", ylabel="predictions")
    bottom.grid(axis="y")
    return figure


@styled
def thresholds(system: pd.DataFrame, own: pd.DataFrame) -> Figure:
    """Thresholds chosen on each fold and on all chips: how much they depend on the chips.

    system, own  `studies.results.thresholds`: for the mean-over-chips F2, and for each label's own
                 F2; NaN stands at "never": the label is predicted for no chip
    """
    where = rows_of(system)
    names = [ENGLISH[tag] for tag in system["label"]]
    panels = (("For the mean over chips", system), ("For the label's own F2", own))
    chosen = [table.drop(columns="label").to_numpy(float) for _, table in panels]
    most = 1.12 * max(np.nanmax(values, initial=0.1) for values in chosen)
    ticks = [t for t in (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8) if t < most]
    # A strip for "never" beside a panel that has any; else all the width is for the thresholds.
    strips = [bool(np.isnan(values).any()) for values in chosen]
    ratios = [r for strip in strips for r in ((1, 0.2) if strip else (1,))]
    figure = Figure(figsize=(7.6, 5.2))
    axes = iter(figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios))
    for (title, table), strip in zip(panels, strips, strict=True):
        ax = next(axes)
        folds = table.filter(like="fold_").to_numpy(float)
        known = ~np.isnan(folds).all(1)
        reach = np.nanmin(folds[known], axis=1), np.nanmax(folds[known], axis=1)
        look = {"color": COLOURS["light"], "lw": 5, "alpha": 0.7}
        ax.hlines(where[known], *reach, label="range over the folds", **look)
        once = ["each fold"] + [None] * (folds.shape[1] - 1)
        ax.plot(folds, where, ".", color=COLOURS["original"], ms=4, label=once)
        ax.plot(table["all"], where, "|", color=COLOURS["bad"], ms=11, mew=2, label="all chips")
        root_scale(ax, ticks, [f"{t:g}" for t in ticks])
        ax.set(xlim=(0, most), title=title)
        label_rows(ax, where, names)
        if strip:
            _never(next(axes), where, folds, table["all"], names)
    figure.supxlabel("threshold (probability; square-root scale)", fontsize=9)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _never(ax: Axes, where: Array, folds: Array, complete: pd.Series, names: list[str]) -> None:
    """The strip of labels that are never predicted: in how many folds, and a line for all chips."""
    for y, row, chosen in zip(where, folds, complete, strict=True):
        if count := int(np.isnan(row).sum()):
            ax.text(0.38, y, f"{count} of {len(row)}", fontsize=6.5, color=TEXT, **CENTRED)
        if np.isnan(chosen):
            ax.plot(0.9, y, "|", color=COLOURS["bad"], ms=11, mew=2)
    label_rows(ax, where, names)
    ax.grid(visible=False)
    ax.set(xlim=(0, 1), xticks=[])
    ax.set_title("never given\n(folds)", fontsize=7.5, fontweight="normal")
