"""Pieces that figures have in common: interval estimates, labelled rows, texts, boxes, legends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.patheffects import withStroke

from ..labels import ENGLISH
from . import COLOURS

Array = np.ndarray
LOSS_NAMES = {"log": "log loss", "f2": "F2 loss", "hard": "hard examples"}
LOSS_STYLE = {
    "log": (COLOURS["original"], "o", "-"),
    "f2": (COLOURS["bad"], "s", "--"),
    "hard": (COLOURS["good"], "^", ":"),
}
PROTOCOL = {
    "paper": (COLOURS["published"], "s", "same chips (the paper's protocol, as read here)"),
    "nested": (COLOURS["original"], "o", "nested"),
    "test": (COLOURS["good"], "D", "test chips"),
}
CENTRED = {"ha": "center", "va": "center"}
CHIPS_OF_LABEL = "label (chips positive for it)"  # what `with_counts` names
#: Greys of what is not data: lines at zero, texts beside the data, and quieter ones.
GREY, TEXT, QUIET = "#888888", "#555555", "#777777"
HALO = withStroke(linewidth=2, foreground="white")  # of a number that a line may cross


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches."""
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


# Interval estimates


def ends(table: pd.DataFrame, value: str = "f2", low: str = "low", high: str = "high") -> Array:
    """The lengths of error bars as `errorbar` takes them: `(2, N)`, below and above the value.

    table  one row for each interval; `value`, `low` and `high` name its columns

    A bound may pass its value by a rounding error; such an error bar has no length.
    """
    return np.maximum([table[value] - table[low], table[high] - table[value]], 0)


def intervals(
    ax: Axes,
    table: pd.DataFrame,
    at: Any,
    value: str = "f2",
    *,
    prefix: str = "",
    upright: bool = False,
    **look: Any,
) -> Any:
    """A mark for each row of `table` with its interval; returns the handle for a legend.

    table    columns `value`, and `low` and `high` with `prefix` before them
    at       `(N,)` places on the other axis
    upright  the values stand on the y axis, not on the x axis
    look     of `Axes.errorbar`
    """
    lengths = ends(table, value, f"{prefix}low", f"{prefix}high")
    if upright:
        return ax.errorbar(at, table[value], yerr=lengths, **look)
    return ax.errorbar(table[value], at, xerr=lengths, **look)


def seeds_of(ax: Axes, rows: pd.DataFrame, y: float, step: float, colour: str) -> Array:
    """Differences with their intervals, one for each seed, `step` below each other around `y`.

    rows  columns `difference`, `low`, `high`
    Returns where each stands, `(N,)`.
    """
    at = y + offsets(len(rows), step)
    intervals(ax, rows, at, "difference", fmt="o", ms=4, color=colour, capsize=2, lw=1.1)
    return at


def seed_lines(ax: Axes, x: Any, y: Any, mark: str = "|", **look: Any) -> None:
    """The values of other seeds: a short line each, without interval."""
    ax.plot(x, y, mark, color=COLOURS["highlight"], **look)


def hollow_key(ax: Axes, name: str, mark: str = "o", size: float = 4) -> None:
    """An entry of the legend: hollow marks of any colour."""
    ax.plot([], [], mark, ms=size, mfc="white", color=COLOURS["ink"], label=name)


def offsets(n: int, step: float) -> Array:
    """`(n,)` shifts that put marks `step` apart around one place, the first on top."""
    return step * ((n - 1) / 2 - np.arange(n))


def padded(low: float, high: float, below: float, above: float) -> tuple[float, float]:
    """Limits of an axis: the margins are fractions of what is between `low` and `high`."""
    return low - below * (high - low), high + above * (high - low)


# Rows with names


def rows_of(table: Sequence[Any]) -> Array:
    """`(N,)` where the rows of a table stand: the first one on top."""
    return np.arange(len(table))[::-1]


def with_counts(tags: Iterable[str], counts: Iterable[int]) -> list[str]:
    """What the rows of labels are called: the label, and its chips in brackets."""
    return [f"{ENGLISH[tag]} ({n:,})" for tag, n in zip(tags, counts, strict=True)]


def name_rows(
    ax: Axes, where: Any, names: Sequence[str], *, grid: bool = True, **look: Any
) -> None:
    """Names without ticks at `where`, and grid lines at the values."""
    ax.set_yticks(where, names, **look)
    ax.tick_params(axis="y", length=0)
    if grid:
        ax.grid(axis="x")


def label_rows(ax: Axes, where: Array, names: Sequence[str]) -> None:
    """A row for each label, every second one shaded, so that its marks are read together."""
    name_rows(ax, where, names)
    ax.set_ylim(-0.5, len(where) - 0.5)
    shade_rows(ax, where)


def shade_rows(ax: Axes, where: Array) -> None:
    """Every second row is shaded."""
    for y in where[::2]:
        ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0)


def rows_header(ax: Axes, text: str) -> None:
    """What the names of the rows of `ax` are, above them."""
    look = {"ha": "right", "fontsize": 7.5, "color": "#666666"}
    ax.annotate(text, (0, 1), (-4, 5), "axes fraction", "offset points", **look)


# Texts, boxes, arrows, legends


def note(ax: Axes, at: tuple[Any, Any], text: str, shift: Sequence[float], **look: Any) -> None:
    """A text `shift` points away from a point of the data, at half its height."""
    ax.annotate(text, at, shift, textcoords="offset points", **{"va": "center", **look})


def in_axes(ax: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """A text at fractions of the axes' width and height."""
    ax.text(x, y, text, transform=ax.transAxes, **look)


def in_rows(ax: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """A text at a fraction of the axes' width, in the row `y`."""
    ax.text(x, y, text, transform=ax.get_yaxis_transform(), **look)


def rounded(
    ax: Axes, x: float, y: float, width: float, height: float, radius: float, **look: Any
) -> None:
    """A box with round corners; (x, y) is the lower left one."""
    style = f"round,pad=0,rounding_size={radius}"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, **look))


def box(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    width: float,
    height: float,
    colour: str,
    size: float = 7.5,
) -> None:
    """A rounded box around (x, y) with its text, in the coordinates of `ax`."""
    place = x - width / 2, y - height / 2, width, height, 0.12
    rounded(ax, *place, facecolor=colour, alpha=0.22, edgecolor="none")
    rounded(ax, *place, facecolor="none", edgecolor=colour, linewidth=1.1)
    # Centred by its baseline: letters below it (as in "transpose") would move the text up.
    one = "\n" not in text
    look = {"ha": "center", "va": "baseline" if one else "center", "linespacing": 1.25}
    note(ax, (x, y), text, (0, -0.36 * size if one else 0), fontsize=size, **look)


def arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = "#666666",
    width: float = 0.9,
    **look: Any,
) -> None:
    """An arrow between two points of the data; it may leave the axes."""
    props = {"arrowstyle": "-|>", "color": colour, "lw": width, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=props, annotation_clip=False, **look)


def legend(figure: Figure, axes: Sequence[Axes], *last: str, **options: Any) -> None:
    """The figure's legend of `axes`; names that begin with one of `last` stand at the end.

    options  of `Figure.legend`
    """
    found = [pair for ax in axes for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    found.sort(key=lambda pair: pair[1].startswith(last) if last else False)
    if found:
        figure.legend(*zip(*found, strict=True), **options)


# Scales and maps


def iso_f2(ax: Axes) -> None:
    """Lines of equal F2 over recall and precision, 0.1 apart."""
    grid = np.linspace(0.001, 1, 400)
    recall, precision = np.meshgrid(grid, grid)
    score = 5 * precision * recall / (4 * precision + recall)
    levels = np.arange(0.1, 1.0, 0.1)
    # Drawn apart: Matplotlib 3.10 puts no label at a given place where only some levels have one.
    named = levels[1::2]
    for some in (levels[::2], named):
        lines = ax.contour(recall, precision, score, some, colors="#AAAAAA", linewidths=0.8)
    # On the diagonal F2 is precision is recall: a contour's label stands at its value.
    ax.clabel(lines, named, fmt="%.1f", fontsize=7, manual=[(v, v) for v in named])
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), aspect="equal")


def root(values: Array) -> Array:
    """Square root as a scale: hundredths and tenths can both be read; for `set_xscale`."""
    return np.sqrt(np.maximum(values, 0))


def root_scale(ax: Axes, ticks: Sequence[float], names: Sequence[str]) -> None:
    """Thresholds of rare labels are hundredths, others tenths: a square root shows both."""
    ax.set_xscale("function", functions=(root, np.square))
    ax.set_xticks(ticks, names)
