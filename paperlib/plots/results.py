"""Notebook 08: table 1, the overall score, precision and recall, reliability, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..labels import ENGLISH, GROUP
from . import COLOURS, ends, styled
from .scoring import iso_f2

Array = np.ndarray
PROTOCOL = {
    "paper": (COLOURS["published"], "s", "paper's protocol (same chips)"),
    "nested": (COLOURS["original"], "o", "nested"),
    "test": (COLOURS["good"], "D", "test chips"),
}
GROUP_COLOURS = {
    "weather": COLOURS["light"],
    "common": COLOURS["original"],
    "rare": COLOURS["bad"],
}


@styled
def table1(table: pd.DataFrame) -> Figure:
    """Table 1 as a picture: binary F2 of each label with its interval, beside the printed number.

    table  `summary.table1`
    """
    figure = Figure(figsize=(6.8, 4.8))
    ax = figure.add_subplot()
    where = np.arange(len(table))[::-1]
    ax.barh(where, table["f2_nested"], height=0.62, color=COLOURS["light"], alpha=0.55)
    ax.errorbar(
        table["f2_nested"],
        where,
        xerr=ends(table, "f2_nested"),
        fmt="o",
        ms=4,
        color=COLOURS["original"],
        capsize=2.5,
        lw=1.2,
        label="here, nested, 95 % interval",
    )
    ax.plot(
        table["f2_paper_protocol"],
        where,
        "|",
        ms=11,
        mew=1.6,
        color=COLOURS["good"],
        label="here, paper's protocol",
    )
    ax.plot(
        table["published"],
        where,
        "D",
        ms=5,
        mfc="white",
        mew=1.3,
        color=COLOURS["bad"],
        label="printed in table 1",
    )
    names = [
        f"{ENGLISH[tag]} ({count:,})"
        for tag, count in zip(table["label"], table["chips"], strict=True)
    ]
    ax.set_yticks(where, names)
    ax.tick_params(axis="y", length=0)
    ax.set(
        xlim=(0, 1.0),
        ylim=(-0.6, len(table) - 0.4),
        xlabel="F2 of the label (and chips that carry it)",
    )
    ax.grid(axis="x")
    ax.legend(loc="lower center", bbox_to_anchor=(0.42, 1.0), ncols=3, columnspacing=1.2)
    return figure


@styled
def overall(
    table: pd.DataFrame, published: float, constant: float, seeds: pd.DataFrame | None = None
) -> Figure:
    """Mean-over-chips F2 of each system on each protocol, with intervals.

    table      `families.Evaluation.overall`; without a column `networks` nothing is grouped
    published  the paper's headline;  constant  F2 of the best constant prediction on these chips
    seeds      columns `system`, `seed`, `f2` (nested): a line for each
    """
    systems = list(dict.fromkeys(table["system"]))
    networks = dict(zip(table["system"], table.get("networks", table["system"]), strict=True))
    grouped = "networks" in table
    place, y, last = {}, 0.0, None
    headings = {}
    for system in systems:
        if grouped and networks[system] != last:
            y -= 0.75
            headings[y + 0.3] = networks[system]
            y -= 0.35
            last = networks[system]
        place[system] = y
        y -= 0.72
    figure = Figure(figsize=(7.4, 1.1 + 0.44 * -y))
    ax = figure.add_subplot()
    protocols = [p for p in PROTOCOL if (table["protocol"] == p).any()]
    gap = 0.22
    for number, protocol in enumerate(protocols):
        colour, marker, name = PROTOCOL[protocol]
        rows = table[table["protocol"] == protocol]
        at = [place[s] + gap * ((len(protocols) - 1) / 2 - number) for s in rows["system"]]
        if protocol == "nested" and seeds is not None and seeds["seed"].nunique() > 1:
            row_of = dict(zip(rows["system"], at, strict=True))
            where = [row_of.get(s, np.nan) for s in seeds["system"]]
            ax.plot(
                seeds["f2"], where, "|", ms=8, mew=1.2, color=COLOURS["ink"], label="nested, seeds"
            )
        ax.errorbar(
            rows["f2"],
            at,
            xerr=ends(rows),
            fmt=marker,
            ms=4.5,
            color=colour,
            capsize=2.5,
            lw=1.2,
            label=name,
        )
        for x, y, value in zip(rows["high"], at, rows["f2"], strict=True):
            ax.text(x, y, f"  {value:.4f}", va="center", fontsize=6.5, color=colour)
    top, bottom = 0.0 if grouped else 0.55, min(place.values()) - 0.5
    ax.axvline(published, color=COLOURS["bad"], lw=1.2, ls="--")
    ax.text(
        published,
        top,
        f"printed\n{published:.5f}",
        color=COLOURS["bad"],
        fontsize=7.5,
        ha="center",
        va="bottom",
    )
    span = max(table["high"].max(), published) - table["low"].min()
    low = table["low"].min() - 0.06 * span
    if constant > low:
        ax.axvline(constant, color="#999999", lw=1, ls=":")
        ax.text(
            constant,
            top,
            "best\nconstant",
            color="#777777",
            fontsize=7.5,
            ha="center",
            va="bottom",
        )
        low = min(low, constant)
    for y, text in headings.items():
        ax.text(
            0.0,
            y,
            text,
            fontsize=7.5,
            color="#666666",
            va="center",
            ha="left",
            transform=ax.get_yaxis_transform(),
        )
        ax.axhline(y + 0.28, color="#DDDDDD", lw=0.7)
    ax.set_yticks(list(place.values()), [_within(s, networks[s]) for s in place])
    ax.set(
        ylim=(bottom, top),
        xlabel="mean-over-chips F2, 95 % interval",
        xlim=(low, max(table["high"].max(), published) + 0.16 * span),
    )
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _within(system: str, networks: str) -> str:
    """A system's name without the title that already stands above its group."""
    if system == networks:
        return "one network"
    return system.removeprefix(f"{networks}, ")


@styled
def precision_recall(table: pd.DataFrame) -> Figure:
    """Each label at its precision and recall, over lines of equal F2.

    table  `summary.table1`
    """
    figure = Figure(figsize=(5.4, 5.0))
    ax = figure.add_subplot()
    iso_f2(ax)
    table = table[table["chips"] > 0]
    for group, colour in GROUP_COLOURS.items():
        rows = table[[GROUP[tag] == group for tag in table["label"]]]
        ax.scatter(
            rows["recall"],
            rows["precision"],
            s=14 + 10 * np.log10(rows["chips"] + 1),
            color=colour,
            label=group,
            zorder=4,
            clip_on=False,
            ec="white",
            lw=0.6,
        )
    _spread(ax, table)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _spread(ax: Axes, table: pd.DataFrame) -> None:
    """Names beside the points, each at the nearest place where it covers nothing."""
    points = list(zip(table["recall"], table["precision"], strict=True))
    boxes = [(x - 0.012, y - 0.012, x + 0.012, y + 0.012) for x, y in points]
    places = [
        (reach * np.cos(angle), reach * np.sin(angle))
        for reach in np.arange(0.02, 0.4, 0.01)
        for angle in np.deg2rad((0, 180, 25, -25, 155, 205, 60, -60, 120, 240, 90, 270))
    ]
    for (x, y), tag in zip(points, table["label"], strict=True):
        name, half = ENGLISH[tag], 0.016
        width = 0.0135 * len(name)
        for dx, dy in places:
            left = x + dx - (width if dx < -1e-9 else 0 if dx > 0.01 else width / 2)
            box = (left, y + dy - half, left + width, y + dy + half)
            inside = box[0] > 0.005 and box[1] > 0.005 and box[2] < 1.16 and box[3] < 1.0
            clear = all(
                box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes
            )
            if inside and clear:
                break
        boxes.append(box)
        far = np.hypot(dx, dy) > 0.035
        ax.annotate(
            name,
            (x, y),
            (left, y + dy),
            fontsize=7,
            va="center",
            zorder=5,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#888888"} if far else None,
        )


@styled
def reliability(curves: Mapping[str, pd.DataFrame], errors: Mapping[str, float]) -> Figure:
    """Given probability against observed frequency, and how often each probability is given.

    curves  name -> `summary.reliability`;  errors  name -> `summary.calibration_error`
    """
    figure = Figure(figsize=(4.6, 5.0))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    top.plot([0, 1], [0, 1], color="#AAAAAA", lw=1)
    top.text(
        0.8,
        0.73,
        "calibrated",
        rotation=45,
        fontsize=7,
        color="#888888",
        ha="center",
        rotation_mode="anchor",
        transform_rotates_text=True,
    )
    looks = (
        (COLOURS["original"], "o", "-"),
        (COLOURS["bad"], "s", "--"),
        (COLOURS["good"], "^", ":"),
    )
    for (name, curve), (colour, marker, dashes) in zip(curves.items(), looks, strict=False):
        top.errorbar(
            curve["probability"],
            curve["frequency"],
            yerr=ends(curve, "frequency"),
            fmt=marker,
            ls=dashes,
            ms=4.5,
            lw=1.2,
            capsize=2,
            color=colour,
            label=f"{name}: mean distance {errors[name]:.3f}",
        )
        bottom.plot(
            curve["probability"],
            curve["count"],
            marker=marker,
            ls=dashes,
            ms=3.5,
            lw=1,
            color=colour,
        )
    top.set(ylabel="share of labels that are there", xlim=(0, 1), ylim=(0, 1))
    figure.legend(loc="outside upper left")
    bottom.set(yscale="log", xlabel="probability given", ylabel="predictions")
    bottom.grid(axis="y")
    return figure


@styled
def thresholds(labels: Sequence[str], folds: Array, whole: Array) -> Figure:
    """Thresholds chosen on each fold and on all chips: how much they depend on the chips.

    labels  the L tags;  folds  `(K, L)`;  whole  `(L,)`
    """
    figure = Figure(figsize=(6.2, 4.2))
    ax = figure.add_subplot()
    where = np.arange(len(labels))[::-1]
    inside = np.clip(folds, 0, 1)
    ax.hlines(
        where,
        inside.min(0),
        inside.max(0),
        color=COLOURS["light"],
        lw=5,
        alpha=0.7,
        label="range over the folds",
    )
    for row in inside:
        ax.plot(row, where, ".", color=COLOURS["original"], ms=4)
    ax.plot(
        np.clip(whole, 0, 1),
        where,
        "|",
        color=COLOURS["bad"],
        ms=11,
        mew=2,
        label="all validation chips",
    )
    ax.axvline(0.2, color="#999999", lw=0.9, ls=":")
    ax.text(0.2, len(labels) - 0.4, "0.2", fontsize=7.5, color="#777777", ha="center", va="bottom")
    ax.set_yticks(where, [ENGLISH[tag] for tag in labels])
    ax.set(xlim=(0, 1), ylim=(-0.6, len(labels) - 0.4), xlabel="threshold (probability)")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.legend(loc="lower right")
    return figure
