"""Notebook 06: figures 6 and 7, the F2 with and without dehazing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..labels import ENGLISH
from . import COLOURS, ends, seeds_of, styled
from .flow import LOSS_NAMES

NEAR_ZERO = 0.02
LOOKS = {
    "original": (COLOURS["original"], "o"),
    "dehazed": (COLOURS["dehazed"], "s"),
    "choice per label": (COLOURS["good"], "D"),
}


@styled
def by_label(scores: pd.DataFrame, differences: pd.DataFrame, claimed: dict[str, int]) -> Figure:
    """Figure 6: binary F2 of each label with and without dehazing, and the paired difference.

    The difference's scale is linear within ±`NEAR_ZERO` and logarithmic outside: common labels
    differ by thousandths, rare ones by tenths.

    scores       columns `label`, `chips`, `system`, `f2`, `low`, `high`
    differences  columns `label`, `difference`, `low`, `high`: dehazed less original; and `seed 1`,
                 `seed 2`, … where more are kept
    claimed      label -> +1 or −1: what the paper says of it in words
    """
    labels = list(differences["label"])
    where = np.arange(len(labels))[::-1]
    figure = Figure(figsize=(7.6, 4.9))
    left, right, said = figure.subplots(1, 3, sharey=True, width_ratios=(1.25, 1.25, 0.14))
    systems = list(dict.fromkeys(scores["system"]))
    for number, system in enumerate(systems):
        colour, marker = LOOKS[system]
        rows = scores[scores["system"] == system]
        shift = 0.24 * ((len(systems) - 1) / 2 - number)
        left.errorbar(
            rows["f2"],
            where + shift,
            xerr=ends(rows),
            fmt=marker,
            ms=4,
            color=colour,
            capsize=2,
            lw=1.1,
            label=system,
        )
    if differences["difference"].isna().all():
        right.text(0, len(labels) / 2, "no pair of networks\nis kept", ha="center", fontsize=8)
    for column in differences.columns[differences.columns.str.startswith("seed ")]:
        right.plot(
            differences[column],
            where,
            "|",
            color=COLOURS["highlight"],
            ms=7,
            mew=1.3,
            zorder=1,
            label="other seeds" if column.endswith("1") else None,
        )
    clear = (differences["low"] > 0) | (differences["high"] < 0)
    for mask, face in ((clear, COLOURS["ink"]), (~clear, "white")):
        right.errorbar(
            differences["difference"][mask],
            where[mask.to_numpy()],
            xerr=ends(differences[mask], "difference"),
            fmt="o",
            ms=5,
            mfc=face,
            color=COLOURS["ink"],
            capsize=2,
            lw=1.1,
            label="interval without 0" if face != "white" else "interval with 0",
        )
    sizes = np.abs(differences.drop(columns="label").to_numpy(float))
    reach = np.nanmax(sizes, initial=0.01) * 1.12
    for label, sign in claimed.items():
        if label in labels:
            y = where[labels.index(label)]
            said.annotate(
                "",
                (sign, y),
                (-sign, y),
                arrowprops={"arrowstyle": "-|>", "color": COLOURS["bad"], "lw": 1.6},
            )
    said.set(xlim=(-1.5, 1.5), title="Paper")
    said.axis("off")
    right.plot([], [], color=COLOURS["bad"], marker=">", ls="-", label="the paper's claim")
    right.axvline(0, color="#888888", lw=0.8)
    counts = scores.drop_duplicates("label").set_index("label")["chips"]
    left.set_yticks(where, [f"{ENGLISH[tag]} ({counts[tag]:,})" for tag in labels])
    left.tick_params(axis="y", length=0)
    right.tick_params(axis="y", length=0)
    left.set(
        xlim=(0, 1.0),
        xlabel="F2 of the label at its own threshold\n(and chips that carry it)",
        title="With and without",
    )
    right.axvspan(-NEAR_ZERO, NEAR_ZERO, color="#EFEFEF", zorder=0)
    right.set_xscale("symlog", linthresh=NEAR_ZERO, linscale=1.0)
    marks = [m for m in (0.01, 0.05, 0.1, 0.2, 0.4) if m < max(reach, 0.06)]
    ticks = [-m for m in marks[::-1]] + [0] + marks
    right.set_xticks(ticks, [f"{t:+g}" if t else "0" for t in ticks], fontsize=7, rotation=60)
    right.set_xticks([], minor=True)
    right.set(xlim=(-reach, reach), xlabel="F2, dehazed less original", title="Difference")
    for ax in (left, right):
        ax.grid(axis="x")
    figure.get_layout_engine().set(wspace=0.05)
    figure.legend(loc="outside lower center", ncols=4, columnspacing=1.0, handletextpad=0.4)
    return figure


@styled
def overall(table: pd.DataFrame, seeds: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """Figure 7: the overall F2 with and without dehazing, and what it brings to each pair.

    table  columns `system`, `f2`, `low`, `high` (nested)
    seeds  columns `system`, `seed`, `f2`: a line for each seed, where several are kept
    pairs  `dehazing_effect.all_pairs`
    """
    groups = list(pairs.groupby(["networks", "loss"], sort=False)) if len(pairs) else []
    figure = Figure(figsize=(8.0, max(3.3, 1.3 + 0.36 * len(groups))))
    ax, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    at = np.arange(len(table))
    colours = [LOOKS[s][0] for s in table["system"]]
    halves = ends(table)
    for x, row, colour in zip(at, table.itertuples(), colours, strict=True):
        ax.errorbar(
            x,
            row.f2,
            yerr=halves[:, [x]],
            fmt=LOOKS[row.system][1],
            color=colour,
            ms=5,
            capsize=4,
            lw=1.5,
        )
        ax.annotate(
            f"{row.f2:.4f}",
            (x, row.f2),
            (9, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
        several = seeds[seeds["system"] == row.system]
        if len(several) > 1:
            ax.plot(
                np.full(len(several), x - 0.18),
                several["f2"],
                "_",
                ms=12,
                mew=1.4,
                color=COLOURS["ink"],
                label="single seeds" if x == 0 else None,
            )
    low = min(table["low"].min(), seeds["f2"].min() if len(seeds) else 1)
    span = table["high"].max() - low
    ax.set(
        ylim=(low - 0.12 * span, table["high"].max() + 0.12 * span),
        ylabel="mean-over-chips F2, 95 % interval",
        title="Log loss, first seed",
    )
    ax.set_xlim(-0.6, max(len(table), 3) - 0.4)
    ax.set_xticks(at, [s.replace("choice per label", "choice\nper label") for s in table["system"]])
    ax.grid(axis="y")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower right")
    _pairs(right, groups)
    return figure


def _pairs(ax: Axes, groups: Sequence[tuple[tuple[str, str], pd.DataFrame]]) -> None:
    """A row for each design and loss, a point with its interval for each seed."""
    ax.axvline(0, color="#888888", lw=0.8)
    names = []
    for number, ((networks, loss), rows) in enumerate(groups):
        y = len(groups) - 1 - number
        new = not number or groups[number - 1][0][0] != networks
        names.append(LOSS_NAMES.get(loss, loss))
        seeds_of(ax, rows, y, 0.22, COLOURS["dehazed"])
        if new:
            ax.axhline(y + 0.5, color="#DDDDDD", lw=0.8)
            ax.text(
                1.0,
                y + 0.47,
                networks,
                fontsize=7,
                color="#666666",
                ha="right",
                va="top",
                transform=ax.get_yaxis_transform(),
            )
    if not groups:
        ax.text(0, 0, "no pair of networks is kept", ha="center", fontsize=8)
    ax.set_yticks(range(len(groups))[::-1], names)
    ax.set(
        ylim=(-0.6, max(len(groups), 1) - 0.4),
        xlabel="mean-over-chips F2, dehazed less original",
        title="Every pair, every seed",
    )
    ax.margins(x=0.12)
    ax.locator_params(axis="x", nbins=5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


@styled
def by_weather(table: pd.DataFrame) -> Figure:
    """What dehazing brings to the labels of the ground in each kind of weather.

    table  `dehazing_effect.by_weather`
    """
    figure = Figure(figsize=(5.6, 2.4))
    ax = figure.add_subplot()
    where = np.arange(len(table))[::-1]
    ax.axvline(0, color="#888888", lw=0.8)
    ax.barh(where, table["difference"], 0.55, color=COLOURS["dehazed"], alpha=0.4)
    ax.errorbar(
        table["difference"],
        where,
        xerr=ends(table, "difference"),
        fmt="o",
        ms=4.5,
        color=COLOURS["ink"],
        capsize=3,
        lw=1.2,
    )
    if table.empty:
        ax.text(0, 0, "no pair of networks is kept", ha="center", fontsize=8)
    names = [f"{ENGLISH[r.weather]} ({r.chips:,})" for r in table.itertuples()]
    ax.set_yticks(where, names)
    ax.set(
        ylim=(-0.6, max(len(table), 1) - 0.4),
        xlabel="F2 of the 13 labels of the ground, dehazed less original",
        title="By weather (chips)",
    )
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    return figure


@styled
def order_of_steps(table: pd.DataFrame, size: int) -> Figure:
    """How far dehazing before shrinking is from dehazing after it, against what dehazing does.

    table  `dehazing_effect.order_on_chips`;  size  pixels after shrinking
    """
    figure = Figure(figsize=(4.6, 4.3))
    ax = figure.add_subplot()
    most = float(table[["between", "effect"]].max().max()) * 1.08
    ax.plot([0, most], [0, most], color="#AAAAAA", lw=1)
    looks = ((COLOURS["bad"], "D"), (COLOURS["original"], "o"))
    sources = list(dict.fromkeys(table["source"]))
    for source, (colour, marker) in zip(sources, looks[-len(sources) :], strict=True):
        rows = table[table["source"] == source]
        ax.plot(
            rows["effect"],
            rows["between"],
            marker,
            ms=3.5,
            color=colour,
            alpha=0.6,
            label=f"{len(rows)} {source}",
        )
    ax.text(
        most * 0.83,
        most * 0.93,
        "as far apart as\ndehazing itself moves",
        ha="right",
        va="top",
        fontsize=7.5,
        color="#777777",
    )
    ax.set(
        xlim=(0, most),
        ylim=(0, most),
        aspect="equal",
        xlabel="change by dehazing at 256 pixels\n(RMS, grey levels)",
        ylabel=f"dehazed before – after shrinking to {size}\n(RMS, grey levels)",
    )
    figure.legend(loc="outside upper center", ncols=2)
    return figure
