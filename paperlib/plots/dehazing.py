"""Notebook 06: figures 6 and 7, the F2 with and without dehazing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..labels import ENGLISH
from . import COLOURS, styled
from .shared import LOSS_NAMES, LOSS_STYLE, ends, legend, rows_header, seeds_of

NEAR_ZERO = 0.02
LOOKS = {
    "original": (COLOURS["original"], "o"),
    "dehazed": (COLOURS["dehazed"], "s"),
    "choice per label": (COLOURS["good"], "D"),
}


@styled
def by_label(
    scores: pd.DataFrame, differences: pd.DataFrame, claimed: dict[str, int], networks: str
) -> Figure:
    """Figure 6: binary F2 of each label with and without dehazing, and the paired difference.

    The difference's scale is linear within ±`NEAR_ZERO` and logarithmic outside: common labels
    differ by thousandths, rare ones by tenths.

    scores       columns `label`, `chips`, `system`, `f2`, `low`, `high`
    differences  columns `label`, `difference`, `low`, `high`: dehazed less original; and `seed 1`,
                 `seed 2`, … where more are kept (`families.spread` says whose)
    claimed      label -> +1 or −1: what the paper says of it in words
    networks     what is drawn: design and loss
    """
    labels = list(differences["label"])
    where = np.arange(len(labels))[::-1]
    figure = Figure(figsize=(7.8, 6.8))
    left, right, said = figure.subplots(1, 3, sharey=True, width_ratios=(1.25, 1.25, 0.14))
    systems = list(dict.fromkeys(scores["system"]))
    for number, system in enumerate(systems):
        colour, marker = LOOKS[system]
        rows = scores[scores["system"] == system]
        shift = 0.28 * ((len(systems) - 1) / 2 - number)
        nothing = (rows["f2"] == 0).to_numpy()  # every draw is 0 too: that is no interval
        hollow = {"ms": 4, "mfc": "white", "color": colour}
        left.plot(rows["f2"][nothing], where[nothing] + shift, marker, **hollow)
        left.errorbar(
            rows["f2"][~nothing],
            where[~nothing] + shift,
            xerr=ends(rows[~nothing]),
            fmt=marker,
            ms=3.2,
            color=colour,
            capsize=1.5,
            capthick=0.9,
            lw=1.1,
            label=system,
        )
    if (scores["f2"] == 0).any():
        left.plot([], [], "o", ms=4, mfc="white", color=COLOURS["ink"], label="no hit, no interval")
    if differences["difference"].isna().all():
        right.text(0, len(labels) / 2, "no pair of networks\nis kept", ha="center", fontsize=8)
    named = set()
    for column in differences.columns[differences.columns.str.startswith("seed ")]:
        _, _, whose = column.partition(" of ")
        name = f"seeds of {whose}" if whose else "other seeds"
        right.plot(
            differences[column],
            where,
            "|",
            color=COLOURS["highlight"],
            ms=10,
            mew=1.6,
            zorder=1,
            label=None if name in named else name,
        )
        named.add(name)
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
    left.set_ylim(-0.5, len(labels) - 0.5)
    rows_header(left, "label (chips that carry it)")
    left.set(
        xlim=(-0.02, 1.02),
        xlabel="F2 of the label at its own threshold\n95 % interval over chips, nested",
        title="With and without",
    )
    right.axvspan(-NEAR_ZERO, NEAR_ZERO, color="#E6E6E6", zorder=0.5)
    right.set_xscale("symlog", linthresh=NEAR_ZERO, linscale=1.0)
    marks = [m for m in (0.01, NEAR_ZERO, 0.05, 0.1, 0.2, 0.4) if m < max(reach, 0.06)]
    ticks = [-m for m in marks[::-1]] + [0] + marks
    right.set_xticks(ticks, [_signed(t) for t in ticks], fontsize=7, rotation=90)
    right.set_xticks([], minor=True)
    right.set(
        xlim=(-reach, reach),
        xlabel="F2, dehazed less original\n95 % interval over chips, paired, nested",
        title="Difference",
    )
    for ax in (left, right):
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        for y in where[::2]:
            ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0)
    figure.get_layout_engine().set(wspace=0.05)
    figure.suptitle(networks, fontsize=8.5, color="#555555")
    how = {"ncols": 4, "columnspacing": 1.0, "handletextpad": 0.4}
    last = ("no hit", "other seeds", "seeds of", "the paper's")
    legend(figure, (left, right), *last, loc="outside lower center", **how)
    return figure


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", "−") if value else "0"


@styled
def overall(table: pd.DataFrame, seeds: pd.DataFrame, pairs: pd.DataFrame, networks: str) -> Figure:
    """Figure 7: the overall F2 with and without dehazing, and what it brings to each pair.

    table     columns `system`, `f2`, `low`, `high` (nested)
    seeds     columns `system`, `networks`, `seed`, `f2`: a line for each seed, where several are
              kept, whatever network's they are
    pairs     `dehazing.all_pairs`
    networks  title of the family that is drawn on the left
    """
    groups = list(pairs.groupby(["networks", "loss"], sort=False)) if len(pairs) else []
    families = pairs["networks"].nunique() if len(pairs) else 0
    figure = Figure(figsize=(8.2, max(3.4, 1.35 + 0.4 * len(groups) + 0.3 * families)))
    ax, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
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
        for whose, several in seeds[seeds["system"] == row.system].groupby("networks"):
            if len(several) < 2:
                continue
            own = whose == networks
            ax.plot(
                np.full(len(several), x - (0.2 if own else 0)),
                several["f2"],
                "_",
                ms=12,
                mew=1.4,
                color=COLOURS["highlight"],
                label=("each seed" if own else f"seeds of {whose}") if x == 0 else None,
            )
    low = min(table["low"].min(), seeds["f2"].min() if len(seeds) else 1)
    span = table["high"].max() - low
    ax.set(
        ylim=(low - 0.12 * span, table["high"].max() + 0.12 * span),
        ylabel="mean-over-chips F2\n95 % interval over chips, nested",
    )
    ax.set_title(f"{networks}\nlog loss, first seed", fontsize=9)
    ax.set_xlim(-0.6, max(len(table), 3) - 0.4)
    ax.set_xticks(at, [s.replace("choice per label", "choice\nper label") for s in table["system"]])
    ax.grid(axis="y")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    _pairs(right, groups)
    return figure


def _pairs(ax: Axes, groups: Sequence[tuple[tuple[str, str], pd.DataFrame]]) -> None:
    """A row for each design and loss under the design's name, a point for each seed."""
    ax.axvline(0, color="#888888", lw=0.8)
    places, names, y, last = [], [], 0.0, None
    for (networks, loss), rows in groups:
        if networks != last:
            y -= 0.75 if last is None else 0.4
            ax.axhline(y + 0.42, color="#DDDDDD", lw=0.8)
            ax.text(
                -0.27,
                y,
                networks,
                fontsize=7.5,
                color="#555555",
                va="center",
                transform=ax.get_yaxis_transform(),
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )
            last = networks
            y -= 0.75
        places.append(y)
        names.append(LOSS_NAMES.get(loss, loss))
        at = seeds_of(ax, rows, y, 0.24, COLOURS["dehazed"])
        if len(rows) > 1:
            for seed, place, high in zip(rows["seed"], at, rows["high"], strict=True):
                ax.annotate(
                    f"seed {seed}", (high, place), (4, 0), textcoords="offset points",
                    fontsize=6, va="center", color="#555555",
                )  # fmt: skip
        y -= 1.0
    if not groups:
        ax.text(0, 0, "no pair of networks is kept", ha="center", fontsize=8)
    ax.set_yticks(places, names)
    ax.set(
        ylim=(min(y + 0.4, -0.6), 0.0 if groups else 0.6),
        xlabel="mean-over-chips F2, dehazed less original\n"
        "95 % interval over chips, paired, nested",
    )
    ax.set_title("Every pair, every seed", fontsize=9)
    ax.spines["left"].set_visible(False)
    ax.margins(x=0.14)
    ax.locator_params(axis="x", nbins=5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


@styled
def by_weather(table: pd.DataFrame, networks: str) -> Figure:
    """What dehazing brings to the labels of the ground in each kind of weather.

    The log loss first and full, the other losses below it, hollow; other seeds are short lines.

    table     `dehazing.by_weather`
    networks  title of the family that is drawn in full
    """
    weather = list(dict.fromkeys(table["weather"]))
    losses = list(dict.fromkeys(table["loss"]))
    figure = Figure(figsize=(6.4, 1.7 + 0.8 * max(len(weather), 1)))
    ax = figure.add_subplot()
    where = np.arange(len(weather))[::-1]
    ax.axvline(0, color="#888888", lw=0.8)
    own = table[table["networks"] == networks]
    first = own[own["seed"] == own["seed"].iloc[0]] if len(own) else own
    for number, loss in enumerate(losses):
        colour, marker, _ = LOSS_STYLE[loss]
        shift = 0.25 * ((len(losses) - 1) / 2 - number)
        full = loss == losses[0]
        rows = first[first["loss"] == loss]
        ax.errorbar(
            rows["difference"],
            [where[weather.index(tag)] + shift for tag in rows["weather"]],
            xerr=ends(rows, "difference"),
            fmt=marker,
            ms=6 if full else 4.5,
            color=colour,
            mfc=colour if full else "white",
            capsize=3 if full else 2,
            lw=1.7 if full else 1.0,
            label=LOSS_NAMES[loss],
        )
        others = table[(table["loss"] == loss) & ~table.index.isin(first.index)]
        whose = others["networks"].iloc[0] if len(others) else ""
        name = "other seeds" if whose == networks else f"seeds of {whose}"
        ax.plot(
            others["difference"],
            [where[weather.index(tag)] + shift for tag in others["weather"]],
            "|",
            ms=8,
            mew=1.5,
            color=COLOURS["highlight"],
            zorder=4,
            label=name if whose and full else None,
        )
    if table.empty:
        ax.text(0, 0, "no pair of networks is kept", ha="center", fontsize=8)
    chips = table.drop_duplicates("weather")["chips"]
    names = [f"{ENGLISH[tag]} ({n:,})" for tag, n in zip(weather, chips, strict=True)]
    ax.set_yticks(where, names)
    ax.set(
        ylim=(-0.55, max(len(weather), 1) - 0.45),
        xlabel="F2 of the 13 labels of the ground, dehazed less original\n"
        "mean over chips with their 95 % interval, paired, nested",
    )
    ax.set_title(f"By weather (chips): {networks}", fontsize=9)
    for y in where[::2]:
        ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    last = ("other seeds", "seeds of")
    legend(figure, [ax], *last, loc="outside lower center", ncols=4, columnspacing=1.2)
    return figure


@styled
def order_of_steps(table: pd.DataFrame, size: int) -> Figure:
    """How far dehazing before shrinking is from dehazing after it, against what dehazing does.

    table  `dehazing.order_on_chips`;  size  pixels after shrinking
    """
    figure = Figure(figsize=(5.6, 3.6))
    ax = figure.add_subplot()
    most = float(table["effect"].max()) * 1.04
    tall = max(30.0, float(table["between"].max()) * 1.08)  # grey levels
    ax.plot([0, tall], [0, tall], color="#AAAAAA", lw=1)
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
            mec="none",
            label=f"{len(rows)} {source}",
        )
    ax.annotate(
        "as far apart as\ndehazing itself moves", (tall * 0.93, tall * 0.93), (8, 0),
        textcoords="offset points", va="center", fontsize=7.5, color="#777777",
    )  # fmt: skip
    ax.set(
        xlim=(0, most),
        ylim=(0, tall),
        xlabel="change by dehazing at 256 px (RMS, grey levels 0–255)",
        ylabel=f"difference between the two\norders, {size} px (RMS, grey levels 0–255)",
    )
    ax.grid()
    figure.legend(loc="outside upper center", ncols=2)
    return figure
