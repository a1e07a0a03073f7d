"""Notebook 01: the VGG configurations (figure 1), and three 3×3 convolutions against one 7×7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from . import COLOURS, styled
from .shared import CENTRED, TEXT, name_rows, panel, rounded, rows_of

_SLOT = 0.36  # height of one convolution, in units of a column's width
_POOL = 0.30
_BESIDE = {"ha": "right", "va": "center", "fontsize": 8, "color": TEXT}  # left of the columns


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

    configurations  name -> kernel sizes of the convolutions of each block
    channels        of each block
    counts          `vggnet.parameter_table()`
    size            input size in pixels
    """
    figure, ax = panel(7.2, 8.4)
    columns = list(configurations)
    width = len(columns)
    table = counts.set_index("configuration")
    for x, name in enumerate(columns):
        layers = int(table.loc[name, "weight_layers"])
        bold = "bold" if name == highlight else "normal"
        ax.text(x + 0.5, 0.62, name, fontsize=13, weight=bold, **CENTRED)
        ax.text(x + 0.5, 0.27, f"{layers} weight layers", fontsize=7.5, **CENTRED)
    y = -0.05
    _span(ax, y, width, f"input: {size} × {size} RGB picture")
    y -= 0.14
    for block, depth in enumerate(channels):
        slots = max(len(configurations[name][block]) for name in columns)
        shade = _blue(block, len(channels))
        for x, name in enumerate(columns):
            for row, kernel in enumerate(configurations[name][block]):
                colour = COLOURS["dehazed"] if kernel == 1 else shade
                text = f"conv {kernel}×{kernel} – {depth}"
                _layer(ax, x + 0.05, y - row * _SLOT, 0.9, text, colour, fontsize=7.5)
        ax.text(-0.12, y - slots * _SLOT / 2, f"{size}²", **_BESIDE)
        y -= slots * _SLOT + 0.04
        size //= 2
        _span(ax, y - _POOL + 0.06, width, f"max pooling 2×2  →  {size} × {size} × {depth}")
        y -= _POOL + 0.12
    for text in ("dense 4096", "dense 4096", "dense 1000, softmax"):
        _layer(ax, 0.05, y, width - 0.1, "", COLOURS["good"])
        ax.text(1.5, y - _SLOT / 2, text, fontsize=8, color="white", **CENTRED)
        y -= _SLOT
    y -= 0.1
    _parameters(ax, table, columns, y)
    bottom = y - 1.55
    x = columns.index(highlight)
    frame = {"lw": 1.6, "ec": COLOURS["bad"], "fc": "none", "zorder": 5}
    rounded(ax, x + 0.005, bottom + 0.06, 0.99, 0.87 - bottom, 0.08, **frame)
    look = {"ha": "center", "va": "bottom", "fontsize": 8, "color": COLOURS["bad"]}
    ax.text(x + 0.5, 0.99, "VGG-16, the paper's", weight="bold", **look)
    ax.set(xlim=(-0.75, width + 0.02), ylim=(bottom, 1.2))
    ax.axis("off")
    return figure


def _layer(
    ax: Axes, x: float, top: float, width: float, text: str, colour: Any, **look: Any
) -> None:
    """A layer with parameters: its box under `top`, its text in white or ink."""
    y, height = top - _SLOT + 0.03, _SLOT - 0.06
    rounded(ax, x, y, width, height, 0.05, lw=0.6, ec="white", fc=colour)
    ink = "white" if np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.55 else COLOURS["ink"]
    ax.text(x + width / 2, y + height / 2, text, color=ink, **CENTRED, **look)


def _span(ax: Axes, y: float, width: float, text: str) -> None:
    """What all configurations have: a grey bar across the columns."""
    ax.add_patch(Rectangle((0.05, y - 0.06), width - 0.1, _POOL - 0.06, fc="#F1F1F1", ec="none"))
    # The text stands left of the frame around D.
    ax.text(1.5, y + _POOL / 2 - 0.09, text, fontsize=7.5, color=TEXT, **CENTRED)


def _blue(block: int, blocks: int) -> tuple[float, float, float]:
    """Darker with depth, from light to the style's own blue."""
    fraction = 0.35 + 0.65 * block / (blocks - 1)
    return tuple(1 - fraction * (1 - c) for c in to_rgb(COLOURS["original"]))


def _parameters(ax: Axes, table: pd.DataFrame, columns: list[str], y: float) -> None:
    """A bar per configuration: convolutional and dense parameters, with the total."""
    blue, green = COLOURS["original"], COLOURS["good"]
    most = table["total"].max()
    ax.text(-0.12, y - 0.48, "parameters\nin millions", **_BESIDE)
    under = {"ha": "center", "va": "top"}
    for x, name in enumerate(columns):
        row = table.loc[name]
        lower, upper = (row[part] / most * 0.62 for part in ("convolutional", "dense"))
        left, middle, base = x + 0.3, x + 0.5, y - 0.95
        ax.add_patch(Rectangle((left, base), 0.4, lower, fc=blue))
        ax.add_patch(Rectangle((left, base + lower), 0.4, upper, fc=green))
        dense = {"color": "white", "fontsize": 7.5, **CENTRED}
        ax.text(middle, base + lower + upper / 2, f"{row['dense'] / 1e6:.1f}", **dense)
        beside = {"color": blue, "fontsize": 7.5, "va": "center"}
        ax.text(left + 0.43, base + lower / 2, f"{row['convolutional'] / 1e6:.1f}", **beside)
        ax.text(
            middle, base - 0.06, f"{row['total'] / 1e6:.2f}", fontsize=9.5, weight="bold", **under
        )
        published = f"published: {row['published_millions']:.0f}"
        ax.text(middle, base - 0.32, published, fontsize=7, color=COLOURS["published"], **under)


@styled
def kernels(stacks: Sequence[Mapping[str, float]]) -> Figure:
    """Three 3×3 convolutions against one 7×7: what they see, and what they weigh.

    stacks  rows of `vggnet.stack`, all with one receptive field, the first as the reference
    """
    figure = Figure(figsize=(6.6, 2.9))
    field, bars = figure.subplots(1, 2, width_ratios=(1, 1.35))
    half = int(stacks[0]["receptive_field"]) / 2
    shades = ("#DCEBF5", "#A6CDE6", "#56A0CF", "#0072B2")
    for ring, colour in zip(range(int(half), -1, -1), shades, strict=False):
        size = 2 * ring + 1
        field.add_patch(Rectangle((-size / 2, -size / 2), size, size, fc=colour, ec="none"))
    for line in np.arange(2 * half + 1) - half:
        field.plot([line, line], [-half, half], color="white", lw=0.8)
        field.plot([-half, half], [line, line], color="white", lw=0.8)
    for ring, text in ((1, "after one 3×3"), (2, "after two"), (3, "after three")):
        field.text(half + 0.15, ring - 0.02, f"← {text}", fontsize=7.5, va="center")
    field.set(xlim=(-half, half + 3.2), ylim=(-half - 0.1, half + 0.1), aspect="equal")
    field.set_title("What one output pixel sees")
    field.axis("off")
    names = [f"{s['layers']:.0f} × conv {s['kernel']:.0f}×{s['kernel']:.0f}" for s in stacks]
    millions = np.array([s["parameters"] / 1e6 for s in stacks])
    where = rows_of(stacks)
    bars.barh(where, millions, color=[COLOURS["published"]] + [COLOURS["original"]] * 9, height=0.5)
    for at, value in zip(where, millions, strict=True):
        change = value / millions[0] - 1
        text = f"{value:.2f}" + (f"  ({change:+.1%})".replace("-", "−") if change else "")
        bars.text(value, at, f" {text}", va="center", fontsize=8.5)
    name_rows(bars, where, names, grid=False, fontsize=9)
    bars.set(xlim=(0, millions.max() * 1.3), title="Parameters")
    bars.set_xlabel("parameters in millions (512 channels in and out)")
    return figure
