"""Notebook 10: network blocks as diagrams, layer costs, batch normalisation, network costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ..networks.outline import Box
from . import COLOURS, styled
from .shared import CENTRED, QUIET, arrow, name_rows, note, panel, rounded, rows_of

#: Fill and ink of each kind of box.
_FILL = {
    "input": ("#F1F1F1", COLOURS["ink"]),
    "pointwise": (COLOURS["dehazed"], COLOURS["ink"]),
    "convolution": (COLOURS["original"], "white"),
    "depthwise": (COLOURS["good"], "white"),
    "pooling": ("#CFCFCF", COLOURS["ink"]),
    "join": (COLOURS["highlight"], "white"),
    "dense": (COLOURS["bad"], "white"),
    "other": ("#DDDDDD", COLOURS["ink"]),
}
_KINDS = {
    "pointwise": "1×1 convolution",
    "convolution": "convolution",
    "depthwise": "depthwise convolution",
    "pooling": "pooling",
    "join": "sum, or channels side by side",
}
_WIDE, _HIGH, _STEP = 0.86, 0.62, 0.95  # of a box, and from row to row


@styled
def diagrams(
    outlines: Mapping[str, Sequence[Box]], notes: Mapping[str, str], *, columns: int = 3
) -> Figure:
    """Blocks from input to output, downwards, each with its title above and a note below.

    outlines  title -> `outline.outline(model)`
    notes     title -> what stands below (parameters, say)
    columns   diagrams in one row
    """
    placed = {title: _place(boxes) for title, boxes in outlines.items()}
    width = {title: max(across, 1.5) for title, (_, _, across, _) in placed.items()}
    titles = list(outlines)
    lines = [titles[i : i + columns] for i in range(0, len(titles), columns)]
    wide = max(sum(width[t] for t in line) for line in lines)
    tall = [max(placed[t][3] for t in line) for line in lines]
    figure = Figure(figsize=(0.98 * wide + 0.3, 0.62 * sum(tall) + 0.75 * len(lines) + 0.35))
    rows = figure.add_gridspec(len(lines), 1, height_ratios=[t + 1.4 for t in tall])
    for row, line, most in zip(rows, lines, tall, strict=True):
        ratios = [width[t] for t in line]
        cells = row.subgridspec(1, len(line), width_ratios=ratios, wspace=0.05)
        for cell, title in zip(cells, line, strict=True):
            at, lanes, across, high = placed[title]
            ax = figure.add_subplot(cell)
            _diagram(ax, outlines[title], at, lanes)
            ax.set_title(title, fontsize=9, weight="bold", pad=3)
            middle, half = across / 2, width[title] / 2
            ax.set(xlim=(middle - half, middle + half), ylim=(-(most - 1) * _STEP - 1.0, 0.45))
            below = -(high - 1) * _STEP - 0.48
            ax.text(middle, below, notes.get(title, ""), ha="center", va="top", fontsize=7.5)
            ax.axis("off")
    drawn = {box.kind for boxes in outlines.values() for box in boxes}
    handles = [
        FancyBboxPatch((0, 0), 1, 1, fc=_FILL[kind][0], ec="none", label=text)
        for kind, text in _KINDS.items()
        if kind in drawn
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    return figure


def _place(boxes: Sequence[Box]) -> tuple[dict[str, tuple[float, float]], list, float, int]:
    """Where each box stands, the arrows, the width in boxes, the rows.

    A row is the longest way from the input; a box that joins branches stands over their middle, and
    a branch without boxes (a shortcut) keeps a lane of its own.
    """
    by_name = {box.name: box for box in boxes}
    row: dict[str, int] = {}
    for box in boxes:
        row[box.name] = 1 + max((row[i] for i in box.inputs), default=-1)
    seen: dict[str, list[float]] = {}
    lanes: list[tuple[str, str, float | None]] = []

    def lay(name: str, left: float) -> float:
        """Stand the box and all above it, from `left` on; returns the lanes it takes."""
        box = by_name[name]
        sources = [by_name[i] for i in box.inputs]
        taken = 0.0
        for source in sources:
            if source.kind == "input":
                several = len(sources) > 1
                lanes.append((source.name, name, left + taken + 0.5 if several else None))
                taken += 1
            else:
                lanes.append((source.name, name, None))
                taken += lay(source.name, left + taken)
        taken = max(taken, 1.0)
        seen.setdefault(name, []).append(left + taken / 2)
        return taken

    width = lay(boxes[-1].name, 0.0)
    at = {name: (float(np.mean(xs)), -row[name] * _STEP) for name, xs in seen.items()}
    for box in boxes:
        if box.kind == "input":
            at[box.name] = (width / 2, 0.0)
    return at, sorted(set(lanes), key=str), width, max(row.values()) + 1


def _diagram(ax: Axes, boxes: Sequence[Box], at: dict, lanes: list) -> None:
    for source, target, lane in lanes:
        (x0, y0), (x1, y1) = at[source], at[target]
        turn = y1 + _STEP  # the row above the target: down to it straight, past other boxes
        if lane is not None and y0 - turn > _STEP / 2:  # a shortcut, through a lane of its own
            xs, ys = [x0, lane, lane], [y0 - _HIGH / 2, y0 - _STEP + 0.15, turn - _HIGH / 2]
            x0, y0 = lane, turn
        else:
            xs, ys = [x0, x0], [y0 - _HIGH / 2, turn - _HIGH / 2]
            y0 = min(y0, turn)
        ax.plot(xs, ys, color=QUIET, lw=1, zorder=1, solid_joinstyle="round")
        arrow(ax, (x0, y0 - _HIGH / 2), (x1, y1 + _HIGH / 2), QUIET, 1, zorder=1)
    for box in boxes:
        x, y = at[box.name]
        fill, ink = _FILL[box.kind]
        corner = x - _WIDE / 2, y - _HIGH / 2
        rounded(ax, *corner, _WIDE, _HIGH, 0.08, fc=fill, ec="none", zorder=2)
        ax.text(x, y, box.text, fontsize=6.6, color=ink, zorder=3, **CENTRED)


@styled
def layer_costs(table: pd.DataFrame) -> Figure:
    """Where a network's parameters lie, and where its work is done: two bars per layer.

    table  `complexity.layer_table`, rows with parameters only
    """
    figure = Figure(figsize=(7.0, 3.9))
    left, right = figure.subplots(1, 2, sharey=True)
    where = rows_of(table)
    rows = zip(table["layer"], table["output"], strict=True)
    names = [f"{name}  {shape}" for name, shape in rows]
    dense = table["kind"].to_numpy() == "Dense"
    colours = np.where(dense, COLOURS["bad"], COLOURS["original"])
    for ax, column, unit, title in (
        (left, "parameters", 1e6, "Parameters in millions"),
        (right, "multiply_adds", 1e9, "Multiply-adds in billions, one picture"),
    ):
        values = table[column].to_numpy() / unit
        ax.barh(where, values, color=colours, height=0.72)
        for y, value in zip(where, values, strict=True):
            text = f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"
            ax.text(value, y, f" {text}", va="center", fontsize=7.5)
        ax.set(title=title, xlim=(0, values.max() * 1.18))
        name_rows(ax, where, names, grid=False, fontsize=7.5)
    return figure


@styled
def normalisation(before: np.ndarray, after: np.ndarray, deviation: pd.DataFrame) -> Figure:
    """Channels before and after batch normalisation; standard deviation of the signal by depth.

    before, after  `(C, M)`: values of C channels (`batch_norm.channels_before_and_after`)
    deviation      `batch_norm.deviation_by_depth`
    """
    figure = Figure(figsize=(7.8, 3.0))
    axes = figure.subplots(1, 3, width_ratios=(1, 1, 1.35))
    look = {"element": "step", "fill": False, "stat": "density", "common_norm": False, "lw": 1.1}
    look["palette"] = seaborn.light_palette(COLOURS["original"], len(before) + 3)[3:]
    for ax, values, title in ((axes[0], before, "Before"), (axes[1], after, "After")):
        reach = np.quantile(np.abs(values), 0.998)
        bins = {"bins": 60, "binrange": (-reach, reach)}
        seaborn.histplot(pd.DataFrame(values.T), ax=ax, legend=False, **bins, **look)
        ax.set(
            title=f"{title} normalisation",
            xlabel="value (six channels)",
            ylabel="",
            yticks=[],
        )
    axes[0].set_ylabel("density of pixels")
    ax = axes[2]
    marks = ("v", "o", "^", "s")
    for (gain, part), mark in zip(deviation.groupby("gain"), marks, strict=False):
        for kind, colour in (("plain", COLOURS["bad"]), ("normalised", COLOURS["good"])):
            line = part[part["network"] == kind]
            ax.plot(line["layer"], line["deviation"], color=colour, marker=mark, ms=3.5, lw=1.2)
        end = part[part["network"] == "plain"].iloc[-1]
        look = {"fontsize": 8, "color": COLOURS["bad"]}
        note(ax, (end["layer"], end["deviation"]), f"{gain:g} × He's", (4, 0), **look)
    end = deviation[deviation["network"] == "normalised"].iloc[-1]
    look = {"ha": "right", "va": "baseline", "fontsize": 8, "color": COLOURS["good"]}
    note(ax, (end["layer"], end["deviation"]), "normalised", (-4, 9), **look)
    ax.set(yscale="log", xlim=(0.5, 16.5), xticks=(1, 5, 9, 13))
    ax.set(xlabel="convolution", ylabel="standard deviation", title="The signal with depth")
    return figure


@styled
def network_costs(table: pd.DataFrame) -> Figure:
    """Every network as published: parameters against multiply-adds, and its own weight in bytes.

    table  `complexity.network_table`
    """
    part = table[table["version"] == "as published"]
    figure, ax = panel(6.2, 3.8)
    to_the_left = {"vgg16", "resnet50", "mobilenet_v2"}
    colours = {"vgg": "original", "res": "good", "inc": "highlight", "mob": "bad"}
    for row in part.itertuples():
        colour = COLOURS[colours[row.network[:3]]]
        x, y = row.multiply_adds / 1e9, row.parameters / 1e6
        ax.scatter(x, y, s=46, color=colour, zorder=3)
        shift, ha = ((-7, 0), "right") if row.network in to_the_left else ((7, 0), "left")
        text = f"{row.network.replace('_', ' ')}\n{row.bytes / 1e6:.0f} MB"
        note(ax, (x, y), text, shift, ha=ha, fontsize=8, color=colour)
    ax.set(xscale="log", yscale="log", xlim=(0.07, 60), ylim=(2, 250))
    ax.set_xlabel("multiply-adds in billions, one picture of the network's own size")
    ax.set_ylabel("parameters in millions")
    return figure
