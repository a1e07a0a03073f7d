"""Notebook 06: F2 with and without dehazing, by label, overall and by weather (figures 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import COLOURS, styled
from .shared import (
    CHIPS_OF_LABEL,
    GREY,
    HALO,
    LOSS_NAMES,
    LOSS_STYLE,
    QUIET,
    TEXT,
    hollow_key,
    in_rows,
    intervals,
    label_rows,
    legend,
    name_rows,
    note,
    offsets,
    padded,
    panel,
    rows_header,
    rows_of,
    seed_lines,
    seeds_of,
    shade_rows,
    with_counts,
)

NEAR_ZERO = 0.02
LOOKS = {
    "original": (COLOURS["original"], "o"),
    "dehazed": (COLOURS["dehazed"], "s"),
    "choice per label": (COLOURS["good"], "D"),
}
PAIRED = "95 % interval over chips, paired, nested"


@styled
def by_label(
    scores: pd.DataFrame, differences: pd.DataFrame, claimed: dict[str, int], networks: str
) -> Figure:
    """Figure 6: binary F2 of each label with and without dehazing, and the paired difference.

    The difference's scale is linear within ±`NEAR_ZERO` and logarithmic outside: common labels
    differ by thousandths, rare ones by tenths.

    scores       columns `label`, `chips`, `system`, `f2`, `low`, `high`
    differences  columns `label`, `difference`, `low`, `high`: dehazed minus original; and `seed 1`,
                 `seed 2`, … where more are saved (`families.seed_reference` names whose)
    claimed      label -> +1 or −1: the paper's claim in words
    networks     what is drawn: design and loss
    """
    labels = list(differences["label"])
    where = rows_of(labels)
    figure = Figure(figsize=(7.8, 6.8))
    left, right, paper = figure.subplots(1, 3, sharey=True, width_ratios=(1.25, 1.25, 0.14))
    systems = list(dict.fromkeys(scores["system"]))
    for system, shift in zip(systems, offsets(len(systems), 0.28), strict=True):
        colour, marker = LOOKS[system]
        rows = scores[scores["system"] == system]
        nothing = (rows["f2"] == 0).to_numpy()  # every draw is 0 too: that is no interval
        hollow = {"ms": 4, "mfc": "white", "color": colour}
        left.plot(rows["f2"][nothing], where[nothing] + shift, marker, **hollow)
        look = {"ms": 3.2, "color": colour, "capsize": 1.5, "capthick": 0.9, "lw": 1.1}
        at = where[~nothing] + shift
        intervals(left, rows[~nothing], at, fmt=marker, label=system, **look)
    if (scores["f2"] == 0).any():
        hollow_key(left, "no hit, no interval")
    if differences["difference"].isna().all():
        right.text(0, len(labels) / 2, "no pair of networks\nis saved", ha="center", fontsize=8)
    named = set()
    for column in differences.columns[differences.columns.str.startswith("seed ")]:
        _, _, whose = column.partition(" of ")
        name = f"seeds of {whose}" if whose else "other seeds"
        look = {"ms": 10, "mew": 1.6, "zorder": 1, "label": None if name in named else name}
        seed_lines(right, differences[column], where, **look)
        named.add(name)
    clear = ((differences["low"] > 0) | (differences["high"] < 0)).to_numpy()
    for mask, face, name in (
        (clear, COLOURS["ink"], "interval without 0"),
        (~clear, "white", "interval with 0"),
    ):
        look = {"fmt": "o", "ms": 5, "mfc": face, "color": COLOURS["ink"], "capsize": 2, "lw": 1.1}
        intervals(right, differences[mask], where[mask], "difference", label=name, **look)
    for label, sign in claimed.items():
        if label in labels:
            y = where[labels.index(label)]
            paper.annotate(
                "",
                (sign, y),
                (-sign, y),
                arrowprops={"arrowstyle": "-|>", "color": COLOURS["bad"], "lw": 1.6},
            )
    paper.set(xlim=(-1.5, 1.5), title="Paper")
    paper.axis("off")
    right.plot([], [], color=COLOURS["bad"], marker=">", ls="-", label="the paper's claim")
    right.axvline(0, color=GREY, lw=0.8)
    right.axvspan(-NEAR_ZERO, NEAR_ZERO, color="#E6E6E6", zorder=0.5)
    counts = scores.drop_duplicates("label").set_index("label")["chips"]
    for ax in (left, right):
        label_rows(ax, where, with_counts(labels, counts[labels]))
    rows_header(left, CHIPS_OF_LABEL)
    of = "F2 of the label at its own threshold\n95 % interval over chips, nested"
    left.set(xlim=(-0.02, 1.02), xlabel=of, title="With and without")
    sizes = np.abs(differences.drop(columns="label").to_numpy(float))
    _difference_scale(right, np.nanmax(sizes, initial=0.01) * 1.12)
    scale = "linear in the grey band, logarithmic outside"
    right.set(xlabel=f"F2, dehazed minus original\n{PAIRED}\n{scale}", title="Difference")
    figure.get_layout_engine().set(wspace=0.05)
    figure.suptitle(networks, fontsize=8.5, color=TEXT)
    how = {"ncols": 4, "columnspacing": 1.0, "handletextpad": 0.4}
    last = ("no hit", "other seeds", "seeds of", "the paper's")
    legend(figure, (left, right), *last, loc="outside lower center", **how)
    return figure


def _difference_scale(ax: Axes, reach: float) -> None:
    """From −`reach` to `reach`, linear within ±`NEAR_ZERO` and logarithmic outside."""
    ax.set_xscale("symlog", linthresh=NEAR_ZERO, linscale=1.0)
    marks = [m for m in (0.01, NEAR_ZERO, 0.05, 0.1, 0.2, 0.4) if m < max(reach, 0.06)]
    ticks = [-m for m in marks[::-1]] + [0] + marks
    names = [f"{t:+g}".replace("-", "−") if t else "0" for t in ticks]
    ax.set_xticks(ticks, names, fontsize=7, rotation=90)
    ax.set_xticks([], minor=True)
    ax.set_xlim(-reach, reach)


@styled
def overall(table: pd.DataFrame, seeds: pd.DataFrame, pairs: pd.DataFrame, networks: str) -> Figure:
    """Figure 7: the overall F2 with and without dehazing, and what it brings to each pair.

    table     columns `system`, `f2`, `low`, `high` (nested)
    seeds     columns `system`, `networks`, `seed`, `f2`: a line for each seed, where more than
              one is saved, of any network
    pairs     `dehazing.all_pairs`
    networks  title of the family that is drawn on the left
    """
    groups = list(pairs.groupby(["networks", "loss"], sort=False)) if len(pairs) else []
    families = pairs["networks"].nunique() if len(pairs) else 0
    figure = Figure(figsize=(8.2, max(3.4, 1.35 + 0.4 * len(groups) + 0.3 * families)))
    ax, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    at = range(len(table))
    for x, system in zip(at, table["system"], strict=True):
        row, (colour, marker) = table.iloc[[x]], LOOKS[system]
        look = {"fmt": marker, "color": colour, "ms": 5, "capsize": 4, "lw": 1.5}
        intervals(ax, row, x, upright=True, **look)
        value = row["f2"].item()
        note(ax, (x, value), f"{value:.4f}", (9, 0), fontsize=8)
        for whose, rows in seeds[seeds["system"] == system].groupby("networks"):
            if len(rows) < 2:
                continue
            own = whose == networks
            name = "each seed" if own else f"seeds of {whose}"
            line = np.full(len(rows), x - (0.2 if own else 0))
            look = {"ms": 12, "mew": 1.4, "label": None if x else name}
            seed_lines(ax, line, rows["f2"], "_", **look)
    low = min(table["low"].min(), seeds["f2"].min() if len(seeds) else 1)
    ax.set_ylim(padded(low, table["high"].max(), 0.12, 0.12))
    ax.set_ylabel("mean-over-chips F2\n95 % interval over chips, nested")
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
    ax.axvline(0, color=GREY, lw=0.8)
    places, names, y, last = [], [], 0.0, None
    for (networks, loss), rows in groups:
        if networks != last:
            y -= 0.75 if last is None else 0.4
            ax.axhline(y + 0.42, color="#DDDDDD", lw=0.8)
            patch = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            in_rows(ax, -0.27, y, networks, fontsize=7.5, color=TEXT, va="center", bbox=patch)
            last = networks
            y -= 0.75
        places.append(y)
        names.append(LOSS_NAMES.get(loss, loss))
        at = seeds_of(ax, rows, y, 0.24, COLOURS["dehazed"])
        if len(rows) > 1:
            for seed, place, high in zip(rows["seed"], at, rows["high"], strict=True):
                note(
                    ax,
                    (high, place),
                    f"seed {seed}",
                    (4, 0),
                    fontsize=6.5,
                    color=TEXT,
                    path_effects=[HALO],
                )
        y -= 1.0
    if not groups:
        ax.text(0, 0, "no pair of networks is saved", ha="center", fontsize=8)
    name_rows(ax, places, names)
    ax.set_ylim(min(y + 0.4, -0.6), 0.0 if groups else 0.6)
    ax.set_xlabel(f"mean-over-chips F2, dehazed minus original\n{PAIRED}")
    ax.set_title("Every pair, every seed", fontsize=9)
    ax.spines["left"].set_visible(False)
    ax.margins(x=0.14)
    ax.locator_params(axis="x", nbins=5)


@styled
def by_weather(table: pd.DataFrame, networks: str) -> Figure:
    """What dehazing brings to the labels of the ground in each kind of weather.

    The log loss first and full, the other losses below it, hollow; other seeds are short lines.

    table     `dehazing.by_weather`
    networks  title of the family that is drawn in full
    """
    chips = table.drop_duplicates("weather").set_index("weather")["chips"]
    losses = list(dict.fromkeys(table["loss"]))
    figure, ax = panel(6.4, 1.7 + 0.8 * max(len(chips), 1))
    where = rows_of(chips)
    row_of = dict(zip(chips.index, where, strict=True))
    ax.axvline(0, color=GREY, lw=0.8)
    own = table[table["networks"] == networks]
    first = own[own["seed"] == own["seed"].iloc[0]] if len(own) else own
    for loss, shift in zip(losses, offsets(len(losses), 0.25), strict=True):
        colour, marker, _ = LOSS_STYLE[loss]
        full = loss == losses[0]
        size = {"ms": 6, "mfc": colour, "capsize": 3, "lw": 1.7}
        size = size if full else {"ms": 4.5, "mfc": "white", "capsize": 2, "lw": 1.0}
        rows = first[first["loss"] == loss]
        at = rows["weather"].map(row_of) + shift
        look = {"fmt": marker, "color": colour, "label": LOSS_NAMES[loss], **size}
        intervals(ax, rows, at, "difference", **look)
        others = table[(table["loss"] == loss) & ~table.index.isin(first.index)]
        whose = others["networks"].iloc[0] if len(others) else ""
        name = "other seeds" if whose == networks else f"seeds of {whose}"
        look = {"ms": 8, "mew": 1.5, "zorder": 4, "label": name if whose and full else None}
        seed_lines(ax, others["difference"], others["weather"].map(row_of) + shift, **look)
    if table.empty:
        ax.text(0, 0, "no pair of networks is saved", ha="center", fontsize=8)
    name_rows(ax, where, with_counts(chips.index, chips))
    shade_rows(ax, where)
    ax.set_ylim(-0.55, max(len(chips), 1) - 0.45)
    ax.set_xlabel(
        "F2 of the 13 labels of the ground, dehazed minus original\n"
        "mean over chips with their 95 % interval, paired, nested"
    )
    ax.set_title(f"By weather (chips with a label of the ground): {networks}", fontsize=9)
    last = ("other seeds", "seeds of")
    legend(figure, [ax], *last, loc="outside lower center", ncols=4, columnspacing=1.2)
    return figure


@styled
def order_of_steps(table: pd.DataFrame, size: int) -> Figure:
    """How far dehazing before shrinking is from dehazing after it, against what dehazing does.

    table  `dehazing.order_on_chips`;  size  pixels after shrinking
    """
    figure, ax = panel(5.6, 3.6)
    most = float(table["effect"].max()) * 1.04
    tall = max(30.0, float(table["between"].max()) * 1.08)  # grey levels
    ax.plot([0, tall], [0, tall], color="#AAAAAA", lw=1)
    looks = ((COLOURS["bad"], "D"), (COLOURS["original"], "o"))
    sources = list(dict.fromkeys(table["source"]))
    for source, (colour, marker) in zip(sources, looks[-len(sources) :], strict=True):
        rows = table[table["source"] == source]
        look = {"ms": 3.5, "color": colour, "alpha": 0.6, "mec": "none"}
        ax.plot(rows["effect"], rows["between"], marker, label=f"{len(rows)} {source}", **look)
    diagonal = "difference =\nchange by dehazing"
    note(ax, (tall * 0.93, tall * 0.93), diagonal, (8, 0), fontsize=7.5, color=QUIET)
    ax.set(xlim=(0, most), ylim=(0, tall))
    ax.set_xlabel("change by dehazing at 256 px (RMS, grey levels 0–255)")
    ax.set_ylabel(f"dehazed then shrunk against shrunk\nthen dehazed, {size} px (RMS, 0–255)")
    ax.grid()
    figure.legend(loc="outside upper center", ncols=2)
    return figure
