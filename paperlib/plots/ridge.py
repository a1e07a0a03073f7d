"""Notebook 07: figure 8, the labels' correlations, and what the ridge weights say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ..labels import ENGLISH
from . import COLOURS, styled
from .shared import PROTOCOL, ends, seeds_of

Array = np.ndarray
#: Blue to orange through white: told apart without red and green.
DIVERGING = "PuOr_r"


@styled
def overall(
    table: pd.DataFrame,
    differences: pd.DataFrame,
    against_lasso: pd.DataFrame | None = None,
    seeds: pd.DataFrame | None = None,
    title: str = "",
) -> Figure:
    """Figure 8: the overall F2 with no, lasso and ridge recalibration, and the differences.

    table          `tables.overall` of the three systems, in the order to draw
    differences    columns `system`, `protocol`, `difference`, `low`, `high`, against none
    against_lasso  the same of ridge against lasso: the paper's claim
    seeds          rows of `tables.recalibration_gains`: a line for each seed, nested
    title          design of the networks, and how many candidates there are
    """
    figure = Figure(figsize=(7.8, 3.7))
    left, right = figure.subplots(1, 2)
    protocols = [p for p in PROTOCOL if (table["protocol"] == p).any()]
    parts = [(differences, "none")]
    if against_lasso is not None:
        parts.append((against_lasso, "lasso"))
    together = pd.concat(
        [part.assign(pair=part["system"] + f" less {base}") for part, base in parts]
    )
    panels = (
        (left, table, "system", "f2", "{:.4f}"),
        (right, together, "pair", "difference", "{:+.4f}"),
    )
    gap = 0.62 / len(protocols)
    for ax, frame, key, value, form in panels:
        rows = list(dict.fromkeys(frame[key]))[::-1]
        for number, protocol in enumerate(protocols):
            colour, marker, name = PROTOCOL[protocol]
            mine = frame[frame["protocol"] == protocol]
            at = np.array([rows.index(r) for r in mine[key]], float)
            at += gap * ((len(protocols) - 1) / 2 - number)
            ax.errorbar(
                mine[value], at, xerr=ends(mine, value), fmt=marker, color=colour, ms=5,
                capsize=3, lw=1.3, label=name,
            )  # fmt: skip
            right_of = mine["high"].to_numpy()
            if ax is right and protocol == "nested" and seeds is not None:
                most = seeds.groupby("comparison")["difference"].max()
                right_of = np.fmax(right_of, most.reindex(mine[key]).to_numpy())
            for x, y, number_ in zip(right_of, at, mine[value], strict=True):
                text = form.format(number_).replace("-", "−")
                ax.annotate(
                    text, (x, y), (5, 0), textcoords="offset points", fontsize=6.5,
                    color=colour, va="center",
                )  # fmt: skip
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(-0.55, len(rows) - 0.45)
        low, high = frame["low"].min(), frame["high"].max()
        if ax is right:
            ax.axvline(0, color=COLOURS["ink"], lw=0.8)
            low, high = min(low, 0), max(high, 0)
            for networks, mine in seeds.groupby("networks") if seeds is not None else ():
                of = "" if title.startswith(networks) else f" of {networks}"
                mine = mine[mine["comparison"].isin(rows)]
                at = np.array([rows.index(r) for r in mine["comparison"]], float)
                at += gap * ((len(protocols) - 1) / 2 - protocols.index("nested"))
                ax.plot(
                    mine["difference"], at, "|", ms=12, mew=1.5, zorder=1,
                    color=COLOURS["highlight"],
                    label=f"nested, each seed{of}",
                )  # fmt: skip
                low, high = min(low, mine["difference"].min()), max(high, mine["difference"].max())
        ax.set_xlim(low - 0.06 * (high - low), high + 0.22 * (high - low))
        ax.locator_params(axis="x", nbins=5)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
    interval = "95 % interval over chips"
    left.set(xlabel=f"mean-over-chips F2\n{interval}", title="Overall F2")
    right.set(xlabel=f"mean-over-chips F2, difference\n{interval}, paired", title="What it changes")
    figure.suptitle(title, fontsize=8.5, color="#555555")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def gains(table: pd.DataFrame) -> Figure:
    """What recalibration brings to each family of networks, a point for each seed.

    table  `tables.recalibration_gains`
    """
    families = list(dict.fromkeys(table["networks"]))
    comparisons = list(dict.fromkeys(table["comparison"]))
    figure = Figure(figsize=(8.0, 1.1 + 0.5 * len(families)))
    axes = np.atleast_1d(figure.subplots(1, len(comparisons), sharey=True, sharex=True))
    for ax, comparison in zip(axes, comparisons, strict=True):
        ax.axvline(0, color="#888888", lw=0.8)
        for y, networks in enumerate(families[::-1]):
            rows = table[(table["networks"] == networks) & (table["comparison"] == comparison)]
            seeds_of(ax, rows, y, 0.2, COLOURS["original"])
        ax.set_title(comparison)
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.locator_params(axis="x", nbins=4)
    count = table.groupby("networks")["candidates"].max()
    axes[0].set_yticks(
        range(len(families)),
        [f"{name}\n({count[name]} to choose from)" for name in families[::-1]],
        fontsize=7,
    )
    axes[0].set_ylim(-0.6, len(families) - 0.4)
    figure.supxlabel(
        "difference of the mean-over-chips F2, nested, 95 % interval over chips, paired", fontsize=9
    )
    return figure


@styled
def correlations(matrices: Mapping[str, Array], labels: Sequence[str]) -> Figure:
    """Correlation of the labels with each other: truth, network, after recalibration.

    matrices  panel's title -> `(L, L)`, NaN (grey) for a label that hardly changes
    """
    figure = Figure(figsize=(3.1 * len(matrices) + 0.8, 3.7))
    axes = np.atleast_1d(figure.subplots(1, len(matrices), sharey=True))
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        image = _matrix(ax, matrix, labels, 1.0)
        ax.set_title(title)
    axes[0].set_yticks(range(len(labels)), [ENGLISH[tag] for tag in labels], fontsize=7)
    figure.colorbar(image, ax=axes, label="correlation between chips", shrink=0.75, pad=0.015)
    return figure


@styled
def weights(matrix: Array, labels: Sequence[str], notes: Sequence[tuple[int, int]] = ()) -> Figure:
    """What the ridge weights say: a row for each label, a column for each probability it reads.

    matrix  `(L, L)` standard coefficients: change of the recalibrated probability for one standard
            deviation of the network's probability
    notes   (row, column) of the weights to frame, with their numbers in hundredths
    """
    figure = Figure(figsize=(6.2, 5.3))
    ax = figure.add_subplot()
    off = matrix[~np.eye(len(matrix), dtype=bool)]
    most = max(float(np.abs(off).max()), 1e-6)
    image = _matrix(ax, matrix, labels, most)
    for row, column in notes:
        ax.plot(
            column + np.array([-0.5, 0.5, 0.5, -0.5, -0.5]),
            row + np.array([-0.5, -0.5, 0.5, 0.5, -0.5]),
            color=COLOURS["ink"],
            lw=1,
        )
        value = matrix[row, column]
        ax.text(
            column,
            row,
            f"{100 * value:+.0f}" if abs(value) >= 0.01 else f"{100 * value:+.1f}",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if abs(value) > 0.6 * most else COLOURS["ink"],
        )
    ax.set_yticks(range(len(labels)), [ENGLISH[tag] for tag in labels], fontsize=8)
    ax.set(xlabel="probability that is read", ylabel="label that is predicted again")
    figure.colorbar(
        image,
        ax=ax,
        label="change of the probability for one standard deviation",
        shrink=0.8,
        extend="both",
    )
    return figure


def _matrix(ax: Axes, matrix: Array, labels: Sequence[str], most: float) -> AxesImage:
    ax.set_facecolor("#E6E6E6")  # what is not defined
    image = ax.imshow(np.ma.masked_invalid(matrix), cmap=DIVERGING, vmin=-most, vmax=most)
    ax.set_xticks(range(len(labels)), [ENGLISH[tag] for tag in labels], rotation=90, fontsize=7)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return image
