"""Notebook 12: F2 of networks against their parameters, operations, bytes and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from . import COLOURS, styled
from .shared import CENTRED, HALO, QUIET, TEXT, intervals, name_rows, note

_LOOK = {
    "vgg11": ("original", "o"),
    "vgg16": ("original", "s"),
    "resnet50": ("dehazed", "D"),
    "inception_v3": ("good", "^"),
    "inception_resnet_v2": ("good", "v"),
    "mobilenet": ("highlight", "P"),
    "mobilenet_v2": ("highlight", "X"),
}
_OTHER = ("published", "o")
_LINE = {"ls": "-", "lw": 0.7, "elinewidth": 0.9, "mec": "white", "mew": 0.6}


@styled
def frontier(
    tables: Mapping[str, pd.DataFrame],
    costs: Mapping[str, str],
    on: Mapping[tuple[str, str], Sequence[bool]],
    *,
    names: Mapping[str, str],
) -> Figure:
    """F2 against each cost, a row per set of chips; the Pareto frontier as dotted steps.

    tables  title -> `accuracy_against_size.table`
    costs   column of the tables -> what the axis is called
    on      (title, column) -> which rows stand on the frontier
    names   network -> name for the legend
    """
    if not tables or not costs:
        return _nothing("nothing has been measured yet")
    rows, columns = len(tables), len(costs)
    figure = Figure(figsize=(0.6 + 3.3 * columns, 0.9 + 2.9 * rows))
    panels = figure.subplots(rows, columns, sharey="row", squeeze=False)
    handles: dict[str, object] = {}
    for row, (title, table) in enumerate(tables.items()):
        for column, (cost, label) in enumerate(costs.items()):
            ax = panels[row, column]
            _panel(ax, table, cost, on[title, cost], names, handles)
            ax.set(xlabel=label)
        panels[row, 0].set_ylabel(f"{title}\nF2, mean over chips, 95 % interval")
    return _with_legend(figure, handles)


@styled
def budgets(
    tables: Mapping[str, pd.DataFrame],
    cost: str,
    label: str,
    on: Mapping[str, Sequence[bool]],
    seeds: Mapping[str, pd.DataFrame],
    *,
    names: Mapping[str, str],
) -> Figure:
    """F2 against one cost, a panel per training budget, frontiers dotted; each has its own F2 axis.

    tables  title -> `accuracy_against_size.table`;  on  title -> which rows stand on the frontier
    cost    column of the tables;  label  what its axis is called
    seeds   title -> `until_it_stalls.across`: a broad bar from the worst to the best seed
    names   network -> name for the legend
    """
    if not any(len(table) for table in tables.values()):
        return _nothing("no network is trained yet until its loss stalls")
    figure = Figure(figsize=(0.6 + 3.8 * len(tables), 4.8))
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    costs = pd.concat([table[cost] for table in tables.values()])
    handles: dict[str, object] = {}
    for ax, (title, table) in zip(panels, tables.items(), strict=True):
        ax.set_xlim(costs.min() / 1.5, costs.max() * 1.8)
        if len(seeds.get(title, ())):
            _between_seeds(ax, seeds[title].merge(table[["network", "width", cost]]), cost)
        _panel(ax, table, cost, on[title], names, handles, apart=0.3)
        ax.set(title=title, xlabel=label)
    panels[0].set_ylabel("F2, mean over chips, 95 % interval\n(each budget has its own scale)")
    return _with_legend(figure, handles)


def _between_seeds(ax: Axes, seeds: pd.DataFrame, cost: str) -> None:
    for row in seeds.to_dict("records"):
        colour = COLOURS[_LOOK.get(row["network"], _OTHER)[0]]
        ends = row["lowest"], row["highest"]
        ax.plot([row[cost]] * 2, ends, color=colour, lw=5, alpha=0.4, solid_capstyle="butt")


def _panel(
    ax: Axes,
    table: pd.DataFrame,
    cost: str,
    on: Sequence[bool],
    names: Mapping[str, str],
    handles: dict[str, object],
    apart: float = 0.0,
) -> None:
    """Every network of a table at its cost; what was drawn goes to `handles`, for a legend.

    apart  a width is written below its mark where another one stands at the left, nearer in F2 than
           this fraction of its range
    """
    _steps(ax, table[cost], table["f2"], on)
    all_x, all_y = table[cost].to_numpy(float), table["f2"].to_numpy(float)
    near = apart * np.ptp(all_y) if len(all_y) else 0.0
    for network, part in table.groupby("network", sort=False):
        colour, mark = _LOOK.get(network, _OTHER)
        look = {"color": COLOURS[colour], "marker": mark, "ms": 6, **_LINE}
        drawn = intervals(ax, part, part[cost], upright=True, **look)
        handles.setdefault(names.get(network, network), drawn)
        for x, y, width in zip(part[cost], part["f2"], part["width"], strict=True):
            look = {"va": "baseline", "fontsize": 7, "color": TEXT, "path_effects": [HALO]}
            left = (all_x < x) & (all_x > x / 1.25) & (abs(all_y - y) < near)
            note(ax, (x, y), f"{width:g}", (4, -11 if left.any() else 4), **look)
    _logarithmic(ax, 0.12)
    ax.grid(axis="y")


def _with_legend(figure: Figure, handles: Mapping[str, object]) -> Figure:
    steps = Line2D([], [], color=COLOURS["ink"], lw=1.2, ls=":")
    width = Line2D([], [], ls="none", marker="$0.5$", color=TEXT, ms=11)
    named = {**handles, "Pareto frontier": steps, "width, fraction of the channels": width}
    how = {"ncols": min(4, len(named)), "fontsize": 8}
    figure.legend(list(named.values()), list(named), loc="outside lower center", **how)
    return figure


def _logarithmic(ax: Axes, margin: float) -> None:
    """A logarithmic axis, as many ticks as a short or a long range needs, in short words."""
    ax.set_xscale("log")
    ax.margins(x=margin)
    low, high = ax.get_xlim()
    subs = (1, 1.5, 2, 3, 4, 6) if high / low < 8 else (1, 2, 5) if high / low < 80 else (1, 3)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(_short)
    ax.xaxis.set_minor_locator(NullLocator())


def _short(value: float, place: int | None = None) -> str:
    """10M and 3k; below a thousand as it is, since the axis has its own unit."""
    return EngFormatter(sep="")(value) if value >= 1000 else f"{value:g}"


def _nothing(why: str) -> Figure:
    """What stands where a figure will be: words, so that nobody takes it for a result."""
    figure = Figure(figsize=(5.2, 1.2))
    figure.text(0.5, 0.5, why, color=QUIET, **CENTRED)
    return figure


def _steps(ax: Axes, cost: pd.Series, score: pd.Series, on: Sequence[bool]) -> None:
    """What the best network within each budget reaches."""
    chosen = np.asarray(on, bool)
    order = np.argsort(cost.to_numpy()[chosen], kind="stable")
    x, y = (values.to_numpy()[chosen][order] for values in (cost, score))
    if len(x):
        end = cost.max() * 1.5
        ax.step([*x, end], [*y, y[-1]], where="post", color=COLOURS["ink"], lw=1.2, ls=":")


@styled
def smaller(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """F2 of a trained network made smaller, a line per way with the bytes of its weights.

    tables  title -> `studies.compressed.table`
    """
    if not tables:
        return _nothing("the weights of this network are not on this machine")
    figure = Figure(figsize=(6.6, 0.9 + 2.4 * len(tables)))
    panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
    for ax, (title, table) in zip(panels, tables.items(), strict=True):
        places = range(len(table), 0, -1)
        ax.axvline(table["f2"].iloc[0], color=COLOURS["published"], lw=0.8, ls=":")
        for y, row in zip(places, table.itertuples(), strict=True):
            colour = COLOURS["dehazed" if "pruned" in row.how else "original"]
            ax.plot([row.low, row.high], [y, y], color=colour, lw=1.6)
            ax.plot(row.f2, y, "o", color=colour, mec="white", ms=7)
        sizes = (f"{row.how}, {row.bytes / 1024:,.0f} KiB" for row in table.itertuples())
        name_rows(ax, places, list(sizes))
        ax.set(title=title, xlabel="F2, mean over chips", ylim=(0.4, len(table) + 0.6))
    return figure
