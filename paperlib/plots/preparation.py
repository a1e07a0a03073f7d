"""Notebook 03: figure 3, from a chip to what a network sees."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..labels import ENGLISH
from . import COLOURS, _paper_flows, styled
from .shared import arrow, box


class Shown(Protocol):
    """A transformed chip and what was drawn for it: `teaching.preparation.Shown`."""

    picture: np.ndarray
    grid: np.ndarray
    motion: Any


#: Lines of the net that figure 3 draws over a chip, 0 … 255 (`teaching.preparation.coordinates`).
GRID_LINES = (26, 77, 128, 179, 230)


def _said(name: str, shown: Shown) -> str:
    """What was drawn for a transform, in one or two short lines."""
    did, side = shown.motion, len(shown.picture)
    turn, growth = f"{did.turn:+.0f}°", f"{100 * did.growth:+.0f} %"
    bend = f"{did.bend * side:.1f} px"
    words = {"rotation": turn, "resize": growth, "elastic": bend}
    if name == "all":
        mirror = "mirror " if did.mirrored else ""
        words[name] = f"{mirror}{turn}\n{growth}, {bend}"
    return words.get(name, "").replace("-", "−")


@styled
def preparation(
    chip: np.ndarray,
    dehazed: np.ndarray,
    small: tuple[np.ndarray, np.ndarray],
    transforms: Mapping[str, Sequence[Shown]],
    views: np.ndarray,
    probability: pd.DataFrame,
    *,
    tags: Collection[str],
    averaged: int,
) -> Figure:
    """Figure 3: from a chip to what a network sees while it learns, and when it is asked.

    chip, dehazed  `(S, S, 3)` at full size;  small  both at the network's size
    transforms     `teaching.preparation.extremes`
    views          `(8, S, S, 3)`, `views.symmetries`
    probability    a row per view, a column per label: what a network says of each view
    tags           the labels that the chip has
    averaged       how many of the views the network averages as it is released
    """
    wide, high, above = 8.4, 7.2, 2.0
    tall = wide / high
    whole = Figure(figsize=(wide, high + above))
    whole.set_layout_engine("none")  # every place is given, in hundredths of width and height
    top, figure = whole.subfigures(2, 1, height_ratios=(above, high))
    _paper_flows.draw(top, _paper_flows.PREPARATION)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, 100), ylim=(0, 100))
    canvas.axis("off")
    grey = "#555555"

    def picture(image: np.ndarray, x: float, y: float, side: float, title: str = "") -> Axes:
        """A picture with its lower left corner at (x, y), `side` hundredths of the width wide."""
        ax = figure.add_axes((x / 100, y / 100, side / 100, side / 100 * tall))
        ax.imshow(image, interpolation="none")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color="#888888", linewidth=0.6)
        if title:
            ax.set_title(title, fontsize=7.5, fontweight="normal", loc="center", pad=2.5)
        return ax

    def note(x: float, y: float, text: str, **options: str) -> None:
        canvas.text(x, y, text, fontsize=7.5, va="center", linespacing=1.3, **options)

    def heading(y: float, text: str) -> None:
        canvas.text(1.5, y, text, fontsize=9.5, fontweight="bold", va="center")

    heading(98, "Here, once, before training: two copies of every chip")
    side, rows = 11.5, (87.6, 71.2)  # the middle of the original's way, and of the dehazed copy's
    middle = sum(rows) / 2
    picture(chip, 3, middle - 9 * tall, 18, f"chip, {chip.shape[0]} px")
    canvas.plot([21.5, 25, 25], [middle, middle, rows[0]], color="#666666", lw=0.9)
    canvas.plot([25, 25], [middle, rows[1]], color="#666666", lw=0.9)
    arrow(canvas, (25, rows[0]), (60, rows[0]))
    note(42, rows[0] + 1.9, "change of size", ha="center", color=grey)
    arrow(canvas, (25, rows[1]), (38, rows[1]))
    note(31.3, rows[1] + 3.2, "dehaze\n(equations 1–9)", ha="center", color=grey)
    picture(dehazed, 38.5, rows[1] - side / 2 * tall, side, f"dehazed, {dehazed.shape[0]} px")
    arrow(canvas, (50.5, rows[1]), (60, rows[1]))
    note(55, rows[1] + 1.9, "change of size", ha="center", color=grey)
    for y, image, name in zip(rows, small, ("original", "dehazed"), strict=True):
        picture(image, 60.5, y - side / 2 * tall, side)
        note(73.5, y, f"{name}, {image.shape[0]} px")
    note(73.5, middle, "a network learns from one of the two", color=grey)

    heading(60.4, "While it learns: random transforms, drawn anew each time a chip is shown")
    side, gap = 8.2, 0.5
    x, spans = 2.0, {}
    for name, drawn in transforms.items():
        width = len(drawn) * (side + gap) - gap
        spans[name] = x, x + width
        label = {"all": "all, in this order", "resize": "zoom (ours)"}.get(name, name)
        box(canvas, x + width / 2, 56.3, label, width=width, height=3.6, colour="#0072B2", size=7)
        for k, shown in enumerate(drawn):
            left = x + k * (side + gap)
            ax = picture(shown.picture, left, 43.9, side)
            for channel in range(2):  # a net over the chip, carried along with it
                ax.contour(
                    shown.grid[..., channel], GRID_LINES, colors="white", linewidths=0.6, alpha=0.75
                )
            canvas.text(
                left + side / 2, 43.2, _said(name, shown), fontsize=6, ha="center", va="top"
            )
        x += width + 2.1
    exact = {"mirror", "transpose"}
    interpolated = [span for name, span in spans.items() if name not in exact]
    for group, text in (
        ([spans[name] for name in exact], "the eight symmetries:\nevery main run, the release"),
        (
            interpolated,
            'augment="figure-3": a symmetry, rotation, elastic; "paper": with zoom\n'
            f"(drawn at {len(transforms['all'][0].picture)} px to be seen; "
            f"the network here sees {small[0].shape[0]} px)",
        ),
    ):
        left, right = min(span[0] for span in group), max(span[1] for span in group)
        canvas.plot([left, left, right, right], [40.3, 39.5, 39.5, 40.3], color="#888888", lw=0.8)
        note((left + right) / 2, 37.0, text, ha="center", color=grey)

    heading(32.6, "At prediction (test data): symmetries, their answers averaged")
    for n, view in enumerate(views):
        ax = picture(view, 2.5 + 10.2 * (n % 4), 18 - 14.4 * (n // 4), 9.2, f"view {n + 1}")
        if n < averaged:
            ax.spines[:].set(color=COLOURS["good"], linewidth=2)
    note(22.5, 1.2, f"framed: the {averaged} that the released network averages", ha="center")
    arrow(canvas, (44, 15.5), (52, 15.5))
    ax = figure.add_axes((0.66, 0.075, 0.31, 0.2))
    where = np.arange(probability.shape[1])[::-1]
    dot = {"marker": "o", "ls": "", "ms": 3.5, "color": COLOURS["original"], "alpha": 0.55}
    for row in probability.to_numpy():
        ax.plot(row, where, **dot)
    ax.plot([], [], **dot, label="each view")
    for count, colour in ((averaged, COLOURS["good"]), (len(views), COLOURS["bad"])):
        mean = probability.iloc[:count].mean(0)
        ax.plot(mean, where, "|", ms=11, mew=2, color=colour, label=f"mean of {count}")
    ax.set_yticks(where, [ENGLISH[tag] for tag in probability.columns])
    for tick, tag in zip(ax.get_yticklabels(), probability.columns, strict=True):
        tick.set_fontweight("bold" if tag in tags else "normal")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(where) - 0.4))
    ax.set_xlabel("probability given by the released network\n(bold: labels of the scene)")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, handletextpad=0.2, columnspacing=1
    )
    return whole
