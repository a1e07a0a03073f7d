"""Notebook 04: how F2 weighs errors, what thresholds do, and what a loss does to one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit

from . import COLOURS, styled
from .shared import LOSS_NAMES, LOSS_STYLE, iso_f2, root

Array = np.ndarray


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
        left.text(2.5 * k, misses[k] - 0.055, f"{k} = {4 * k}", ha="center", fontsize=7.5)
    left.set(
        xlabel="errors on the chip",
        ylabel="F2 of the chip",
        ylim=(0, 1.04),
        title=f"{hits} labels found, and some errors",
    )
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
    together    `(L,)` threshold for the mean-over-chips F2; NaN: the label is given to no chip
    names       of the labels;  counts  `(L,)` chips that carry each
    bands       place of a label -> ends of its 95 % interval, `(T,)` each: where few chips carry it
    """
    columns = 6
    rows = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(8.4, 1.55 * rows))
    axes = figure.subplots(rows, columns, sharex=True, sharey=True).ravel()
    looks = {
        "F2": {"color": COLOURS["ink"], "ls": "-", "lw": 1.2},
        "best for the label": {"color": COLOURS["original"], "ls": "-", "lw": 1.2},
        "best for the\nmean over chips": {"color": COLOURS["bad"], "ls": "--", "lw": 1.2},
    }
    curve, alone, mean = looks.values()
    for label, ax in enumerate(axes[: len(names)]):
        ax.plot(thresholds, curves[:, label], **curve)
        if bands and label in bands:
            ax.fill_between(thresholds, *bands[label], color=COLOURS["ink"], alpha=0.18, lw=0)
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
    axes[0].set_xscale("function", functions=(root, np.square))
    axes[0].set(xlim=(0, 1), ylim=(0, 1.02), yticks=(0, 0.5, 1))
    axes[0].set_xticks((0, 0.05, 0.2, 0.5, 1), ("0", ".05", ".2", ".5", "1"))
    for ax in axes[len(names) - columns : len(names)]:
        ax.tick_params(labelbottom=True)
    handles = [axes[-1].plot([], [], **how)[0] for how in looks.values()]
    labels = [*looks]
    if bands:
        handles.append(axes[-1].fill_between([], [], [], color=COLOURS["ink"], alpha=0.18, lw=0))
        labels.append("95 % interval\n(few chips)")
    axes[-1].legend(
        handles,
        labels,
        loc="center left",
        bbox_to_anchor=(-0.1, 0.5),
        fontsize=7,
    )
    figure.supxlabel("threshold (probability; square-root scale)", fontsize=9)
    figure.supylabel("F2 of the label (in brackets: chips that carry it)", fontsize=9)
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
    for value, colour in ((0, COLOURS["published"]), (1, COLOURS["dehazed"])):
        name = "with the label" if value else "without it"
        bins = np.linspace(*ends, 60)
        chips.hist(score[truth == value], bins, color=colour, alpha=0.5, lw=0, label=name)
    chips.set(xlabel="score of the chip", ylabel="chips", xlim=ends)
    chips.legend(loc="upper right", fontsize=7)
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
