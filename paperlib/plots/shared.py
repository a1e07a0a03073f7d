"""Pieces that several figures share: boxes and arrows, names and looks, intervals, row names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from . import COLOURS

Array = np.ndarray
LOSS_NAMES = {"log": "log loss", "f2": "F2 loss", "hard": "hard examples"}


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
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=colour,
            alpha=0.22,
            edgecolor="none",
        )
    )
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="none",
            edgecolor=colour,
            linewidth=1.1,
        )
    )
    # Centred by its baseline: letters below it (as in "transpose") would move the text up.
    lines = text.count("\n") + 1
    baseline = -0.36 * size if lines == 1 else 0
    ax.annotate(
        text,
        (x, y),
        (0, baseline),
        textcoords="offset points",
        ha="center",
        va="baseline" if lines == 1 else "center",
        fontsize=size,
        linespacing=1.25,
    )


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": "#666666", "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
    )


LOSS_STYLE = {
    "log": (COLOURS["original"], "o", "-"),
    "f2": (COLOURS["bad"], "s", "--"),
    "hard": (COLOURS["good"], "^", ":"),
}


def iso_f2(ax: Axes) -> None:
    """Lines of equal F2 over recall and precision, 0.1 apart."""
    grid = np.linspace(0.001, 1, 400)
    recall, precision = np.meshgrid(grid, grid)
    score = 5 * precision * recall / (4 * precision + recall)
    levels = np.arange(0.1, 1.0, 0.1)
    lines = ax.contour(recall, precision, score, levels, colors="#AAAAAA", linewidths=0.8)
    # On the diagonal F2 is precision is recall: a label's place is its value.
    ax.clabel(lines, levels[1::2], fmt="%.1f", fontsize=7, manual=[(v, v) for v in levels[1::2]])
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), aspect="equal")


PROTOCOL = {
    "paper": (COLOURS["published"], "s", "paper's protocol (same chips)"),
    "nested": (COLOURS["original"], "o", "nested"),
    "test": (COLOURS["good"], "D", "test chips"),
}


def label_rows(ax: Axes, where: Array, names: Sequence[str]) -> None:
    """A row for each label, every second one shaded, so that several marks are read together."""
    ax.set_yticks(where, names)
    ax.set_ylim(-0.5, len(where) - 0.5)
    for y in where[::2]:
        ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def ends(table: pd.DataFrame, value: str = "f2", low: str = "low", high: str = "high"):
    """The halves of intervals as `errorbar` takes them: `(2, N)`, below and above the value.

    table  one row for each interval; `value`, `low` and `high` name its columns

    A bound may pass its value by a rounding error; such a half has no length.
    """
    return np.maximum([table[value] - table[low], table[high] - table[value]], 0)


def seeds_of(ax: Axes, rows: pd.DataFrame, y: float, spread: float, colour: str) -> np.ndarray:
    """Differences with their intervals, one for each seed, one below the other around `y`.

    rows  columns `difference`, `low`, `high`; `spread` apart
    Returns where each stands, `(N,)`.
    """
    at = y + spread * (np.arange(len(rows))[::-1] - (len(rows) - 1) / 2)
    ax.errorbar(
        rows["difference"], at, xerr=ends(rows, "difference"), fmt="o", ms=4, color=colour,
        capsize=2, lw=1.1,
    )  # fmt: skip
    return at


def root(values: np.ndarray) -> np.ndarray:
    """Square root as a scale: hundredths and tenths can both be read; for `set_xscale`."""
    return np.sqrt(np.maximum(values, 0))


def rows_header(ax: Axes, text: str) -> None:
    """What the names of the rows of `ax` are, above them."""
    ax.annotate(
        text, (0, 1), (-4, 5), xycoords="axes fraction", textcoords="offset points", ha="right",
        fontsize=7.5, color="#666666",
    )  # fmt: skip


def legend(figure: Figure, axes: Sequence[Axes], *last: str, **options: Any) -> None:
    """The figure's legend of `axes`; names that begin with one of `last` stand at the end.

    options  of `Figure.legend`
    """
    found = [pair for ax in axes for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    found.sort(key=lambda pair: pair[1].startswith(last) if last else False)
    if found:
        figure.legend(*zip(*found, strict=True), **options)
