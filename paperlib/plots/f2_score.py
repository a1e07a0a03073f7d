"""Notebook 04: what F2 charges for errors, F2 against thresholds, what each loss learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import seaborn
from matplotlib.figure import Figure
from scipy.special import expit

from . import COLOURS, styled
from .shared import LOSS_NAMES, LOSS_STYLE, Array, iso_f2, root_scale


class Learnt(Protocol):
    """What a loss learns of one label: `teaching.f2_score.Learnt`."""

    slope: float
    offset: float
    precision: float
    recall: float
    f2: float


@styled
def f2_weighs(errors: Array, misses: Array, false_alarms: Array, hits: int) -> Figure:
    """What errors cost on one chip, and the lines of equal F2.

    errors                 `(E,)` number of errors
    misses, false_alarms   `(E,)` F2 of a chip with `hits` labels found and that many of either
    """
    figure = Figure(figsize=(6.8, 3.0))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    for values, name, colour, marker in (
        (false_alarms, "false alarms", COLOURS["original"], "s"),
        (misses, "labels missed", COLOURS["bad"], "o"),
    ):
        left.plot(errors, values, marker=marker, ms=4.5, color=colour, label=name)
    for k in range(1, int(errors[-1]) // 4 + 1):
        left.plot([k, 4 * k], [misses[k], false_alarms[4 * k]], color=COLOURS["ink"], ls=":", lw=1)
        text = f"{k} missed = {4 * k} false"
        left.text(2.5 * k + 0.25, misses[k] - 0.055, text, ha="center", fontsize=7)
    left.set(xlabel="errors on the chip", ylabel="F2 of the chip", ylim=(0, 1.04))
    left.set_title(f"{hits} labels found, and some errors")
    left.legend(loc="lower left")
    left.grid(axis="y")
    iso_f2(right)
    right.set_title("Equal F2")
    return figure


@styled
def threshold_curves(
    thresholds: Array,
    curves: Array,
    best: Array,
    together: Array,
    names: Sequence[str],
    counts: Array,
    bands: Mapping[int, tuple[Array, Array]] | None = None,
) -> Figure:
    """F2 of each label against its threshold: small multiples, on a square-root scale.

    thresholds  `(T,)`;  curves  `(T, L)` binary F2
    best        `(L,)` threshold with the highest F2 of the label
    together    `(L,)` threshold for the mean-over-chips F2; NaN: the label is predicted for no chip
    names       of the labels;  counts  `(L,)` chips that are positive for each
    bands       index of a label -> bounds of its 95 % interval, `(T,)` each: labels of few chips
    """
    columns = 6
    rows = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(8.4, 1.55 * rows))
    axes = figure.subplots(rows, columns, sharex=True, sharey=True).ravel()
    curve = {"color": COLOURS["ink"], "ls": "-", "lw": 1.2, "label": "F2"}
    alone = {**curve, "color": COLOURS["original"], "label": "best for the label"}
    mean = {"color": COLOURS["bad"], "ls": "--", "lw": 1.2}
    mean["label"] = "best for the\nmean over chips"
    band = {"color": COLOURS["ink"], "alpha": 0.18, "lw": 0, "label": "95 % interval\n(few chips)"}
    for label, ax in enumerate(axes[: len(names)]):
        ax.plot(thresholds, curves[:, label], **curve)
        if bands and label in bands:
            ax.fill_between(thresholds, *bands[label], **band)
        ax.axvline(np.clip(best[label], 0, 1), **alone)
        if np.isnan(together[label]):
            text = "for the mean over\nchips: never given"
            ax.text(1, 0.97, text, ha="right", va="top", fontsize=6.5, color=COLOURS["bad"])
        else:
            ax.axvline(np.clip(together[label], 0, 1), **mean)
        ax.set_title(f"{names[label]}  ({counts[label]:,})", fontsize=7, weight="normal")
        ax.grid(axis="y")
    for ax in axes[len(names) :]:
        ax.axis("off")
    root_scale(axes[0], (0, 0.05, 0.2, 0.5, 1), ("0", ".05", ".2", ".5", "1"))
    axes[0].set(xlim=(0, 1), ylim=(0, 1.02), yticks=(0, 0.5, 1))
    for ax in axes[len(names) - columns : len(names)]:
        ax.tick_params(labelbottom=True)
    for look in (curve, alone, mean):
        axes[-1].plot([], [], **look)
    if bands:
        axes[-1].fill_between([], [], [], **band)
    axes[-1].legend(loc="center left", bbox_to_anchor=(-0.1, 0.5), fontsize=7)
    figure.supxlabel("threshold (probability; square-root scale)", fontsize=9)
    figure.supylabel("F2 of the label (in brackets: chips positive for it)", fontsize=9)
    return figure


@styled
def losses_on_one_label(score: Array, truth: Array, learnt: Mapping[str, Learnt]) -> Figure:
    """The probabilities that each loss learns, and where on the common curve each one stands.

    F2 in the legend is that of threshold 0.5; below on the left, how many chips have each score.

    score, truth  `(N,)` of `f2_score.world`
    learnt        loss -> what it learns
    """
    figure = Figure(figsize=(7.4, 3.5))
    halves = figure.add_gridspec(1, 2, width_ratios=(1.25, 1))
    parts = halves[0].subgridspec(2, 1, height_ratios=(2.6, 1))
    left, chips = figure.add_subplot(parts[0]), figure.add_subplot(parts[1])
    right = figure.add_subplot(halves[1])
    ends = score.min(), score.max()
    names = np.where(truth, "with the label", "without it")
    colours = {"with the label": COLOURS["dehazed"], "without it": COLOURS["published"]}
    look = {"palette": colours, "hue_order": colours, "alpha": 0.5, "lw": 0}
    seaborn.histplot(x=score, hue=names, bins=59, binrange=ends, ax=chips, **look)
    seaborn.move_legend(chips, "upper right", title=None, fontsize=7)
    chips.set(xlabel="score of the chip", ylabel="chips", xlim=ends)
    iso_f2(right)
    order = np.argsort(-score)
    hits = np.cumsum(truth[order])
    right.plot(hits / truth.sum(), hits / np.arange(1, len(hits) + 1), color=COLOURS["ink"], lw=1.2)
    grid = np.linspace(*ends, 400)
    for name, what in learnt.items():
        colour, marker, dashes = LOSS_STYLE[name]
        point = {"marker": marker, "color": colour, "ms": 8, "mec": "white"}
        left.plot(grid, expit(what.slope * grid + what.offset), color=colour, ls=dashes, lw=1.8)
        right.plot(what.recall, what.precision, **point, zorder=5)
        left.plot([], [], ls=dashes, lw=1.8, **point, label=f"{LOSS_NAMES[name]}, F2 {what.f2:.2f}")
    left.axhline(0.5, color="#999999", lw=0.7)
    left.set(ylabel="probability learnt", xlim=ends, ylim=(0, 1.02), title="What each loss learns")
    left.tick_params(labelbottom=False)
    left.legend(loc="upper left", fontsize=7, handlelength=4.2)
    right.set_title("Where threshold 0.5 then stands")
    return figure
