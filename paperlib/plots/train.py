"""Notebook 05: label counts, training curves, and figure 4, from chips to label sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..chips import SPLITS
from ..labels import ENGLISH
from . import COLOURS, _paper_flows, styled
from .shared import LOSS_NAMES, LOSS_STYLE, TEXT, arrow, box, ends, name_rows, note, panel, rows_of

SPLIT_COLOURS = {
    "train": COLOURS["original"],
    "validation": COLOURS["dehazed"],
    "test": COLOURS["published"],
}


@styled
def label_counts(counts: pd.DataFrame) -> Figure:
    """How many chips of each split are positive for each label, on a logarithmic scale.

    counts  `tables.label_counts`
    """
    labels = counts[counts["label"] != "chips"]
    totals = counts[counts["label"] == "chips"].iloc[0]
    figure, ax = panel(6.6, 4.6)
    where = rows_of(labels)
    shown = [split for split in SPLITS if totals[split]]
    for split in shown:
        number = labels[split].to_numpy()
        look = {"color": SPLIT_COLOURS[split], "ms": 5.5}
        ax.hlines(where, 0.5, np.maximum(number, 0.5), color="#EEEEEE", lw=1, zorder=1)
        name = f"{split}: {totals[split]:,} chips"
        ax.plot(np.where(number, number, np.nan), where, "o", label=name, **look)
    for at, number in zip(where, labels[shown[0]], strict=True):
        look = {"va": "center", "fontsize": 7, "color": TEXT}
        ax.text(max(number, 0.5) * 1.25, at, f"{number:,}", **look)
    name_rows(ax, where, [ENGLISH[tag] for tag in labels["label"]])
    most = max(labels[split].max() for split in shown)
    ax.set(xscale="log", xlim=(0.6, most * 3.2), xlabel="chips positive for the label")
    ax.legend(loc="lower right")
    return figure


@styled
def learning_curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss, F2 and learning rate over the epochs.

    history     columns `epoch`, `loss`, `val_loss`, `val_f2`, `rate`, of `runs.Run`
    best_epoch  row whose weights were saved
    """
    figure = Figure(figsize=(8.0, 2.7))
    axes = figure.subplots(1, 3)
    epoch = np.arange(1, len(history) + 1)
    red = COLOURS["bad"]
    axes[0].plot(epoch, history["loss"], color=COLOURS["original"], label="training")
    axes[0].plot(epoch, history["val_loss"], color=red, ls="--", label="validation")
    axes[0].set(ylabel="loss", title="Loss")
    axes[0].legend()
    axes[1].plot(epoch, history["val_f2"], color=red, ls="--")
    axes[1].set(ylabel="mean-over-chips F2", title="F2 at threshold 0.2, validation")
    axes[2].plot(epoch, history["rate"], color=COLOURS["ink"], drawstyle="steps-mid")
    axes[2].set(ylabel="learning rate", title="Adam's rate", yscale="log")
    for ax, column in zip(axes[:2], ("val_loss", "val_f2"), strict=True):
        best = epoch[best_epoch], history[column].iloc[best_epoch]
        ax.plot(*best, "o", mfc="white", color=red, ms=7)
        ax.grid(axis="y")
    look = {"ha": "center", "va": "baseline", "fontsize": 8, "color": red}
    note(axes[1], best, "saved", (0, -14), **look)
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


@styled
def all_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """F2 on validation over the epochs for each network of a grid: a line each.

    histories  candidate -> history; the name's first word is the variant
    """
    figure, ax = panel(6.4, 3.2)
    for name, history in histories.items():
        variant, loss = name.split(", ")[:2]
        look = {"color": COLOURS.get(variant, COLOURS["good"])}
        look["ls"] = LOSS_STYLE[loss][2] if loss in LOSS_STYLE else "-."
        label = ", ".join([variant, LOSS_NAMES.get(loss, loss), *name.split(", ")[2:]])
        ax.plot(np.arange(1, len(history) + 1), history["val_f2"], label=label, **look)
    ax.set(xlabel="epoch", ylabel="mean-over-chips F2\nat threshold 0.2, validation")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.grid(axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    return figure


#: Fractions of the folds that figure 4's key explains.
FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)


@styled
def training_and_prediction(
    scores: pd.DataFrame,
    choices: pd.DataFrame,
    steps: Sequence[str],
    made: Mapping[str, Sequence[float]],
    counts: Mapping[str, int],
    title: str,
) -> Figure:
    """Figure 4: from two copies of the chips to one set of labels, with what ran and was chosen.

    scores   `families.scores`: one row per candidate and seed; the first seed has its interval.
             Rows of other networks than `title` are drawn as seeds alone
    choices  `families.choices`
    steps    what happens after the networks, top to bottom
    made     name of a system -> its F2 and the ends of its interval
    counts   part of the chips -> how many
    title    the design of the networks
    """
    own = scores[scores["networks"] == title]
    names = list(dict.fromkeys(own["candidate"]))
    rows = len(names)
    first = own.drop_duplicates("candidate").set_index("candidate")
    high, above = 2.0 + 0.46 * max(rows, 5), 1.9
    whole = Figure(figsize=(8.8, high + above))
    top, figure = whole.subfigures(2, 1, height_ratios=(above, high))
    _paper_flows.draw(top, _paper_flows.TRAINING)
    grid = figure.add_gridspec(1, 4, width_ratios=(2.05, 1.7, 2.9, 1.7), wspace=0.02)
    flow, dots, matrix, after = (figure.add_subplot(grid[0, i]) for i in range(4))
    place = {name: rows - 1 - i for i, name in enumerate(names)}
    limits = (-0.75, rows - 0.25)

    # left: the copies of the chips, and the networks trained on each
    flow.set(xlim=(0, 5), ylim=limits)
    flow.axis("off")
    for variant in dict.fromkeys(name.split(", ")[0] for name in names):
        mine = [place[n] for n in names if n.split(", ")[0] == variant]
        middle = float(np.mean(mine))
        colour = COLOURS.get(variant, COLOURS["good"])
        box(
            flow,
            0.75,
            middle,
            f"{variant}\nchips",
            width=1.35,
            height=min(0.8, 0.2 * rows),
            colour=colour,
        )
        for name, y in ((n, place[n]) for n in names if n.split(", ")[0] == variant):
            loss = name.split(", ")[1]
            text = LOSS_NAMES.get(loss, loss)
            box(flow, 3.3, y, text, width=2.2, height=min(0.6, 0.15 * rows), colour=colour)
            arrow(flow, (1.45, middle), (2.18, y))
            arrow(flow, (4.42, y), (4.98, y))
    parts = ", ".join(f"{n:,} {part}" for part, n in counts.items() if n)
    flow.set_title("Two copies of the chips,\na network for each loss\n", fontsize=8.5)

    # how good each candidate is on validation
    whose = []
    for name, y in place.items():
        row, colour = first.loc[name], COLOURS.get(name.split(", ")[0], COLOURS["good"])
        for networks, others in scores[scores["candidate"] == name].groupby("networks"):
            if len(others) > 1:
                at = np.full(len(others), y)
                dots.plot(others["f2"], at, "|", color=COLOURS["highlight"], ms=10, mew=1.4)
                whose.append(networks)
        dots.errorbar(
            row["f2"],
            y,
            xerr=ends(first.loc[[name]]),
            fmt="o",
            ms=4,
            color=colour,
            capsize=2.5,
            lw=1.2,
        )
    dots.set(
        ylim=limits, yticks=[], xlabel="mean-over-chips F2,\n95 % interval over chips,\nnested"
    )
    dots.spines["left"].set_visible(False)
    dots.margins(x=0.08)
    dots.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    dots.tick_params(axis="x", labelsize=7)
    dots.grid(axis="x")
    dots.set_title("On validation\n\n", fontsize=8.5)
    if whose:
        of = "" if whose[0] == title else f" of\n{whose[0]}"
        dots.text(
            0.0,
            rows - 0.3,
            f"| each seed{of}",
            transform=dots.get_yaxis_transform(),
            fontsize=7,
            color=COLOURS["highlight"],
            va="bottom",
        )

    # which of them each label comes from
    labels = list(choices["label"])
    for x, row in enumerate(choices.itertuples()):
        for y in place.values():
            matrix.plot(x, y, ".", color="#DDDDDD", ms=3, zorder=1)
        colour = COLOURS.get(row.candidate.split(", ")[0], COLOURS["good"])
        matrix.plot(
            x,
            place[row.candidate],
            "s",
            ms=8.5,
            mfc=colour,
            mec=colour,
            alpha=0.25 + 0.75 * row.fraction,
            zorder=3,
        )
        matrix.plot([x, x], [-0.75, place[row.candidate]], color="#CCCCCC", lw=0.7, zorder=0)
    matrix.set(ylim=limits, xlim=(-0.7, len(labels) - 0.3), yticks=[])
    matrix.set_xticks(range(len(labels)), [ENGLISH[t] for t in labels], rotation=90, fontsize=7)
    matrix.spines[:].set_visible(False)
    matrix.tick_params(length=0)
    matrix.set_title("The choice for each label\n\n", fontsize=8.5)
    key = [
        matrix.plot(
            [], [], "s", ms=7, mfc=COLOURS["ink"], mec=COLOURS["ink"], alpha=0.25 + 0.75 * a
        )
        for a in FRACTIONS
    ]
    matrix.legend(
        [lines[0] for lines in key],
        [f"{a:g}" for a in FRACTIONS],
        title="fraction of the folds that agree",
        title_fontsize=7,
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.985),
        borderaxespad=0,
        ncols=len(FRACTIONS),
        fontsize=7,
        handletextpad=0.1,
        columnspacing=0.9,
        alignment="left",
    )

    # integration, recalibration, thresholds
    scored = [
        f"{name}\nF2 {value:.4f} [{low:.4f}, {high:.4f}]"
        for name, (value, low, high) in made.items()
    ]
    texts = [*steps, *scored]
    heights = [0.4 + 0.28 * (text.count("\n") + 1) for text in texts]
    gap = 0.5
    near = 0.16  # between the systems, which stand beside each other and not in a row
    top = sum(heights) + gap * len(steps) + near * max(len(made) - 1, 0)
    after.set(xlim=(-0.5, 4), ylim=(-0.05, top + 0.05))
    after.axis("off")
    for number, (text, height) in enumerate(zip(texts, heights, strict=True)):
        y = top - height / 2
        ends_here = number >= len(steps)
        colour = COLOURS["published"] if number > len(steps) else COLOURS["good"]
        box(after, 2.1, y, text, width=3.7, height=height, colour=colour, size=6.8)
        if not number:
            arrow(after, (-0.45, y), (0.23, y))  # from the choice for each label
        elif number <= len(steps):
            arrow(after, (2.1, top + gap), (2.1, top + 0.04))
        top -= height + (near if ends_here else gap)
    after.set_title("Put together\n\n", fontsize=8.5)
    figure.suptitle(f"Here, as it ran: {title}; {parts} chips", fontsize=8.5, color="#555555")
    return whole
