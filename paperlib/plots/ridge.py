"""Notebook 07: F2 with and without recalibration (figure 8), label correlations, ridge weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..labels import ENGLISH
from . import COLOURS, styled
from .shared import (
    GREY,
    HALO,
    PROTOCOL,
    TEXT,
    Array,
    intervals,
    name_rows,
    note,
    offsets,
    padded,
    panel,
    seed_lines,
    seeds_of,
)

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
    seeds          rows of `studies.ridge.recalibration_gains`: a line for each seed, nested
    title          design of the networks, and how many candidates there are
    """
    figure = Figure(figsize=(7.8, 3.7))
    left, right = figure.subplots(1, 2)
    parts = {"none": differences, "lasso": against_lasso}
    together = pd.concat(
        part.assign(pair=part["system"] + f" minus {base}")
        for base, part in parts.items()
        if part is not None
    )
    at = _protocols(left, table, "system", "f2", "{:.4f}")
    left.set_xlim(padded(table["low"].min(), table["high"].max(), 0.06, 0.22))
    at = _protocols(right, together, "pair", "difference", "{:+.4f}", seeds)
    right.axvline(0, color=COLOURS["ink"], lw=0.8)
    reach = [0, together["low"].min(), together["high"].max()]
    for networks, mine in seeds.groupby("networks") if seeds is not None else ():
        of = "" if title.startswith(networks) else f" of {networks}"
        mine = mine[mine["comparison"].isin(at)]
        where = mine["comparison"].map(at)
        name = f"nested, each seed{of}"
        seed_lines(right, mine["difference"], where, ms=12, mew=1.5, zorder=1, label=name)
        reach += [mine["difference"].min(), mine["difference"].max()]
    right.set_xlim(padded(np.nanmin(reach), np.nanmax(reach), 0.06, 0.22))
    for ax in (left, right):
        ax.locator_params(axis="x", nbins=5)
    interval = "95 % interval over chips"
    left.set(xlabel=f"mean-over-chips F2\n{interval}", title="Overall F2")
    right.set(xlabel=f"mean-over-chips F2, difference\n{interval}, paired", title="What it changes")
    figure.suptitle(title, fontsize=8.5, color=TEXT)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _protocols(
    ax: Axes,
    frame: pd.DataFrame,
    key: str,
    value: str,
    form: str,
    seeds: pd.DataFrame | None = None,
) -> dict[str, float]:
    """A row for each `key`, in it each protocol's value with its interval and its number.

    seeds  the numbers of the nested protocol stand right of these too
    Returns where the nested marks of each row stand.
    """
    rows = list(dict.fromkeys(frame[key]))[::-1]
    protocols = [p for p in PROTOCOL if (frame["protocol"] == p).any()]
    nested: dict[str, float] = {}
    shifts = offsets(len(protocols), 0.62 / len(protocols))
    for protocol, shift in zip(protocols, shifts, strict=True):
        colour, marker, name = PROTOCOL[protocol]
        mine = frame[frame["protocol"] == protocol]
        at = np.array([rows.index(r) for r in mine[key]]) + shift
        look = {"fmt": marker, "color": colour, "ms": 5, "capsize": 3, "lw": 1.3}
        intervals(ax, mine, at, value, label=name, **look)
        right_of = mine["high"].to_numpy()
        if protocol == "nested":
            nested = {row: y + shift for y, row in enumerate(rows)}
            if seeds is not None:
                most = seeds.groupby("comparison")["difference"].max()
                right_of = np.fmax(right_of, most.reindex(mine[key]).to_numpy())
        for x, y, number in zip(right_of, at, mine[value], strict=True):
            text = form.format(number).replace("-", "−")
            note(ax, (x, y), text, (5, 0), fontsize=6.5, color=colour, path_effects=[HALO])
    name_rows(ax, range(len(rows)), rows)
    ax.set_ylim(-0.55, len(rows) - 0.45)
    return nested


@styled
def gains(table: pd.DataFrame) -> Figure:
    """What recalibration brings to each family of networks, a point for each seed.

    table  `studies.ridge.recalibration_gains`
    """
    families = list(dict.fromkeys(table["networks"]))
    comparisons = list(dict.fromkeys(table["comparison"]))
    figure = Figure(figsize=(8.0, 1.1 + 0.5 * len(families)))
    axes = figure.subplots(1, len(comparisons), sharey=True, sharex=True, squeeze=False)[0]
    count = table.groupby("networks")["candidates"].max()
    names = [f"{name}\n({count[name]} to choose from)" for name in families[::-1]]
    for ax, comparison in zip(axes, comparisons, strict=True):
        ax.axvline(0, color=GREY, lw=0.8)
        for y, networks in enumerate(families[::-1]):
            rows = table[(table["networks"] == networks) & (table["comparison"] == comparison)]
            seeds_of(ax, rows, y, 0.2, COLOURS["original"])
        ax.set_title(comparison)
        ax.locator_params(axis="x", nbins=4)
        name_rows(ax, range(len(families)), names, fontsize=7)
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
    axes = figure.subplots(1, len(matrices), sharey=True, squeeze=False)[0]
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        _matrix(ax, matrix, labels, 1.0)
        ax.set_title(title)
    _scale(figure, axes, "correlation of two labels over the chips", shrink=0.75, pad=0.015)
    return figure


@styled
def weights(matrix: Array, labels: Sequence[str], notes: Sequence[tuple[int, int]] = ()) -> Figure:
    """The ridge weights: a row for each recalibrated label, a column for each probability it uses.

    matrix  `(L, L)` standard coefficients: change of the recalibrated probability for one standard
            deviation of the network's probability
    notes   (row, column) of the weights to frame, with their numbers
    """
    figure, ax = panel(6.2, 5.3)
    off = matrix[~np.eye(len(matrix), dtype=bool)]
    texts = np.full(matrix.shape, "", dtype=object)
    for row, column in notes:
        value = matrix[row, column]
        text = f"{value:+.2f}" if abs(value) >= 0.01 else f"{value:+.3f}"
        texts[row, column] = text.replace("-", "−").replace("0.", ".")
    _matrix(ax, matrix, labels, max(float(np.abs(off).max()), 1e-6), texts)
    for row, column in notes:
        ax.add_patch(Rectangle((column, row), 1, 1, fill=False, ec=COLOURS["ink"], lw=1))
    ax.set(xlabel="probability that is read", ylabel="label that is predicted again")
    meaning = "change of the probability for one standard deviation"
    _scale(figure, [ax], meaning, shrink=0.8, extend="both")
    return figure


def _matrix(
    ax: Axes, matrix: Array, labels: Sequence[str], most: float, texts: Array | None = None
) -> None:
    """Labels against labels, in colours from −`most` to `most`; grey: not defined."""
    names = [ENGLISH[tag] for tag in labels]
    frame = pd.DataFrame(matrix, names, names)
    options = {"annot": texts, "fmt": "", "annot_kws": {"fontsize": 6}, "cbar": False}
    scale = {"cmap": DIVERGING, "vmin": -most, "vmax": most}
    ax.set_facecolor("#E6E6E6")
    seaborn.heatmap(frame, ax=ax, square=True, **scale, **options)
    ax.tick_params(length=0, labelsize=7)


def _scale(figure: Figure, axes: Sequence[Axes], meaning: str, **options: object) -> None:
    """What the colours of the last matrix of `axes` mean."""
    figure.colorbar(axes[-1].collections[0], ax=list(axes), label=meaning, **options)


@styled
def penalty_paths(
    paths: Mapping[str, tuple[Array, Array, Array, Array]], tags: Sequence[str], label: int
) -> Figure:
    """Weights of one label against the strength of each penalty, and below the squared errors.

    paths  kind -> strength `(S,)`, weights `(S, K)`, error on the chips fitted on and on others
    tags   names of the K inputs; the label's own and the three others with the largest weights
           have a name, all others are grey
    label  the column that is predicted again
    """
    figure = Figure(figsize=(7.2, 4.4))
    axes = figure.subplots(
        2, len(paths), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2)
    )
    largest = np.max([np.abs(weights).max(0) for _, weights, _, _ in paths.values()], axis=0)
    others = [k for k in np.argsort(-largest, kind="stable") if k != label][:3]
    colours = ("ink", "original", "bad", "good")
    named = dict(zip([label, *others], (COLOURS[name] for name in colours), strict=False))
    for (kind, (strength, weights, fit, held)), (above, below) in zip(
        paths.items(), axes.T, strict=True
    ):
        for k, line in enumerate(weights.T):
            name = ENGLISH[tags[k]] if k in named else None
            above.plot(
                strength, line, color=named.get(k, GREY), lw=1.6 if k in named else 0.7, label=name
            )
        above.axhline(0, color=GREY, lw=0.5)
        above.set(xscale="log", title=kind)
        below.plot(strength, fit, color=COLOURS["published"], label="chips fitted on")
        below.plot(strength, held, color=COLOURS["bad"], label="other chips")
        below.axvline(strength[int(np.argmin(held))], color=COLOURS["bad"], lw=0.7, ls="--")
        below.set(xlabel="strength λ of the penalty")
    axes[0, 0].set_ylabel("weight")
    axes[1, 0].set_ylabel("mean squared error")
    axes[0, -1].legend(loc="lower right", fontsize=7)
    axes[1, 0].legend(loc="upper left", fontsize=7)
    return figure
