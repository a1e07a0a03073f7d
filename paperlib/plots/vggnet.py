"""Figure 1: the VGG configurations as a drawn table, and small kernels against large ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from . import COLOURS, styled

_SLOT = 0.36  # height of one convolution, in units of a column's width
_POOL = 0.30


@styled
def vgg_configurations(
    configurations: Mapping[str, Sequence[Sequence[int]]],
    channels: Sequence[int],
    counts: pd.DataFrame,
    *,
    size: int = 224,
    highlight: str = "D",
) -> Figure:
    """Figure 1: one column per configuration, one box per layer, parameters below.

    configurations  name -> kernel sides of the convolutions of each block
    channels        of each block
    counts          `vgg.parameter_table()`
    size            input side in pixels
    """
    figure = Figure(figsize=(7.2, 8.4))
    ax = figure.add_subplot()
    columns = list(configurations)
    width = len(columns)
    table = counts.set_index("configuration")

    def box(x: float, y: float, w: float, h: float, text: str, colour: str, **kw: object) -> None:
        ax.add_patch(
            FancyBboxPatch(
                (x, y),
                w,
                h,
                boxstyle="round,pad=0,rounding_size=0.05",
                lw=0.6,
                ec="white",
                fc=colour,
            )
        )
        ink = "white" if np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.55 else COLOURS["ink"]
        ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", color=ink, **kw)

    y = -0.05
    for x, name in enumerate(columns):
        layers = int(table.loc[name, "weight_layers"])
        bold = "bold" if name == highlight else "normal"
        ax.text(x + 0.5, 0.62, name, ha="center", va="center", fontsize=13, weight=bold)
        ax.text(x + 0.5, 0.27, f"{layers} weight layers", ha="center", va="center", fontsize=7.5)
    _span(ax, y, width, f"input: {size} × {size} RGB picture", "#F1F1F1")
    y -= 0.14
    side = size
    for block, depth in enumerate(channels):
        slots = max(len(configurations[name][block]) for name in columns)
        shade = _blue(block, len(channels))
        for x, name in enumerate(columns):
            for row, kernel in enumerate(configurations[name][block]):
                colour = COLOURS["dehazed"] if kernel == 1 else shade
                top = y - row * _SLOT
                box(
                    x + 0.05,
                    top - _SLOT + 0.03,
                    0.9,
                    _SLOT - 0.06,
                    f"conv {kernel}×{kernel} – {depth}",
                    colour,
                    fontsize=7.5,
                )
        ax.text(
            -0.12,
            y - slots * _SLOT / 2,
            f"{side}²",
            ha="right",
            va="center",
            fontsize=8,
            color="#555555",
        )
        y -= slots * _SLOT + 0.04
        side //= 2
        _span(
            ax, y - _POOL + 0.06, width, f"max pooling 2×2  →  {side} × {side} × {depth}", "#F1F1F1"
        )
        y -= _POOL + 0.12
    for text in ("dense 4096", "dense 4096", "dense 1000, softmax"):
        box(0.05, y - _SLOT + 0.03, width - 0.1, _SLOT - 0.06, "", COLOURS["good"])
        ax.text(1.5, y - _SLOT / 2, text, ha="center", va="center", fontsize=8, color="white")
        y -= _SLOT
    y -= 0.1
    _parameters(ax, table, columns, y)
    bottom = y - 1.55
    x = columns.index(highlight)
    ax.add_patch(
        FancyBboxPatch(
            (x + 0.005, bottom + 0.06),
            0.99,
            0.87 - bottom,
            lw=1.6,
            ec=COLOURS["bad"],
            fc="none",
            boxstyle="round,pad=0,rounding_size=0.08",
            zorder=5,
        )
    )
    ax.text(
        x + 0.5,
        0.99,
        "VGG-16, the paper's",
        ha="center",
        va="bottom",
        fontsize=8,
        color=COLOURS["bad"],
        weight="bold",
    )
    ax.set(xlim=(-0.75, width + 0.02), ylim=(bottom, 1.2))
    ax.axis("off")
    return figure


def _span(ax: Axes, y: float, width: float, text: str, colour: str) -> None:
    ax.add_patch(Rectangle((0.05, y - 0.06), width - 0.1, _POOL - 0.06, fc=colour, ec="none"))
    ax.text(
        1.5,  # left of the frame around D
        y + _POOL / 2 - 0.09,
        text,
        ha="center",
        va="center",
        fontsize=7.5,
        color="#555555",
    )


def _blue(block: int, blocks: int) -> tuple[float, float, float]:
    """Darker with depth, from light to the style's own blue."""
    share = 0.35 + 0.65 * block / (blocks - 1)
    return tuple(1 - share * (1 - c) for c in to_rgb(COLOURS["original"]))


def _parameters(ax: Axes, table: pd.DataFrame, columns: list[str], y: float) -> None:
    """A bar per configuration: convolutional and dense parameters, with the total."""
    most = table["total"].max()
    height = 0.62
    ax.text(
        -0.12,
        y - 0.48,
        "parameters\nin millions",
        ha="right",
        va="center",
        fontsize=8,
        color="#555555",
    )
    for x, name in enumerate(columns):
        row = table.loc[name]
        convolutional, dense = (row[k] / most * height for k in ("convolutional", "dense"))
        left, base = x + 0.3, y - 0.95
        ax.add_patch(Rectangle((left, base), 0.4, convolutional, fc=COLOURS["original"]))
        ax.add_patch(Rectangle((left, base + convolutional), 0.4, dense, fc=COLOURS["good"]))
        ax.text(
            x + 0.5,
            base + convolutional + dense / 2,
            f"{row['dense'] / 1e6:.1f}",
            ha="center",
            va="center",
            fontsize=7.5,
            color="white",
        )
        ax.text(
            left + 0.43,
            base + convolutional / 2,
            f"{row['convolutional'] / 1e6:.1f}",
            ha="left",
            va="center",
            fontsize=7.5,
            color=COLOURS["original"],
        )
        ax.text(
            x + 0.5,
            base - 0.06,
            f"{row['total'] / 1e6:.2f}",
            ha="center",
            va="top",
            fontsize=9.5,
            weight="bold",
        )
        ax.text(
            x + 0.5,
            base - 0.32,
            f"published: {row['published_millions']:.0f}",
            ha="center",
            va="top",
            fontsize=7,
            color=COLOURS["published"],
        )


@styled
def kernels(stacks: Sequence[Mapping[str, float]]) -> Figure:
    """Three 3×3 convolutions against one 7×7: what they see, and what they weigh.

    stacks  rows of `vggnet.stack`, all with one receptive field, the first as the reference
    """
    figure = Figure(figsize=(6.6, 2.9))
    picture, bars = figure.subplots(1, 2, width_ratios=(1, 1.35))
    side = int(stacks[0]["receptive_field"])
    for ring, colour in zip(
        range(side // 2, -1, -1), ("#DCEBF5", "#A6CDE6", "#56A0CF", "#0072B2"), strict=False
    ):
        picture.add_patch(
            Rectangle((-ring - 0.5, -ring - 0.5), 2 * ring + 1, 2 * ring + 1, fc=colour, ec="none")
        )
    for line in np.arange(side + 1) - side / 2:
        picture.plot([line, line], [-side / 2, side / 2], color="white", lw=0.8)
        picture.plot([-side / 2, side / 2], [line, line], color="white", lw=0.8)
    for ring, text in ((1, "after one 3×3"), (2, "after two"), (3, "after three")):
        picture.text(side / 2 + 0.15, ring - 0.02, f"← {text}", fontsize=7.5, va="center")
    picture.set(
        xlim=(-side / 2, side / 2 + 3.2),
        ylim=(-side / 2 - 0.1, side / 2 + 0.1),
        aspect="equal",
        title="What one output pixel sees",
    )
    picture.axis("off")
    names = [f"{s['layers']:.0f} × conv {s['kernel']:.0f}×{s['kernel']:.0f}" for s in stacks]
    millions = np.array([s["parameters"] / 1e6 for s in stacks])
    where = np.arange(len(stacks))[::-1]
    bars.barh(where, millions, color=[COLOURS["published"]] + [COLOURS["original"]] * 9, height=0.5)
    for at, value in zip(where, millions, strict=True):
        share = value / millions[0] - 1
        note = f"{value:.2f}" + (f"  ({share:+.1%})".replace("-", "−") if share else "")
        bars.text(value, at, f" {note}", va="center", fontsize=8.5)
    bars.set_yticks(where, names, fontsize=9)
    bars.set(
        xlabel="parameters in millions (512 channels in and out)",
        xlim=(0, millions.max() * 1.3),
        title="What it weighs",
    )
    bars.tick_params(axis="y", length=0)
    return figure
