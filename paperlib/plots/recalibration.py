"""Notebook 07: figure 8, the labels' correlations, and what the ridge weights say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ..labels import ENGLISH
from . import COLOURS, ends, seeds_of, styled
from .results import PROTOCOL

Array = np.ndarray
#: Blue to orange through white: told apart without red and green.
DIVERGING = "PuOr_r"


@styled
def overall(table: pd.DataFrame, differences: pd.DataFrame) -> Figure:
    """Figure 8: the overall F2 with no, lasso and ridge recalibration; and each less none.

    table        `summary.overall` of the three systems, in the order to draw
    differences  columns `system`, `protocol`, `difference`, `low`, `high`, against none
    """
    figure = Figure(figsize=(7.4, 3.3))
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    protocols = [p for p in PROTOCOL if (table["protocol"] == p).any()]
    systems = list(dict.fromkeys(table["system"]))
    width = 0.8 / len(protocols)
    for number, protocol in enumerate(protocols):
        colour, marker, name = PROTOCOL[protocol]
        shift = width * (number - (len(protocols) - 1) / 2)
        rows = table[table["protocol"] == protocol]
        at = np.array([systems.index(s) for s in rows["system"]]) + shift
        left.bar(at, rows["f2"], width * 0.9, color=colour, alpha=0.35, label=name)
        left.errorbar(
            at, rows["f2"], yerr=ends(rows), fmt=marker, color=colour, ms=4, capsize=2.5, lw=1.2
        )
        for x, y, value in zip(at, rows["high"], rows["f2"], strict=True):
            left.text(x, y, f"{value:.4f}", ha="center", va="bottom", fontsize=6.5, color=colour)
        rows = differences[differences["protocol"] == protocol]
        at = np.array([systems.index(s) for s in rows["system"]]) + shift
        right.errorbar(
            at, rows["difference"], yerr=ends(rows, "difference"), fmt=marker, color=colour, ms=5,
            capsize=3, lw=1.3,
        )  # fmt: skip
    span = table["high"].max() - table["low"].min()
    # Bars start above zero, so the axis says so: the difference is what is compared, at the right.
    left.set(
        ylim=(table["low"].min() - 0.25 * span, table["high"].max() + 0.15 * span),
        ylabel="mean-over-chips F2 (axis cut)",
        title="Overall F2",
    )
    left.set_xticks(np.arange(len(systems)), systems)
    left.grid(axis="y")
    right.axhline(0, color=COLOURS["ink"], lw=0.8)
    right.set(ylabel="F2 less that with none", title="Paired difference")
    shown = [s for s in systems if s in set(differences["system"])]
    right.set_xticks([systems.index(s) for s in shown], shown)
    right.set_xlim(0.4, len(systems) - 0.4)
    right.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@styled
def gains(table: pd.DataFrame) -> Figure:
    """What recalibration brings to each family of networks, a point for each seed.

    table  `summary.recalibration_gains`
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
    figure.supxlabel("mean-over-chips F2, nested", fontsize=9)
    return figure


@styled
def correlations(matrices: Mapping[str, Array], labels: Sequence[str]) -> Figure:
    """Correlation of the labels with each other: truth, network, after recalibration.

    matrices  panel's title -> `(L, L)`, NaN for a label that never changes
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
    notes   (row, column) of the weights to frame
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
