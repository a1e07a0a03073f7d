"""Figures 3 and 4: the paper's flow charts, drawn from what ran."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from ..labels import ENGLISH
from . import COLOURS, ends, styled

if TYPE_CHECKING:
    from ..networks.augment import Shown

#: Shares of the folds that figure 4's key explains.
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
#: Lines of the net that figure 3 draws over a chip, in the 0 … 255 of `augment.coordinates`.
GRID_LINES = (26, 77, 128, 179, 230)
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
    figure = Figure(figsize=(8.8, 2.0 + 0.46 * max(rows, 5)))
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
            alpha=0.25 + 0.75 * row.share,
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
        for a in SHARES
    ]
    matrix.legend(
        [lines[0] for lines in key],
        [f"{a:g}" for a in SHARES],
        title="share of the folds that agree",
        title_fontsize=7,
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.985),
        borderaxespad=0,
        ncols=len(SHARES),
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
    figure.suptitle(f"{title}; {parts} chips", fontsize=8.5, color="#555555")
    return figure


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
    transforms     `augment.extremes`
    views          `(8, S, S, 3)`, `augment.symmetries`
    probability    a row per view, a column per label: what a network says of each view
    tags           the labels that the chip has
    averaged       how many of the views the network averages as it is released
    """
    wide, high = 8.4, 7.2
    tall = wide / high
    figure = Figure(figsize=(wide, high))
    figure.set_layout_engine("none")  # every place is given, in hundredths of width and height
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

    heading(98, "Once, before training: two copies of every chip")
    side, rows = 11.5, (87.6, 71.2)  # the middle of the original's way, and of the dehazed copy's
    middle = sum(rows) / 2
    picture(chip, 3, middle - 9 * tall, 18, f"chip, {chip.shape[0]} px")
    canvas.plot([21.5, 25, 25], [middle, middle, rows[0]], color="#666666", lw=0.9)
    canvas.plot([25, 25], [middle, rows[1]], color="#666666", lw=0.9)
    arrow(canvas, (25, rows[0]), (60, rows[0]))
    note(42, rows[0] + 1.9, "resize", ha="center", color=grey)
    arrow(canvas, (25, rows[1]), (38, rows[1]))
    note(31.3, rows[1] + 3.2, "dehaze\n(equations 1–9)", ha="center", color=grey)
    picture(dehazed, 38.5, rows[1] - side / 2 * tall, side, f"dehazed, {dehazed.shape[0]} px")
    arrow(canvas, (50.5, rows[1]), (60, rows[1]))
    note(55, rows[1] + 1.9, "resize", ha="center", color=grey)
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
        label = "all, in this order" if name == "all" else name
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
            'augment="paper": a symmetry, then these three; grids “transforms” and “rules” only\n'
            f"(drawn at {len(transforms['all'][0].picture)} px to be seen; "
            f"the network here sees {small[0].shape[0]} px)",
        ),
    ):
        left, right = min(span[0] for span in group), max(span[1] for span in group)
        canvas.plot([left, left, right, right], [40.3, 39.5, 39.5, 40.3], color="#888888", lw=0.8)
        note((left + right) / 2, 37.0, text, ha="center", color=grey)

    heading(32.6, "When it is asked: symmetries, their answers averaged")
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
    return figure
