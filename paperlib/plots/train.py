"""Notebook 05: what there is to learn from, and how learning went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..chips import SPLITS
from ..labels import ENGLISH
from . import COLOURS, styled

SPLIT_COLOURS = {
    "train": COLOURS["original"],
    "validation": COLOURS["dehazed"],
    "test": COLOURS["published"],
}


@styled
def label_counts(counts: pd.DataFrame) -> Figure:
    """How many chips of each split carry each label, on a logarithmic scale.

    counts  `tables.label_counts`
    """
    labels = counts[counts["label"] != "chips"]
    totals = counts[counts["label"] == "chips"].iloc[0]
    figure = Figure(figsize=(6.6, 4.6))
    ax = figure.add_subplot()
    where = np.arange(len(labels))[::-1]
    shown = [split for split in SPLITS if totals[split]]
    for split in shown:
        number = labels[split].to_numpy()
        note = f"{split}: {totals[split]:,} chips"
        ax.hlines(where, 0.5, np.maximum(number, 0.5), color="#EEEEEE", lw=1, zorder=1)
        ax.plot(
            np.where(number, number, np.nan),
            where,
            "o",
            color=SPLIT_COLOURS[split],
            ms=5.5,
            label=note,
        )
    for at, number in zip(where, labels[shown[0]], strict=True):
        ax.text(
            max(number, 0.5) * 1.25, at, f"{number:,}", va="center", fontsize=7, color="#555555"
        )
    ax.set_yticks(where, [ENGLISH[tag] for tag in labels["label"]])
    most = max(labels[split].max() for split in shown)
    ax.set(xscale="log", xlim=(0.6, most * 3.2), xlabel="chips that carry the label")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.legend(loc="lower right")
    return figure


@styled
def learning_curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss, F2 and learning rate over the epochs.

    history     columns `epoch`, `loss`, `val_loss`, `val_f2`, `rate`, of `runs.Run`
    best_epoch  row whose weights were kept
    """
    figure = Figure(figsize=(8.0, 2.7))
    axes = figure.subplots(1, 3)
    epoch = np.arange(1, len(history) + 1)
    axes[0].plot(epoch, history["loss"], color=COLOURS["original"], label="training")
    axes[0].plot(epoch, history["val_loss"], color=COLOURS["bad"], ls="--", label="validation")
    axes[0].set(ylabel="loss", title="Loss")
    axes[0].legend()
    axes[1].plot(epoch, history["val_f2"], color=COLOURS["bad"], ls="--")
    axes[1].set(ylabel="mean-over-chips F2", title="F2 at threshold 0.2, validation")
    axes[2].plot(epoch, history["rate"], color=COLOURS["ink"], drawstyle="steps-mid")
    axes[2].set(ylabel="learning rate", title="Adam's rate", yscale="log")
    for ax, column in zip(axes[:2], ("val_loss", "val_f2"), strict=True):
        ax.plot(
            epoch[best_epoch],
            history[column].iloc[best_epoch],
            "o",
            mfc="white",
            color=COLOURS["bad"],
            ms=7,
        )
        ax.grid(axis="y")
    axes[1].annotate(
        "kept",
        (epoch[best_epoch], history["val_f2"].iloc[best_epoch]),
        xytext=(0, -14),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color=COLOURS["bad"],
    )
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


@styled
def all_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """F2 on validation over the epochs for each network of a grid: a line each.

    histories  candidate -> history; the name's first word is the variant
    """
    figure = Figure(figsize=(6.4, 3.2))
    ax = figure.add_subplot()
    dashes = {"log": "-", "f2": "--", "hard": ":"}
    for name, history in histories.items():
        variant, loss = name.split(", ")[:2]
        ax.plot(
            np.arange(1, len(history) + 1),
            history["val_f2"],
            label=name,
            color=COLOURS.get(variant, COLOURS["good"]),
            ls=dashes.get(loss, "-."),
        )
    ax.set(xlabel="epoch", ylabel="mean-over-chips F2\nat threshold 0.2, validation")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.grid(axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    return figure
