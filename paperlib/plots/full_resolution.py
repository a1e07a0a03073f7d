"""Notebook 16: pictures of full size with haze of known transmission, seen by a fixed network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..chips.added_haze import SIZE, STATES
from . import COLOURS, styled
from .shared import GREY, intervals, offsets, panel, rows_of, seeds_of

#: State -> colour, mark, line.
_LOOK = {
    "hazy": ("bad", "o", "-"),
    "dehazed": ("dehazed", "s", "-"),
    "dehazed-light": ("highlight", "^", "--"),
    "dehazed-truth": ("good", "D", "--"),
    "dehazed-small": ("light", "v", "-"),
}
_TRAINED = {
    "same": "trained on the same kind of picture",
    "clear": "trained on clear pictures",
    "both": "trained on hazy and dehazed pictures",
}


def _look(state: str) -> dict[str, object]:
    colour, mark, line = _LOOK[state]
    return {"color": COLOURS[colour], "marker": mark, "ls": line, "ms": 4.5, "lw": 1.4,
            "elinewidth": 0.8, "upright": True, "label": STATES[state]}  # fmt: skip


@styled
def haze_curves(table: pd.DataFrame) -> Figure:
    """F2 against haze strength, five curves, and below it what dehazing adds to the hazy picture.

    table  of `scores`; 95 % intervals over pictures
    """
    figure = Figure(figsize=(9.2, 6.2))
    panels = figure.subplots(2, 3, sharex=True, sharey="row", height_ratios=(3, 2))
    first = table[(table["size"] == SIZE) & (table["draw"] == 0)]
    clear = first[first["state"] == "clear"].iloc[0]
    numbers = [name for name in table if name not in ("state", "trained")]
    for (upper, lower), (trained, title) in zip(panels.T, _TRAINED.items(), strict=True):
        rows = first[first["trained"] == trained]
        band = {"color": COLOURS["original"], "alpha": 0.12, "lw": 0}
        upper.axhspan(clear["low"], clear["high"], label="95 % interval without haze", **band)
        upper.axhline(clear["f2"], color=COLOURS["original"], lw=1.4, label=STATES["clear"])
        lower.axhline(0, color=GREY, lw=0.8)
        states = [state for state in _LOOK if state in set(rows["state"])]
        for state, shift in zip(states, offsets(len(states), 0.012), strict=True):
            line = rows[rows["state"] == state]
            if state != "dehazed" and trained != "both":  # without haze it is the clear picture
                line = pd.concat([line, clear.to_frame().T])
            line = line.astype(dict.fromkeys(numbers, float)).sort_values("strength")
            intervals(upper, line, line["strength"] + shift, **_look(state))
            gains = line[line["gain"].notna()]
            if len(gains):
                how = {**_look(state), "prefix": "gain_"}
                intervals(lower, gains, gains["strength"] + shift, "gain", **how)
        upper.set_title(title, fontsize=9)
        lower.set_xlabel("mean transmission")
    panels[0, 0].invert_xaxis()
    panels[0, 0].set_xticks((1, 0.8, 0.6, 0.4, 0.2), ("1\n(clear air)", "0.8", "0.6", "0.4", "0.2"))
    panels[0, 0].set_ylabel("F2, mean over pictures,\n95 % interval")
    panels[1, 0].set_ylabel("F2 minus that of\nthe hazy picture")
    for ax in panels.flat:
        ax.grid(axis="y")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


@styled
def sizes(table: pd.DataFrame, strength: float) -> Figure:
    """What dehazing adds to the hazy picture at each size that the network sees."""
    figure, ax = panel(5.6, 3.6)
    rows = table[(table["strength"] == strength) & (table["draw"] == 0)]
    rows = rows[(rows["trained"] == "same") & rows["gain"].notna()]
    pixels = sorted(rows["size"].unique(), reverse=True)
    ax.axhline(0, color=GREY, lw=0.8)
    states = ("dehazed", "dehazed-small", "dehazed-truth")
    for state, shift in zip(states, offsets(len(states), 0.12), strict=True):
        line = rows[rows["state"] == state].sort_values("size", ascending=False)
        at = [pixels.index(size) - shift for size in line["size"]]
        intervals(ax, line, at, "gain", **{**_look(state), "prefix": "gain_"})
    ax.set_xticks(range(len(pixels)), [f"{size} px" for size in pixels])
    ax.set_xlabel("side of the picture that the network sees")
    ax.set_ylabel("F2 minus that of the hazy picture,\n95 % interval over pictures")
    ax.set_title(f"Mean transmission {strength:g}", fontsize=9)
    ax.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


@styled
def labels(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """What dehazing adds to each label's F2; one panel for each haze strength, by its title."""
    figure = Figure(figsize=(3.9 * len(tables) + 0.8, 5.0))
    panels = figure.subplots(1, len(tables), sharey=True, sharex=True, squeeze=False)[0]
    order = np.argsort(-next(iter(tables.values()))["pictures"].to_numpy(), kind="stable")
    for ax, (title, table) in zip(panels, tables.items(), strict=True):
        table = table.iloc[order]
        at = rows_of(table)
        ax.axvline(0, color=GREY, lw=0.8)
        intervals(ax, table, at, "gain", fmt="o", ms=4, color=COLOURS["dehazed"], lw=1.2)
        names = [f"{tag} ({n})" for tag, n in zip(table["label"], table["pictures"], strict=True)]
        ax.set_yticks(at, names)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("F2, dehazed minus hazy,\n95 % interval over pictures")
        ax.grid(axis="x")
    panels[0].set_ylabel("label (pictures positive for it)")
    return figure


@styled
def examples(rows: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Pictures, one row for each state and strength, named at the left."""
    wide = max(len(row) for row in rows.values())
    figure = Figure(figsize=(1.5 * wide + 1.5, 1.5 * len(rows)))
    grid = figure.subplots(len(rows), wide, squeeze=False)
    for axes, (name, pictures) in zip(grid, rows.items(), strict=True):
        for ax, picture in zip(axes, pictures, strict=True):
            _picture(ax, picture)
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def _picture(ax: Axes, picture: np.ndarray) -> None:
    ax.imshow(picture, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


@styled
def fine_tuned(table: pd.DataFrame) -> Figure:
    """What dehazing, the choice and ridge add to F2; a mark for each seed.

    table  of `fine_tuned_scores.gains`, one protocol; 95 % intervals over pictures
    """
    titles = {
        "all": "all labels, haze and clear among them",
        "ground": "labels of the ground alone",
    }
    pairs = list(dict.fromkeys(zip(table["system"], table["baseline"], strict=True)))
    figure = Figure(figsize=(9.2, 0.52 * len(pairs) + 1.2))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, (labels, title) in zip(panels, titles.items(), strict=True):
        ax.axvline(0, color=GREY, lw=0.8)
        for y, (system, baseline) in zip(rows_of(pairs), pairs, strict=True):
            rows = table[(table["system"] == system) & (table["baseline"] == baseline)]
            colour = "original" if system.endswith(("ridge", "lasso")) else "dehazed"
            seeds_of(ax, rows[rows["labels"] == labels], y, 0.2, COLOURS[colour])
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("F2, difference, nested; 95 % interval of each seed")
        ax.grid(axis="x")
    names = [f"{system}\nminus {baseline}" for system, baseline in pairs]
    panels[0].set_yticks(rows_of(pairs), names, fontsize=8)
    return figure
