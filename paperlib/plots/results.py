"""Notebook 08: table 1, the overall score, precision and recall, reliability, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..labels import ENGLISH, GROUP
from . import COLOURS, ends, styled

Array = np.ndarray
PROTOCOL = {
    "paper": (COLOURS["published"], "s", "paper's protocol (same chips)"),
    "nested": (COLOURS["original"], "o", "nested"),
    "test": (COLOURS["good"], "D", "test chips"),
}
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
    figure = Figure(figsize=(6.8, 5.6))
    ax = figure.add_subplot()
    where = np.arange(len(table))[::-1]
    looks = (
        ("own_nested", COLOURS["original"], "o", 0.27, "own threshold, nested"),
        ("own_paper", COLOURS["good"], "s", 0.09, "own threshold, paper's protocol"),
        ("system_nested", COLOURS["dehazed"], "^", -0.09, "system's threshold, nested"),
    )
    for column, colour, marker, shift, name in looks:
        ax.errorbar(
            table[column],
            where + shift,
            xerr=ends(table, column, f"{column}_low", f"{column}_high"),
            fmt=marker,
            ms=4,
            color=colour,
            capsize=1.5,
            lw=1.1,
            label=name,
        )
    ax.plot(
        table["published"],
        where - 0.27,
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
    _rows(ax, where, names)
    ax.set(xlim=(-0.01, 1.0), xlabel="F2 of the label (and chips that carry it), 95 % interval")
    handles, labels = ax.get_legend_handles_labels()
    order = np.argsort([label.startswith("printed") for label in labels], kind="stable")
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order], loc="outside upper center", ncols=2
    )
    return figure


def _rows(ax: Axes, where: Array, names: Sequence[str]) -> None:
    """A row for each label, every second one shaded, so that several marks are read together."""
    ax.set_yticks(where, names)
    ax.set_ylim(-0.5, len(where) - 0.5)
    for y in where[::2]:
        ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


@styled
def overall(
    table: pd.DataFrame, published: float, constant: float, seeds: pd.DataFrame | None = None
) -> Figure:
    """Mean-over-chips F2 of each system on each protocol, with intervals.

    table      `families.Evaluation.overall`; without a column `networks` nothing is grouped
    published  the paper's headline;  constant  F2 of the best constant prediction on these chips
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
    # Nothing is chosen at a fixed threshold: the protocols say the same, which is drawn once.
    unfitted = table["system"].str.contains("threshold 0.2") & (table["protocol"] != "test")
    for number, protocol in enumerate(protocols):
        colour, marker, name = PROTOCOL[protocol]
        rows = table[(table["protocol"] == protocol) & ~(unfitted & (protocol == "paper"))]
        at = [place[s] + gap * ((len(protocols) - 1) / 2 - number) for s in rows["system"]]
        if protocol == "nested" and seeds is not None and seeds["seed"].nunique() > 1:
            row_of = dict(zip(rows["system"], at, strict=True))
            where = [row_of.get(s, np.nan) for s in seeds["system"]]
            ax.plot(
                seeds["f2"], where, "|", ms=8, mew=1.2, color=COLOURS["ink"], label="nested, seeds"
            )
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
    ax.axvline(published, color=COLOURS["bad"], lw=1.2, ls="--")
    ax.text(
        published,
        top,
        f"printed\n{published:.5f}",
        color=COLOURS["bad"],
        fontsize=7.5,
        ha="center",
        va="bottom",
    )
    span = max(table["high"].max(), published) - table["low"].min()
    low = table["low"].min() - 0.06 * span
    if constant > low:
        ax.axvline(constant, color="#999999", lw=1, ls=":")
        ax.text(
            constant,
            top,
            "best\nconstant",
            color="#777777",
            fontsize=7.5,
            ha="center",
            va="bottom",
        )
        low = min(low, constant)
    for y, text in headings.items():
        ax.text(
            0.0,
            y,
            text,
            fontsize=7.5,
            color="#666666",
            va="center",
            ha="left",
            transform=ax.get_yaxis_transform(),
        )
        ax.axhline(y + 0.28, color="#DDDDDD", lw=0.7)
    ax.set_yticks(list(place.values()), [_within(s, networks[s]) for s in place])
    ax.set(
        ylim=(bottom, top),
        xlabel="mean-over-chips F2, 95 % interval",
        xlim=(low, max(table["high"].max(), published) + 0.16 * span),
    )
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _within(system: str, networks: str) -> str:
    """A system's name without the title that already stands above its group."""
    if system == networks:
        return "one network"
    rest = system.removeprefix(f"{networks}, ")
    return rest if rest == system or rest.startswith("choice") else f"one network, {rest}"


@styled
def precision_recall(table: pd.DataFrame) -> Figure:
    """Precision and recall of each label, with intervals; a label that is never given has none.

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
        _rows(ax, where, names)
        ax.set(xlim=(-0.02, 1.02), title=column.capitalize())
    never = table["precision"].isna() & (table["chips"] > 0)
    for y in where[never.to_numpy()]:
        axes[0].text(0.0, y, "never given", va="center", fontsize=7.5, color="#777777")
    figure.supxlabel("share, 95 % interval", fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


@styled
def reliability(curves: Mapping[str, pd.DataFrame], errors: Mapping[str, float]) -> Figure:
    """How far the observed frequency is from the given probability, and how often each is given.

    curves  name -> `calibration.reliability`;  errors  name -> `calibration.calibration_error`
    """
    figure = Figure(figsize=(5.4, 4.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    top.axhline(0, color="#888888", lw=0.9)
    looks = (
        (COLOURS["original"], "o", "-"),
        (COLOURS["bad"], "s", "--"),
        (COLOURS["good"], "^", ":"),
    )
    for number, ((name, curve), (colour, marker, dashes)) in enumerate(
        zip(curves.items(), looks, strict=False)
    ):
        at = curve["probability"] + 0.006 * (number - (len(curves) - 1) / 2)
        top.errorbar(
            at,
            curve["difference"],
            yerr=ends(curve, "difference"),
            fmt=marker,
            ls=dashes,
            ms=4.5,
            lw=1.1,
            capsize=2,
            color=colour,
            label=f"{name}: mean distance {errors[name]:.4f}",
        )
        bottom.plot(at, curve["count"], marker=marker, ls=dashes, ms=3.5, lw=1, color=colour)
    top.set(ylabel="frequency less probability", xlim=(0, 1))
    top.grid(axis="y")
    top.margins(y=0.16)
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
    figure.legend(loc="outside upper left")
    bottom.set(yscale="log", xlabel="probability given", ylabel="predictions")
    bottom.grid(axis="y")
    return figure


@styled
def thresholds(system: pd.DataFrame, own: pd.DataFrame) -> Figure:
    """Thresholds chosen on each fold and on all chips: how much they depend on the chips.

    system, own  `summary.thresholds`: for the mean-over-chips F2, and for each label's own F2; NaN
                 stands at "never", where the label is given to no chip
    """
    figure = Figure(figsize=(7.4, 4.6))
    axes = figure.subplots(1, 2, sharey=True)
    where = np.arange(len(system))[::-1]
    panels = (("For the mean over chips", system), ("For the label's own F2", own))
    for ax, (title, table) in zip(axes, panels, strict=True):
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
        for fold in folds.T:
            ax.plot(fold, where, ".", color=COLOURS["original"], ms=4)
        ax.plot(table["all"], where, "|", color=COLOURS["bad"], ms=11, mew=2, label="all chips")
        for y, row, whole in zip(where, folds, table["all"], strict=True):
            if never := int(np.isnan(row).sum()):
                text = f"{never} of {len(row)} folds"
                ax.text(1.06, y, text, va="center", fontsize=6.5, color="#555555")
            if np.isnan(whole):
                ax.plot(1.45, y, "|", color=COLOURS["bad"], ms=11, mew=2)
        ax.axvline(1.02, color="#999999", lw=0.8, ls=":")
        ax.set(xlim=(0, 1.5), title=title)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1, 1.26], [0, 0.25, 0.5, 0.75, 1, "never given"])
        _rows(ax, where, [ENGLISH[tag] for tag in table["label"]])
    figure.supxlabel("threshold (probability)", fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
