"""Notebook 17: two orders of splitting copies of chips, and what each of them prints."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from . import COLOURS, styled
from .shared import ends

_MARKS = (("o", True), ("D", False), ("x", False))  # own copies, unseen copies, unseen chips
_DRAWN = 3  # of each budget's comparisons, the first


@styled
def leak(scores: pd.DataFrame, differences: pd.DataFrame, trained: np.ndarray) -> Figure:
    """What both orders are, what each prints, and what the difference is worth.

    scores, differences  of `studies.leak.all_of`
    trained              `(2, copies, chips)` bool: an example of which copies are trained on, of
                         either way to split, in the order of the arms in `scores`
    """
    budgets = list(dict.fromkeys(scores["budget"]))
    figure = Figure(figsize=(9.4, 3.6 + 1.9 * len(budgets)))
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.7), height_ratios=(1, 1))
    arms = list(dict.fromkeys(scores["arm"]))
    for row, (arm, copies) in enumerate(zip(arms, trained, strict=True)):
        _squares(figure.add_subplot(grid[row, 0]), arm, copies, last=row == 1)
    _scores(figure.add_subplot(grid[0, 1]), scores, budgets, arms)
    _differences(figure.add_subplot(grid[1, 1]), differences, budgets)
    return figure


def _squares(ax: Axes, arm: str, copies: np.ndarray, *, last: bool) -> None:
    """A square for each copy: a column per chip, filled where it is trained on."""
    rows, chips = copies.shape
    for y, x in np.ndindex(rows, chips):
        colour = COLOURS["light"] if copies[y, x] else COLOURS["dehazed"]
        ax.add_patch(Rectangle((x, y), 0.86, 0.86, facecolor=colour, edgecolor="none"))
    mixed = copies.any(0) & ~copies.all(0)
    for x in np.flatnonzero(mixed):
        ax.text(x + 0.43, rows + 0.1, "↕", ha="center", va="bottom", fontsize=9)
    ax.set(xlim=(-0.2, chips), ylim=(-0.2, rows + 0.9), title=arm, xticks=[], yticks=[])
    ax.set_xlabel("chips, a column for each" if last else "")
    ax.set_ylabel("copies")
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    if last:
        for colour, word in (("light", "trained on"), ("dehazed", "validated on")):
            ax.plot([], [], "s", color=COLOURS[colour], label=word)
        ax.plot([], [], linestyle="none", marker="$↕$", color=COLOURS["ink"], label="on both sides")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, columnspacing=0.8,
                  handletextpad=0.2)  # fmt: skip


def _scores(ax: Axes, scores: pd.DataFrame, budgets: list[str], arms: list[str]) -> None:
    places = list(dict.fromkeys(scores["on"]))
    rows = [(budget, arm) for budget in budgets for arm in arms]
    for y, (budget, arm) in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
        means = []
        for offset, on, (mark, filled) in zip((0.2, 0, -0.2), places, _MARKS, strict=True):
            mine = scores[
                (scores["budget"] == budget) & (scores["arm"] == arm) & (scores["on"] == on)
            ]["f2"]
            colour = COLOURS["bad"] if offset > 0 else COLOURS["original"]
            look = {"color": colour, "mfc": colour if filled else "white"}
            means.append(mine.mean())
            ax.plot(mine, [y + offset] * len(mine), "|", color=colour, ms=9, alpha=0.7)
            label = on if y == 0 else None
            ax.plot(mine.mean(), y + offset, mark, ms=7, label=label, linestyle="none", **look)
        ax.plot(means[:2], [y + 0.2, y], color=COLOURS["published"], lw=0.8, zorder=0)
        ax.text(max(means[:2]), y + 0.24, f"  {means[0] - means[1]:+.4f}".replace("-", "−"),
                va="bottom", fontsize=8)  # fmt: skip
    ax.set_yticks(range(len(rows))[::-1], [f"{arm}\n{budget}" for budget, arm in rows])
    ax.set(ylim=(-0.5, len(rows) - 0.3), title="What each order prints")
    ax.set_xlabel("mean-over-chips F2, thresholds chosen on the same images")
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0, labelsize=7.5)
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.22), ncols=3, columnspacing=0.9,
              handletextpad=0.2, fontsize=7.5)  # fmt: skip


def _differences(ax: Axes, table: pd.DataFrame, budgets: list[str]) -> None:
    drawn = pd.concat([table[table["budget"] == budget].head(_DRAWN) for budget in budgets])
    where = np.arange(len(drawn))[::-1]
    for y, row in zip(where, drawn.to_dict("records"), strict=True):
        strong = row["comparison"].startswith("what the order")
        colour = COLOURS["bad"] if strong else COLOURS["original"]
        one = pd.DataFrame([row])
        ax.errorbar(row["value"], y, xerr=ends(one, "value"), fmt="o", color=colour, capsize=3,
                    ms=6 if strong else 5)  # fmt: skip
        seeds = [v for k, v in row.items() if k.startswith("seed ")]
        ax.plot(seeds, [y - 0.25] * len(seeds), "|", color=colour, ms=7, alpha=0.7)
    for number in range(1, len(budgets)):
        ax.axhline(len(drawn) - _DRAWN * number - 0.5, color="#CCCCCC", lw=0.8)
    ax.axvline(0, color=COLOURS["ink"], lw=0.8)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    names = [
        f"{row.comparison.replace(': ', chr(10), 1)} ({row.budget.partition(', ')[0]})"
        for row in drawn.itertuples()
    ]
    ax.set_yticks(where, names, fontsize=7)
    ax.set(
        ylim=(-0.6, len(drawn) - 0.4),
        xlabel="difference of the mean-over-chips F2, with 95 % interval",
    )
    ax.set_title("Differences; short lines are seeds")
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)
